"""The client as a whole: its settings, the list of series, and their structures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import pytest
from aiohttp import web
from support.scripted import quick_config
from support.scripted_jsoc import jsoc_of, keyword, record_list, serving_jsoc, structure

from aurora_async import Config
from aurora_async.errors import ClientClosed, DeadlineExceeded, InvalidInput, ServerError
from aurora_async.jsoc import (
    DEFAULT_CONFIG,
    JSOC,
    KIS,
    Jsoc,
    NoSuchSeries,
    NotSupported,
    QueryRefused,
    RecordSet,
    SeriesName,
    structures,
)
from aurora_async.server.app import LocalService

SERIES = structure(keyword("EXPTIME", "double", units="s"))


# Settings -------------------------------------------------------------------------------------------------------------


def test_making_a_client_asks_nobody_and_needs_nothing() -> None:
    """The official one asks for the address when it is made, and cannot be made without a network."""
    client = Jsoc(email=" me@example.com ")
    assert client.server is JSOC
    assert client.email == "me@example.com"
    assert client.config.base_url == "http://jsoc.stanford.edu"
    assert client.config.limits.body_connections == 1


def test_a_configuration_made_for_auroras_leads_to_jsoc_without_its_key() -> None:
    """One configuration may serve all clients of a program; a key goes only where it was issued."""
    client = Jsoc(Config(api_key="secret"))
    assert (client.server, client.config.api_key) == (JSOC, None)
    assert Jsoc(Config(base_url="http://127.0.0.1:9")).server.name == "http://127.0.0.1:9"
    assert Jsoc(Config(base_url="http://127.0.0.1:9"), base_url="http://127.0.0.1:8").config.base_url.endswith(":8")


@pytest.mark.parametrize("server", ["kis", "KIS", KIS])
def test_another_server_is_chosen_by_name_or_description(server: Any) -> None:
    """In any case, as people write it."""
    assert Jsoc(server=server).server is KIS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"server": "jsoc2"}, "server: 'jsoc2' is unknown; use jsoc, kis"),
        ({"email": "me at example.com"}, "email: 'me at example.com' is not an e-mail address"),
        ({"requestor": " "}, "requestor: ' ' is not a name"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(arguments: dict[str, Any], message: str) -> None:
    """When they are given, not at the first export an hour later."""
    with pytest.raises(InvalidInput, match=message):
        Jsoc(**arguments)


async def test_a_client_that_is_not_open_says_so() -> None:
    """By every verb alike."""
    jsoc = Jsoc(base_url="http://127.0.0.1:9")
    for verb in (jsoc.series, lambda: jsoc.info("a.b"), lambda: jsoc.count("a.b"), lambda: jsoc.check_email("a@b.org")):
        with pytest.raises(ClientClosed):
            await verb()


# What a server lacks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb",
    [
        lambda jsoc: jsoc.check_email("me@example.com"),
        lambda jsoc: jsoc.register_email("me@example.com"),
        lambda jsoc: jsoc.pending("me@example.com"),
        lambda jsoc: jsoc.cancel_pending("me@example.com"),
    ],
)
async def test_what_a_server_does_not_have_is_not_asked_of_it(verb: Callable[[Jsoc], Awaitable[Any]]) -> None:
    """KIS has series and keywords only: no request leaves, and the error says what is missing."""
    async with Jsoc(quick_config("https://api.aurorax.space"), server="kis") as jsoc:
        with pytest.raises(NotSupported, match="KIS offers no"):
            await verb(jsoc)


async def test_a_server_with_less_is_asked_in_its_own_way() -> None:
    """KIS lists its series by the plain CGI, which tells the prime keys; a described server wins over the settings."""
    listed = {"name": "gris.spectra", "primekeys": "OBSID", "note": "spectra"}
    answers = {"show_series": {"status": 0, "names": [listed], "n": 1}, "series_struct": SERIES}
    async with serving_jsoc(**answers, rs_list=record_list([4], EXPTIME=["1"])) as service:
        kis = attrs.evolve(KIS, base_url=f"{service.base_url}/cgi-bin/")
        async with Jsoc(quick_config("http://127.0.0.1:9"), server=kis) as jsoc:
            assert await jsoc.series("gris") == [SeriesName("gris.spectra", "spectra", ("OBSID",))]
            assert (await jsoc.query("gris.spectra[4]", keywords="EXPTIME"))["EXPTIME"] == [1.0]
        assert service.asked[0] == {"filter": "gris"}


# Series ---------------------------------------------------------------------------------------------------------------


async def test_series_are_listed_by_the_merged_list_where_there_is_one() -> None:
    """Only it knows the internal series; it wants to be told its database."""
    async with (
        serving_jsoc(showextseries={"errMsg": "", "seriesList": ["hmi.M_720s"]}) as service,
        jsoc_of(service) as jsoc,
    ):
        assert await jsoc.series() == [SeriesName("hmi.M_720s")]
        await jsoc.series("NOT ^hmi", full=True)
        assert service.asked == [{"dbhost": "hmidb2"}, {"dbhost": "hmidb2", "filter": "NOT ^hmi", "info": "1"}]


async def test_a_list_that_fails_is_no_empty_list() -> None:
    """The official client shows no series then, as if there were none."""
    failure = {"errMsg": "database is down", "seriesList": []}
    async with serving_jsoc(showextseries=failure) as service, jsoc_of(service) as jsoc:
        with pytest.raises(QueryRefused, match=r"refuses the regex 'hmi'.*database is down"):
            await jsoc.series("hmi")
        with pytest.raises(InvalidInput, match="regex: 3 is not a text"):
            await jsoc.series(3)  # type: ignore[arg-type]


async def test_the_local_service_lists_its_series() -> None:
    """By a pattern that is found anywhere and in any case; as a table with their notes if wanted."""
    async with LocalService() as service, Jsoc(base_url=service.base_url) as jsoc:
        found = await jsoc.series(r"HMI\.v_45s$", full=True)
        assert [one.name for one in found] == ["hmi.V_45s"]
        assert "Doppler" in (found[0].note or "")
        assert list(found.to_pandas().columns) == ["name", "note", "primekeys"]
        with pytest.raises(QueryRefused):
            await jsoc.series("hmi[")


# Structures -----------------------------------------------------------------------------------------------------------


async def test_the_structure_of_a_series_is_told() -> None:
    """Of a series, or of that of a record set; with its names alone for those who want no more."""
    async with LocalService() as service, Jsoc(base_url=service.base_url) as jsoc:
        info = await jsoc.info("hmi.v_45s[2013.07.03_08:42_TAI/3m]{Dopplergram}")
        assert info.name == "hmi.V_45s"
        assert info.keywords["t_rec"].units == "TAI"
        assert "Dopplergram" in info.segments
        assert await jsoc.pkeys("hmi.V_45s") == ["T_REC", "CAMERA"]
        assert set(await jsoc.pkeys("hmi.V_45s")) < set(await jsoc.keys(RecordSet.of("hmi.V_45s[$]")))


async def test_a_structure_is_asked_for_once() -> None:
    """However many ask at the same moment or later, and however they spell it."""
    async with serving_jsoc(series_struct=SERIES, rs_list=record_list([])) as service, jsoc_of(service) as jsoc:
        async with anyio.create_task_group() as tasks:
            for name in ("hmi.m_720s", "hmi.M_720s", "HMI.M_720S") * 10:
                tasks.start_soon(jsoc.info, name)
        await jsoc.query("hmi.M_720s[2016.04.01]", keywords="EXPTIME")
        assert service.count("series_struct") == 1
        await jsoc.info("hmi.v_720s")
        assert service.count("series_struct") == 2


async def test_a_structure_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may live for weeks, and series get new keywords."""
    monkeypatch.setattr(structures, "_FRESH_S", 0.0)
    async with serving_jsoc(series_struct=SERIES) as service, jsoc_of(service) as jsoc:
        await jsoc.info("hmi.m_720s")
        service.answers["series_struct"] = structure(note="changed")
        assert (await jsoc.info("hmi.m_720s")).note == "changed"


