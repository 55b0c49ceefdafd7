"""Exports: what is refused before anything is sent, what is sent, and how every answer of the service ends."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from aiohttp import web
from support.exporting import (
    EMAIL,
    FITS,
    FOLDER,
    a_query,
    document,
    exports_at,
    serving_exports,
    until,
)
from support.scripted import hang_up

from aurora_async.engine import EventKind, Phase
from aurora_async.errors import (
    DeadlineExceeded,
    InvalidInput,
    InvalidQuery,
    MalformedAnswer,
    RequestCancelled,
    RequestFailed,
    ResultExpired,
)
from aurora_async.jsoc.client import Jsoc
from aurora_async.jsoc.errors import (
    AddressNotRegistered,
    ExportRefused,
    ExportTooLarge,
    FilesOffline,
    NoSuchExport,
    NoSuchSeries,
    NotSupported,
)
from aurora_async.jsoc.exports import Exports
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.recordset import RecordSet
from aurora_async.jsoc.servers import KIS
from aurora_async.testing import LocalServer

LONG_S = 60.0
QUICK = "hmi.M_720s[2020.01.01_TAI][1]{magnetogram}"


# What is asked --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"record_set": "hmi.M_720s[2020"}, "record set"),
        ({"record_set": "hmi.M_720s[1],hmi.V_45s[1]"}, "record_set"),
        ({"record_set": "hmi.M_720s[? NOTE = 'a;b' ?]"}, "record_set"),
        ({"record_set": 3}, "record_set"),
        ({"method": "ftp"}, "method"),
        ({"protocol": "tiff"}, "protocol"),
        ({"protocol_args": {"ct": "aia_193.lut"}}, "protocol_args"),
        ({"filename_format": "{seriesname"}, "filename_format"),
        ({"process": {"crop": {}}}, "process"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"size_ratio": 0}, "size_ratio"),
        ({"size_ratio": "1"}, "size_ratio"),
        ({"email": "nobody"}, "email"),
        ({"requestor": "x;y"}, "requestor"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_built(changes: dict[str, Any], field: str) -> None:
    """The service takes minutes to say so, if it does."""
    with pytest.raises(InvalidInput) as caught:
        ExportQuery(**({"record_set": QUICK, "protocol": "fits"} | changes))
    assert caught.value.field == field


def test_a_query_goes_into_journals_and_to_other_processes() -> None:
    """Everything that makes it is plain JSON, and comes back the same."""
    query = a_query(
        protocol="jpg",
        protocol_args={"ct": "AIA_193.lut", "min": 2},
        process={"rebin": {"scale": 0.25, "method": "boxcar"}},
        filename_format="{seriesname}.{recnum:%d}.{segment}",
        n=-3,
        size_ratio=0.5,
        email="a.b@example.com",
        requestor="ab",
    )
    assert ExportQuery.from_document(json.loads(json.dumps(query.document()))) == query
    assert pickle.loads(pickle.dumps(query)) == query
    assert hash(attrs.evolve(query)) == hash(query)
    with pytest.raises(InvalidQuery, match="known are"):
        ExportQuery.from_document({"record_set": QUICK, "colour": "red"})


def test_the_rows_of_a_table_are_what_is_exported() -> None:
    """Exactly those that the user kept, whatever the record set was that found them."""

    class Table(list[int]):
        def subset(self) -> RecordSet:
            return RecordSet.of("hmi.M_720s").recnums(self)

    rows: Any = Table([7, 5, 6])
    assert str(ExportQuery(rows).record_set) == "hmi.M_720s[:#5-#7]"
    rows.clear()
    with pytest.raises(InvalidQuery, match="no rows"):
        ExportQuery(rows)


async def test_a_form_says_all_that_was_asked() -> None:
    """In the spelling the service reads: `requestor`, `sizeratio`, and one parameter `process`."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        query = a_query(
            "hmi.M_720s[2020.01.01_TAI/1h]{magnetogram}", n=5, size_ratio=0.1, process={"rebin": {"scale": 0.5}}
        )
        await exports.submit(query)
        (form,) = service.forms
    assert form == {
        "op": "exp_request",
        "format": "json",
        "ds": "hmi.M_720s[2020.01.01_TAI/1h]{magnetogram}",
        "notify": EMAIL,
        "method": "url",
        "protocol": "fits",
        "filenamefmt": "hmi.m_720s.{T_REC:A}.{CAMERA}.{segment}",
        "process": "n=5|rebin,scale=0.5",
        "requestor": "somebody",
        "sizeratio": "0.1",
    }