async def test_structures_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that looks through all series of a site keeps some of them only."""
    monkeypatch.setattr(structures, "_MOST", 3)
    async with serving_jsoc(series_struct=SERIES) as service, jsoc_of(service) as jsoc:
        for number in range(10):
            await jsoc.info(f"su.test_{number}")
        assert len(jsoc._structures._lookups) <= 3


async def test_all_who_wait_for_a_structure_get_its_error_and_the_next_asks_again() -> None:
    """One failure is not repeated for each of them, and not remembered either."""
    async with (
        serving_jsoc(series_struct={"status": 1, "error": "series not found"}) as service,
        jsoc_of(service) as jsoc,
    ):
        errors = []

        async def ask() -> None:
            with pytest.raises(NoSuchSeries) as caught:
                await jsoc.info("hmi.m_720s")
            errors.append(caught.value)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(ask)
        assert (len(errors), service.count("series_struct")) == (10, 1)
        service.answers["series_struct"] = SERIES
        assert (await jsoc.info("hmi.m_720s")).name == "hmi.M_720s"


async def test_whoever_leaves_does_not_take_the_structure_along() -> None:
    """The first who asked may be cancelled, or run out of time, while others wait for the same answer."""
    asked, go_on = anyio.Event(), anyio.Event()

    async def slowly(form: dict[str, str]) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return web.json_response(SERIES)

    async with serving_jsoc(series_struct=slowly) as service, jsoc_of(service) as jsoc:
        names = []

        async def ask() -> None:
            names.append((await jsoc.info("hmi.m_720s")).name)

        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as first:
                async with anyio.create_task_group() as leaving:
                    leaving.start_soon(ask)
                    await asked.wait()
                    tasks.start_soon(ask)
                    with pytest.raises(DeadlineExceeded, match=r"querying hmi\.m_720s"):
                        await jsoc.query("hmi.m_720s", keywords="EXPTIME", deadline_s=0.01)
                    first.cancel()
            go_on.set()
        assert names == ["hmi.M_720s"]
        assert service.count("series_struct") == 1


async def test_whoever_waits_when_the_client_closes_is_told() -> None:
    """A wait in another task must not outlive the client."""
    asked = anyio.Event()

    async def never(form: dict[str, str]) -> web.StreamResponse:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async with serving_jsoc(series_struct=never) as service, anyio.create_task_group() as tasks:

        async def ask(jsoc: Jsoc) -> None:
            with pytest.raises(ClientClosed):
                await jsoc.info("hmi.m_720s")

        async with jsoc_of(service) as jsoc:
            tasks.start_soon(ask, jsoc)
            await asked.wait()


async def test_a_service_that_is_down_is_said_so_after_some_tries() -> None:
    """Its page is for browsers; the message is one line of it."""

    async def busy(form: dict[str, str]) -> web.StreamResponse:
        page = "<html><head><title>503 Service Unavailable</title></head><body>Please wait</body></html>"
        return web.Response(status=503, text=page, content_type="text/html")

    async with serving_jsoc(series_struct=busy, showextseries=busy) as service, jsoc_of(service) as jsoc:
        with pytest.raises(ServerError, match=r"503 \(503 Service Unavailable\)"):
            await jsoc.info("hmi.m_720s")
        assert service.count("series_struct") == 3
        with pytest.raises(ServerError):
            await jsoc.series()


async def test_a_question_does_not_wait_for_a_download() -> None:
    """Files come one at a time, as JSOC asks; a query of a second must not stand behind an hour of them."""

    async def endless(form: dict[str, str]) -> web.StreamResponse:
        return web.Response(body=b"a" * (1 << 22))

    async with serving_jsoc(series_struct=SERIES, rs_list=record_list([]), file=endless) as service:
        config = attrs.evolve(DEFAULT_CONFIG, base_url=service.base_url, trust_environment=False)
        async with Jsoc(config) as jsoc, jsoc._open_engine.session.open("GET", "/file") as body:
            assert len(await jsoc.query("hmi.m_720s[2016.04.01]", keywords="EXPTIME", deadline_s=10)) == 0
            assert body.length == 1 << 22


async def test_an_opened_client_can_be_opened_again() -> None:
    """What it knew belongs to the time it was open."""
    async with serving_jsoc(series_struct=SERIES) as service:
        jsoc = Jsoc(quick_config(service.base_url))
        for _ in range(2):
            async with jsoc:
                await jsoc.info("hmi.m_720s")
        assert service.count("series_struct") == 2