async def test_records_named_by_number_are_all_exported() -> None:
    """The service leaves out records of poor quality, unless it is told that these are meant."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        await exports.submit(a_query("hmi.M_720s[:#5,#7]"))
        await exports.submit(a_query("hmi.M_720s[2020.01.01_TAI]"))
        assert [form.get("q") for form in service.forms] == ["1", None]


@pytest.mark.parametrize(
    ("changes", "method", "has_format"),
    [
        ({"method": "url_quick", "protocol": "as-is"}, "url_quick", False),
        ({"method": "url_quick", "protocol": "fits"}, "url", True),
        ({"method": "url_quick", "protocol": "as-is", "process": {"rebin": {}}}, "url", True),
        ({"method": "URL-tar", "filename_format": "{recnum}.{segment}"}, "url-tar", True),
        ({"filename_format": ""}, "url", False),
    ],
)
async def test_quick_is_only_what_is_taken_as_it_is(changes: dict[str, Any], method: str, has_format: bool) -> None:
    """The service would take `url_quick` for `url` as well, but not name the files as one is used to."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        await exports.submit(a_query(**changes))
        assert service.forms[0]["method"] == method
        assert ("filenamefmt" in service.forms[0]) is has_format


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (a_query("hmi.M_720s[1]{continuum}"), "segment"),
        (a_query(filename_format="{NOSUCH}"), "filename_format"),
    ],
)
async def test_what_the_series_lacks_is_never_sent(query: ExportQuery, field: str) -> None:
    """The structure is asked once, and is cheaper than an export that fails."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        with pytest.raises(InvalidQuery) as caught:
            await exports.submit(query)
        assert caught.value.field == field
        assert service.count("submit") == 0


async def test_without_an_address_nothing_is_sent() -> None:
    """Exports are made for registered addresses only."""
    async with serving_exports() as service, exports_at(service.base_url, email=None) as exports:
        with pytest.raises(InvalidInput, match="email"):
            await exports.submit(a_query())
        assert service.asked == []
        await exports.submit(a_query(email="other@example.com"))
        assert service.forms[0]["notify"] == "other@example.com"


async def test_a_server_without_exports_is_not_asked() -> None:
    """Some services have series and keywords only."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        elsewhere = Exports(exports.service.engine, KIS, exports.service._structure, email=EMAIL)
        with pytest.raises(NotSupported):
            await elsewhere.submit(a_query())
        with pytest.raises(NotSupported):
            elsewhere.resume("JSOC_20200101_001")


# What is answered -----------------------------------------------------------------------------------------------------


def says(answer: dict[str, Any]) -> Callable[[web.Request, dict[str, str]], Awaitable[web.Response]]:
    """Answer with this document."""

    async def handle(request: web.Request, form: dict[str, str]) -> web.Response:
        return document(answer)

    return handle


REFUSED = "Cannot process your request. Email address is not registered."
TOO_LARGE = {"requestid": "VOID", "wait": 0, "status": 3, "count": 12850, "size": 194300, "error": "Request exceeds"}


@pytest.mark.parametrize(
    ("answer", "error", "fact"),
    [
        (TOO_LARGE, ExportTooLarge, {"megabytes": 194300, "status": 3}),
        ({"status": 4, "error": "Can not open RecordSet"}, ExportRefused, {"reason": "Can not open RecordSet"}),
        ({"status": 4, "error": "Cannot export series 'a.b' - it does not exist."}, NoSuchSeries, {"status": 4}),
        ({"status": 4, "error": REFUSED}, AddressNotRegistered, {"address": EMAIL}),
        ({"status": "25 ", "error": "offline"}, FilesOffline, {"status": 25}),
        ({"status": 77}, ExportRefused, {"status": 77}),
        ({"status": 2, "requestid": ""}, MalformedAnswer, {"where": "$.requestid"}),
        ({"status": "soon"}, MalformedAnswer, {"where": "$.status"}),
    ],
)
async def test_refusals_have_types_and_facts(
    answer: dict[str, Any], error: type[Exception], fact: dict[str, Any]
) -> None:
    """Nobody parses texts to find out what to do next."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        service.on("submit", says(answer))
        with pytest.raises(error) as caught:
            await exports.submit(a_query())
        assert {name: getattr(caught.value, name) for name in fact} == fact
        assert service.count("submit") == 1


DONE = {"status": "0 ", "dir": FOLDER, "data": []}


@pytest.mark.parametrize(
    ("answers", "ends"),
    [
        ([{"status": 2, "wait": 0}, {"status": 1, "wait": -5}, {"status": 12}, {"status": 6}, DONE], None),
        ([{"status": "1 ", "wait": "0"}, {"status": 1, "wait": 999999}, DONE], None),
        ([{"status": 1}, {"status": 4, "requestid": "x", "wait": 999999, "error": "no luck"}], RequestFailed),
        ([{"status": 3, "error": "Request too large"}], RequestFailed),
        ([{"status": 7, "error": "limit"}], RequestFailed),
        ([{"status": 25, "error": "tape"}], RequestFailed),
        ([{"status": 5, "error": "7 day limit exceeded"}], ResultExpired),
        ([{"status": -1, "error": "killed"}], RequestCancelled),
        ([{"status": 4, "error": "invalid export DRMS record for ID `%s`JSOC_20990101_001"}], NoSuchExport),
        ([{"status": 4, "error": "Bad RequestID 'x' provided."}], NoSuchExport),
    ],
)
async def test_every_status_ends_as_it_means(answers: list[dict[str, Any]], ends: type[Exception] | None) -> None:
    """Numbers or texts, with blanks or without; those that are pending are waited for."""
    left = iter(answers)

    async def status(request: web.Request, form: dict[str, str]) -> web.Response:
        return document({"requestid": form["requestid"], "method": "url", **next(left)} if "ID" not in str(answers)
                        else next(left))  # fmt: skip

    async with serving_exports() as service, exports_at(service.base_url) as exports:
        service.on("status", status)
        export = exports.resume("JSOC_20990101_001")
        async with asyncio.timeout(5):
            if ends is None:
                assert (await export.wait()).phase is Phase.READY
            else:
                with pytest.raises(ends) as caught:
                    await export.wait()
                assert answers[-1]["error"] in str(caught.value)


async def test_one_that_is_never_heard_of_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 6 means "not yet" for a moment, not for ever."""
    monkeypatch.setattr("aurora_async.jsoc.service._LONGEST_UNHEARD_S", 0.05)
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        service.on("status", says({"status": 6, "requestid": "JSOC_20200101_001"}))
        with pytest.raises(NoSuchExport), anyio.fail_after(5):
            await exports.resume("JSOC_20200101_001").wait()


@pytest.mark.parametrize(
    ("wait", "elapsed_s", "hint_s"),
    [(10, 0, 10), (0, 0, 2), (-30, 0, 2), (None, 0, 2), (1, 0, 2), (3600, 0, 60), (999999, 100, 10), (0, 9999, 60)],
)
async def test_the_services_wait_is_kept_within_reason(wait: float | None, elapsed_s: float, hint_s: float) -> None:
    """It may be negative, 999999, or missing: then it is looked at after a tenth of the time it has taken."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        exports.service.server = attrs.evolve(exports.service.server, least_look_s=2.0)
        assert exports.service._wait_hint_s(wait, elapsed_s) == hint_s


@pytest.mark.parametrize(
    "export_id", ["", "JSOC_1", "../x", "JSOC_20200101_001;x", 7, "quick:", "quick:record_set=%5B"]
)
async def test_identifiers_that_are_none_are_refused(export_id: Any) -> None:
    """Before anything is asked."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        with pytest.raises(InvalidInput, match="export_id"):
            exports.resume(export_id)


@pytest.mark.parametrize("number", ["quick:record_set=x", "JSOC_1\n2", "../JSOC_20200101_001", "JSOC_20200101_"])
async def test_an_identifier_that_is_none_is_not_taken_from_the_service(number: str) -> None:
    """It goes into addresses, journals and messages."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:

        async def other(request: web.Request, form: dict[str, str]) -> web.Response:
            return document({"status": 2, "requestid": number, "wait": 0})

        service.on("submit", other)
        with pytest.raises(MalformedAnswer, match="requestid"):
            await exports.submit(a_query())


async def test_a_lost_answer_is_asked_for_again() -> None:
    """The service gives an export that it has already the same identifier: nothing is made twice."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:

        async def lose_first(request: web.Request, form: dict[str, str]) -> web.StreamResponse | None:
            if service.count("submit") > 1:
                return None
            service.submit(form)
            return await hang_up(request)

        service.on("submit", lose_first)
        export = await exports.submit(a_query())
        assert export.request_id == "JSOC_20200101_001"
        assert len(service.exports) == 1


async def test_network_errors_between_two_looks_end_nothing() -> None:
    """An export of an hour outlives a router that restarts."""
    troubles = iter([hang_up, None, hang_up, hang_up, None])

    async def status(request: web.Request, form: dict[str, str]) -> web.StreamResponse | None:
        trouble = next(troubles, None)
        if trouble is not None:
            return await trouble(request)
        return web.Response(status=502, text="<html>") if service.count("status") < 6 else None

    async with serving_exports() as service, exports_at(service.base_url) as exports:
        service.on("status", status)
        export = await exports.submit(a_query())
        async with asyncio.timeout(5):
            assert (await export.wait()).phase is Phase.READY


async def test_one_that_never_ends_is_left_at_the_deadline() -> None:
    """The error says how to find it again."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query())
        with pytest.raises(DeadlineExceeded) as caught:
            await export.wait(deadline_s=0.1)
        assert caught.value.request_id == export.request_id
        assert service.count("manage") == 0
        service.takes_s = 0
        assert len(await exports.resume(export.request_id).files()) == 1


# Quick ones -----------------------------------------------------------------------------------------------------------


async def test_a_segment_that_the_series_lacks_is_refused_for_quick_exports_too() -> None:
    """The service would list a record without a file."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        with pytest.raises(InvalidQuery, match=r"has no segment nothing; it has magnetogram"):
            await exports.submit(ExportQuery("hmi.M_720s[2020.01.01_TAI]{nothing}"))
        assert service.asked == ["info"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([QUICK, 3], r"exports\[1\]: 3 is no record set, table of records or ExportQuery"),
        ((a_query(), None), r"exports\[1\]: None is no record set"),
        (QUICK, "is no list of exports"),
        (a_query(), "is no list of exports"),
        (5, "is no list of exports"),
    ],
)
async def test_what_cannot_be_exported_is_refused_by_its_place(given: Any, message: str) -> None:
    """Of many, before the first is sent; one alone is no list of its letters."""
    async with Jsoc(base_url="http://127.0.0.1:9", email=EMAIL) as jsoc:
        with pytest.raises(InvalidQuery, match=message):
            jsoc.run(given)


async def test_a_run_takes_whatever_an_export_takes() -> None:
    """Texts, record sets and queries side by side, also as they come; the outcome has the query they mean."""
    given: list[Any] = [QUICK, RecordSet.of(QUICK), ExportQuery(QUICK)]

    async def coming() -> AsyncIterator[Any]:
        for one in [*given, 3]:
            yield one

    async with serving_exports() as service, Jsoc(base_url=service.base_url, email=EMAIL) as jsoc:
        outcomes = [outcome async for outcome in jsoc.run(given)]
        assert [outcome.query for outcome in outcomes] == [ExportQuery(QUICK)] * 3
        assert all(outcome.ok and len(outcome.files or ()) == 1 for outcome in outcomes)
        assert [outcome.ok async for outcome in jsoc.run(iter(given))] == [True] * 3
        with pytest.raises(InvalidQuery, match=r"exports\[3\]: 3 is no"):
            async for _ in jsoc.run(coming()):
                pass


async def test_an_export_is_shown_by_its_identifier_and_phase() -> None:
    """That of a quick one is the question, which reads best as it was asked."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query())
        assert repr(export) == "<Export JSOC_20200101_001: not looked at yet>"
        await export.wait()
        assert repr(export) == "<Export JSOC_20200101_001: ready>"
        quick = await exports.submit(ExportQuery(QUICK))
        assert repr(quick) == f"<Export quick:record_set={QUICK}: ready>"
        long = exports.resume("quick:record_set=hmi.M_720s%5B%3A%231%2C%23" + "9" * 18 + "%2C%233" * 30 + "%5D")
        assert repr(long).endswith("…: not looked at yet>") and len(repr(long)) < 120


async def test_a_quick_export_is_one_exchange() -> None:
    """Its answer is the list of files; it is told like every other request. The series is looked at once before."""
    kinds = []
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        with exports.service.engine.events.subscribe(lambda event: kinds.append(event.kind)):
            export = await exports.submit(ExportQuery(QUICK))
            files = await export.files()
        assert [file.record for file in files] == [record for record, _ in service.rows]
        assert service.asked == ["info", "submit"]
    assert kinds == [EventKind.SUBMITTED, EventKind.POLLED, EventKind.READY]


async def test_a_quick_export_is_found_again_anywhere() -> None:
    """Its identifier says all that is needed to ask again, and no address that was not given with it."""
    query = ExportQuery("hmi.M_720s[? NOTE = 'a&b=c' ?][]{magnetogram}", n=-2, email="x+y@example.com")
    async with serving_exports() as service:
        async with exports_at(service.base_url) as exports:
            export_id = (await exports.submit(query)).detach()
            assert EMAIL not in (await exports.submit(ExportQuery(QUICK))).request_id
        async with exports_at(service.base_url) as exports:
            assert len(await exports.resume(export_id).files()) == 1
        assert service.forms[0] == service.forms[-1]


async def test_a_quick_export_may_be_queued_after_all() -> None:
    """What was on disk yesterday is on tape today: the handle goes on with the identifier it gets."""
    async with serving_exports(takes_s=0.05) as service, exports_at(service.base_url) as exports:
        export_id = (await exports.submit(ExportQuery(QUICK))).detach()

        async def queue(request: web.Request, form: dict[str, str]) -> web.StreamResponse:
            return document(service.submit(form | {"method": "url"}))

        service.on("submit", queue)
        found = exports.resume(export_id)
        assert len(await found.files()) == 1
        assert service.count("submit") == 2
        assert found.request_id == export_id


async def test_asking_again_waits_while_there_is_no_room() -> None:
    """A refusal for want of room is no failure of an export that was answered before."""
    async with serving_exports(max_pending=0) as service, exports_at(service.base_url) as exports:
        export = exports.resume("quick:record_set=hmi.M_720s%5B1%5D")
        assert (await export.refresh()).phase is Phase.QUEUED
        service.max_pending = None
        assert (await export.refresh()).phase is Phase.READY


# Calling off ----------------------------------------------------------------------------------------------------------


async def test_a_cancelled_wait_gives_up_what_is_all_ours() -> None:
    """The service can give up everything of a user: here that is just the one."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query())
        task = asyncio.create_task(export.wait())
        await until(lambda: service.count("status"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert service.given_up == {export.request_id}


async def test_exports_of_others_are_not_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Another program of the same user waits for its own; the log says why ours goes on."""
    caplog.set_level(logging.INFO)
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        async with exports_at(service.base_url) as others:
            await others.submit(a_query(n=7))
        export = await exports.submit(a_query())
        await export.cancel()
        assert service.given_up == set()
        assert "goes on" in caplog.text


async def test_one_that_is_still_wanted_here_is_not_given_up() -> None:
    """Of two, one is cancelled: the service could only give up both. With the second, both go."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        one, other = await exports.submit(a_query()), await exports.submit(a_query(n=1))
        await one.cancel()
        assert service.given_up == set()
        await other.cancel()
        assert service.given_up == {one.request_id, other.request_id}


async def test_the_same_export_twice_is_wanted_until_both_are_called_off() -> None:
    """The service gives both one identifier, and one of them still waits."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        one, other = await exports.submit(a_query()), await exports.submit(a_query())
        assert one.request_id == other.request_id
        await one.cancel()
        assert service.given_up == set()
        await other.cancel()
        assert service.given_up == {one.request_id}


async def test_each_handle_calls_an_export_off_once() -> None:
    """Whoever is impatient and cancels twice cancels for himself only."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        one, other = await exports.submit(a_query()), await exports.submit(a_query())
        await one.cancel()
        await one.cancel()
        assert service.given_up == set()
        await other.cancel()
        assert service.given_up == {one.request_id}


async def test_one_that_was_resumed_is_wanted_by_whoever_resumed_it() -> None:
    """He waits for it, though somebody else here submitted it and has changed his mind."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        one = await exports.submit(a_query())
        other = exports.resume(one.request_id)
        await one.cancel()
        assert service.given_up == set()
        await other.cancel()
        assert service.given_up == {one.request_id}


async def test_nothing_is_remembered_of_what_is_over() -> None:
    """A client that is open for months makes very many exports."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        for number in range(5):
            await (await exports.submit(a_query(n=number + 1))).wait()
            await (await exports.submit(a_query(n=number + 1, method="url_quick", protocol="as-is"))).wait()
            await (await exports.submit(a_query(n=number + 1, method="url_quick", protocol="as-is"))).cancel()
        assert exports.service._known == {}


async def test_nothing_is_remembered_of_what_there_is_not() -> None:
    """Nor of an identifier that was mistyped."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        with pytest.raises(NoSuchExport):
            await exports.resume("JSOC_20990101_001").wait()
        assert exports.service._known == {}


async def test_closing_the_client_gives_up_what_was_waited_for() -> None:
    """As with every other service; what was only submitted stays."""
    async with serving_exports(takes_s=LONG_S) as service:
        async with exports_at(service.base_url) as exports:
            export = await exports.submit(a_query())
            task = asyncio.create_task(export.wait())
            await until(lambda: service.count("status"))
        await asyncio.gather(task, return_exceptions=True)
        assert service.given_up == {export.request_id}
        async with exports_at(service.base_url) as exports:
            await exports.submit(a_query(n=2))
        assert service.given_up == {export.request_id}


async def test_a_detached_export_goes_on() -> None:
    """Fetched tomorrow, by another process."""
    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query())
        export.detach()
        task = asyncio.create_task(export.wait())
        await until(lambda: service.count("status"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert service.count("manage") == 0


@pytest.mark.parametrize("step", range(12))
async def test_cancelled_anywhere_it_is_cancelled_there(step: int) -> None:
    """While the structure is asked, while the export is on its way, between two looks: nobody wants it any more."""
    async with serving_exports(takes_s=LONG_S) as service:

        async def slowly(request: web.Request, form: dict[str, str]) -> None:
            await asyncio.sleep(0.01)

        for route in ("submit", "status", "info"):
            service.on(route, slowly)
        async with exports_at(service.base_url) as exports:

            async def whole_way() -> None:
                await (await exports.submit(a_query())).wait()

            task = asyncio.create_task(whole_way())
            await asyncio.sleep(0.005 * step)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert service.pending == []
        assert set(service.exports) == service.given_up


@pytest.mark.parametrize("step", range(8))
async def test_cancelled_while_files_come_each_is_whole_or_not_there(step: int, tmp_path: Path) -> None:
    """And what came stays: the next download goes on from it."""
    rows = [(f"hmi.M_720s[2020.01.01_00:{n:02d}:00_TAI][1]", f"{n}.fits") for n in range(6)]
    async with serving_exports(rows=rows, files={f"{FOLDER}/{n}.fits": FITS for n in range(6)}) as service:

        async def slowly(request: web.Request, form: dict[str, str]) -> None:
            await asyncio.sleep(0.01)

        service.on("file", slowly)
        async with exports_at(service.base_url) as exports:
            export = await exports.submit(a_query())
            await export.wait()
            task = asyncio.create_task(export.download(tmp_path, at_once=1))
            await asyncio.sleep(0.008 * step)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert all(path.read_bytes() == FITS for path in tmp_path.glob("*.fits"))
            assert (await export.download(tmp_path, exists="skip", at_once=1)).ok
        assert len(list(tmp_path.glob("*.fits"))) == 6
        assert service.count("file") <= 7


# Many -----------------------------------------------------------------------------------------------------------------


async def test_two_hundred_pass_where_ten_are_allowed() -> None:
    """None is lost, none is made twice, and the service is not stormed with what it has to refuse."""
    async with serving_exports(takes_s=0.05, max_pending=10) as service:
        async with exports_at(service.base_url) as exports:
            queries = [a_query(n=n + 1) for n in range(200)]
            async with asyncio.timeout(60), exports.run(queries, at_once=200) as run:
                outcomes = [outcome async for outcome in run]
        assert [outcome.error for outcome in outcomes if not outcome.ok] == []
        assert len({outcome.request_id for outcome in outcomes}) == 200 == len(service.exports)
        refused = service.count("submit") - 200
        assert refused <= 30


@pytest.mark.parametrize("turns", range(40))
async def test_cancelled_at_any_turn_of_the_loop_nothing_is_left_there(turns: int) -> None:
    """One turn before it is sent, too: then it is not."""
    async with serving_exports(takes_s=LONG_S) as service:
        async with exports_at(service.base_url) as exports:
            task = asyncio.create_task(exports.submit(a_query()))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.done():
                await (await task).cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert service.pending == []


async def test_a_deadline_in_the_middle_of_the_submission_says_what_may_be() -> None:
    """The service may have the export, and nobody knows its identifier."""

    async def slowly(request: web.Request, form: dict[str, str]) -> None:
        await asyncio.sleep(0.5)

    async with serving_exports(takes_s=LONG_S) as service, exports_at(service.base_url) as exports:
        service.on("submit", slowly)
        with pytest.raises(DeadlineExceeded) as caught:
            await exports.submit(a_query(), deadline_s=0.1)
        assert "may have arrived" in caught.value.__notes__[0] and "within a day" in caught.value.__notes__[1]


async def test_a_deadline_ends_the_wait_for_room() -> None:
    """Nothing was accepted, so there is nothing to find again."""
    async with serving_exports(max_pending=0) as service, exports_at(service.base_url) as exports:
        with pytest.raises(DeadlineExceeded) as caught:
            await exports.submit(a_query(), deadline_s=0.1)
        assert caught.value.request_id is None
        assert not getattr(caught.value, "__notes__", ())
        assert service.count("submit") == 1


async def test_a_run_brings_the_files_of_each_export_into_a_folder_of_its_own(tmp_path: Path) -> None:
    """Two exports may call their files the same."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        async with exports.run([a_query(n=1), a_query(n=2)], folder=tmp_path) as run:
            outcomes = [outcome async for outcome in run]
        assert all(outcome.ok and outcome.files for outcome in outcomes)
        found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.fits"))
        assert found == ["hmi.m_720s.0000/a.fits", "hmi.m_720s.0001/a.fits"]


async def test_no_two_exports_of_a_run_share_a_folder(tmp_path: Path) -> None:
    """Their files may have the same names; the second is refused before it is sent."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        async with exports.run([a_query(n=1), a_query(n=2)], folder=tmp_path, name=lambda index, query: "one") as run:
            outcomes = sorted([outcome async for outcome in run], key=lambda outcome: outcome.index)
        assert [outcome.ok for outcome in outcomes] == [True, False]
        assert "folder of another export" in str(outcomes[1].error)
        assert service.count("submit") == 1


@pytest.mark.parametrize("at_once", [0, -1, True, 1.5])
async def test_no_file_at_once_is_none(at_once: Any, tmp_path: Path) -> None:
    """Nor is zero taken for "as configured"."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query())
        with pytest.raises(InvalidInput, match="at_once"):
            await export.download(tmp_path, at_once=at_once)


async def test_an_export_of_a_run_whose_files_fail_has_an_error_and_a_report(tmp_path: Path) -> None:
    """What came is there; what did not is named."""
    async with serving_exports() as service, exports_at(service.base_url) as exports:
        service.rows.append(("hmi.M_720s[2020.01.01_00:12:00_TAI][1]", "gone.fits"))
        async with exports.run([a_query()], folder=tmp_path) as run:
            (outcome,) = [outcome async for outcome in run]
        assert not outcome.ok
        assert [file.ok for file in outcome.files or ()] == [True, False]


async def test_the_rows_that_a_user_kept_are_what_comes() -> None:
    """From a query, through a filter, to the files: against the local service."""
    with LocalServer() as server:
        async with Jsoc(base_url=server.base_url, email=server.email) as client:
            found = await client.query(
                "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]", keywords="T_REC, WAVELNTH, EXPTIME"
            )
            kept = found.where(lambda row: row["WAVELNTH"] == 211 and row["EXPTIME"] < 2)[:5]
            files = await (await client.export(kept)).files()
        assert len(found) == 357
        assert len({file.record.partition("{")[0] for file in files}) == 5


async def test_it_works_with_the_local_service(tmp_path: Path) -> None:
    """Each kind of export the way it goes, against a server that is not made for this test."""
    sharp = "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]{continuum, magnetogram}"
    queries = {
        "quick": ExportQuery("hmi.v_45s[2016.04.01_TAI/90s]{Dopplergram}"),
        "fits": ExportQuery(sharp, protocol="fits"),
        "tar": ExportQuery(sharp, protocol="fits", method="url-tar"),
        "movie": ExportQuery("hmi.m_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}", protocol="mpg"),
    }
    with LocalServer(jsoc={"export_s": 0.05}) as server:
        assert server.email is not None
        async with exports_at(server.base_url, email=server.email) as exports:
            for name, query in queries.items():
                export = await exports.submit(query)
                download = await export.download(tmp_path / name)
                download.raise_for_failures()
                assert len(download.paths) >= 2
                again = await exports.resume(export.request_id).download(tmp_path / name)
                assert sum(file.fetched_bytes for file in again) == 0
            with pytest.raises(NoSuchExport):
                await exports.resume("JSOC_20990101_001").wait()
    assert (tmp_path / "quick" / "hmi.v_45s.20160401_000000_TAI.2.Dopplergram.fits").exists()
