"""Tokens beside keys, and what else the client asks: accounts, time zones, anything at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from aiohttp import web
from support.clients import ClientAs
from support.scripted import Scripted, client_of, error, serving

from aurora_async import AuroraX
from aurora_async.errors import BadRequest, Forbidden, InvalidInput, MalformedAnswer, NotFound, Unauthorized

PASSWORD = "correct horse"


class Doorman:
    """A service that gives tokens which live for so many uses."""

    def __init__(self, uses: int) -> None:
        self.uses = uses
        self.logins = 0
        self.left: dict[str, int] = {}
        self.sent: list[tuple[str, str | None, str | None]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization")
        self.sent.append((request.path, token, request.headers.get("x-aurorax-api-key")))
        if request.path == "/api/v1/authenticate":
            document = await request.json()
            if document != {"email_address": "a@example.org", "password": PASSWORD}:
                return error(401, "NotAuthenticated", "wrong address or password")
            self.logins += 1
            token = f"Bearer token-{self.logins}"
            self.left[token] = self.uses
            account = {"email_address": "a@example.org", "role": "Owner"}
            return web.json_response(account, headers={"Authorization": token})
        if self.left.get(token or "", 0) < 1:
            return error(401, "NotAuthenticated", "the token is not valid")
        if request.path == "/api/v1/authenticate/end_session":
            self.left.pop(token or "")
            return web.Response()
        self.left[token or ""] -= 1
        return web.json_response(["UTC"])


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A scripted service on loopback."""
    async with serving(Scripted()) as running:
        yield running


async def test_a_token_is_used_and_renewed_when_it_has_died(scripted: Scripted) -> None:
    """Three uses each: seven calls need three logins, and none of them fails."""
    door = Doorman(uses=3)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        account = await client.authenticate("a@example.org", PASSWORD)
        assert account.role == "Owner"
        for _ in range(7):
            assert await client.time_zones() == ["UTC"]
    assert door.logins == 3


async def test_many_that_find_the_token_dead_renew_it_once(scripted: Scripted) -> None:
    """A herd of logins is what locks an account."""
    door = Doorman(uses=1000)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        await client.authenticate("a@example.org", PASSWORD)
        door.left.clear()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(client.time_zones)
    assert door.logins == 2


async def test_the_api_key_stays_at_home_while_logging_in(scripted: Scripted) -> None:
    """Who logs in is not yet anybody."""
    door = Doorman(uses=9)
    scripted.on("other", door.answer)
    async with AuroraX(base_url=scripted.base_url, api_key="secret-key") as client:
        await client.authenticate("a@example.org", PASSWORD)
        await client.time_zones()
    assert door.sent[0] == ("/api/v1/authenticate", None, None)
    assert door.sent[1] == ("/api/v1/utils/timezones", "Bearer token-1", "secret-key")


async def test_a_password_that_has_been_changed_ends_the_renewing(scripted: Scripted) -> None:
    """The refusal reaches the caller; nothing goes in circles."""
    door = Doorman(uses=1)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        await client.authenticate("a@example.org", PASSWORD)
        await client.time_zones()

        async def refuse(request: web.Request) -> web.StreamResponse:
            door.sent.append((request.path, None, None))
            return error(401, "NotAuthenticated", "no")

        scripted.on("other", refuse)
        door.sent.clear()
        with pytest.raises(Unauthorized):
            await client.time_zones()
    assert [path for path, _, _ in door.sent] == ["/api/v1/utils/timezones", "/api/v1/authenticate"]


async def test_a_refused_renewal_is_told_to_all_and_asked_for_once(scripted: Scripted) -> None:
    """Twenty requests that find the token dead must not be twenty failed logins, which lock an account."""
    door = Doorman(uses=1000)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        await client.authenticate("a@example.org", PASSWORD)

        async def refuse(request: web.Request) -> web.StreamResponse:
            door.sent.append((request.path, None, None))
            return error(401, "NotAuthenticated", "no")

        scripted.on("other", refuse)
        door.sent.clear()
        results = await asyncio.gather(*(client.time_zones() for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {Unauthorized}
    assert [path for path, _, _ in door.sent].count("/api/v1/authenticate") == 1


async def test_a_login_goes_to_no_other_origin(scripted: Scripted) -> None:
    """A redirect would hand the password to whoever it names."""
    heard: list[bytes] = []

    async def listen(request: web.Request) -> web.StreamResponse:
        heard.append(await request.read())
        return web.json_response({"email_address": "a@example.org"}, headers={"Authorization": "Bearer x"})

    async with serving(Scripted()) as other:
        other.on("other", listen)

        async def send_on(request: web.Request) -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(f"{other.base_url}/api/v1/authenticate")

        scripted.on("other", send_on)
        async with client_of(scripted) as client:
            with pytest.raises(MalformedAnswer, match="nothing was sent there"):
                await client.authenticate("a@example.org", PASSWORD)
    assert heard == []


async def test_credentials_of_ones_own_are_not_renewed(scripted: Scripted) -> None:
    """It is the caller's header that was refused; a new token of ours would not help."""
    door = Doorman(uses=9)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        await client.authenticate("a@example.org", PASSWORD)
        with pytest.raises(Unauthorized):
            await client.request("GET", "/api/v1/x", headers={"authorization": "Bearer mine"})
    assert door.logins == 1


async def test_end_session_forgets_the_token_on_both_sides(scripted: Scripted) -> None:
    """Also when it had died already; without a login it does nothing worth an error."""
    door = Doorman(uses=9)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        await client.end_session()
        assert door.sent == []
        await client.authenticate("a@example.org", PASSWORD)
        await client.end_session()
        assert door.left == {}
        with pytest.raises(Unauthorized):
            await client.time_zones()
        await client.authenticate("a@example.org", PASSWORD)
        door.left.clear()
        await client.end_session()
    assert door.logins == 2
    assert door.sent[-1][:2] == ("/api/v1/authenticate/end_session", "Bearer token-2")


async def test_neither_password_nor_token_is_ever_shown(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    """Not in logs, not in errors, not in a repr."""
    caplog.set_level(logging.DEBUG)
    door = Doorman(uses=1)
    scripted.on("other", door.answer)
    async with client_of(scripted) as client:
        await client.authenticate("a@example.org", PASSWORD)
        await client.time_zones()
        await client.time_zones()
        shown = [repr(client), repr(client.config), caplog.text]
        with pytest.raises(Unauthorized) as caught:
            await client.authenticate("a@example.org", "wrong " + PASSWORD)
        shown += [str(caught.value), repr(caught.value)]
    assert not any(PASSWORD in text or "token-" in text for text in shown)


async def test_a_login_without_a_token_is_no_login(scripted: Scripted) -> None:
    """What a login is for is missing."""

    async def forget(request: web.Request) -> web.StreamResponse:
        return web.json_response({"email_address": "a@example.org"})

    scripted.on("other", forget)
    async with client_of(scripted) as client:
        with pytest.raises(MalformedAnswer, match="Authorization"):
            await client.authenticate("a@example.org", PASSWORD)
        with pytest.raises(InvalidInput):
            await client.authenticate("", PASSWORD)


class TestAdministration:
    """What only administrators may do, against the local service."""

    async def test_search_requests_are_listed_filtered_and_deleted(self, client_as: ClientAs) -> None:
        """Every filter works, also the ones the official client loses."""
        query: dict[str, Any] = {"start": "2020-01-01T00:00", "end": "2020-01-01T00:09"}
        async with client_as(None) as anyone, client_as("administrator") as administrator:
            done = await anyone.ephemeris.submit(query | {"data_sources": {"platforms": ["swarma"]}})
            await done.wait()
            other = await anyone.data_products.submit(query | {"data_sources": {"programs": ["trex"]}})
            await other.wait()
            admin = administrator.admin
            both = {one.request_id: one for one in await admin.search_requests()}
            assert both.keys() == {done.request_id, other.request_id}
            first = both[done.request_id]
            assert (first.search_type, first.active, first.result_count) == ("ephemeris", False, 10)
            assert first.requested.utcoffset() is not None
            for filters, expected in (
                ({"search_type": "ephemeris"}, {done.request_id}),
                ({"search_type": "data_product"}, {other.request_id}),
                ({"active": True}, set()),
                ({"active": False}, both.keys()),
                ({"result_count": 10}, {one for one, its in both.items() if (its.result_count or 0) >= 10}),
                ({"file_size_kb": 1_000_000}, set()),
                ({"query_duration_ms": 10**9}, set()),
                ({"error_condition": True}, set()),
                ({"error_condition": False}, both.keys()),
                ({"start": "2000", "end": "2001"}, set()),
                ({"start": "2000"}, both.keys()),
            ):
                found = await admin.search_requests(**filters)
                assert {one.request_id for one in found} == expected, filters
            await admin.delete_search_request(done.request_id)
            assert [one.request_id for one in await admin.search_requests()] == [other.request_id]
            with pytest.raises(NotFound):
                await anyone.ephemeris.status(done.request_id)

    async def test_accounts_are_listed_by_role(self, client_as: ClientAs) -> None:
        """For administrators alone."""
        async with client_as("administrator") as administrator, client_as("owner") as owner:
            everybody = await administrator.admin.accounts()
            assert {one.role for one in everybody} == {"User", "Maintainer", "Owner", "Administrator"}
            (one,) = await administrator.admin.accounts(role="Owner")
            assert one.email_address == "owner@example.org"
            with pytest.raises(Forbidden):
                await owner.admin.accounts()
            with pytest.raises(InvalidInput, match="role"):
                await administrator.admin.accounts(role="King")


async def test_time_zones_and_a_clock_in_one(client: AuroraX) -> None:
    """What the observer's clock showed, as an instant."""
    assert "America/Edmonton" in await client.time_zones()
    noon = datetime(2020, 1, 1, 19, tzinfo=UTC)
    assert await client.to_utc("2020-01-01T12:00:00", "America/Edmonton") == noon
    assert await client.to_utc(datetime(2020, 1, 1, 12), "America/Edmonton") == noon
    with pytest.raises(BadRequest):
        await client.to_utc("2020-01-01T12:00:00", "America/Atlantis")
    with pytest.raises(InvalidInput):
        await client.to_utc("", "UTC")
    with pytest.raises(InvalidInput, match="fold"):
        await client.to_utc(datetime(2020, 11, 1, 1, 30, fold=1), "America/Edmonton")


async def test_any_request_can_be_made(client: AuroraX) -> None:
    """Status, headers and body as they came; parameters and JSON are encoded here."""
    answer = await client.request("GET", "/api/v1/data_sources", params={"platform": "swarma", "include_stats": True})
    (source,) = answer.json()
    assert (answer.status, source["platform"]) == (200, "swarma")
    assert source["stats"]["ephemeris_count"] > 0
    found = await client.request("post", "/api/v1/data_sources/search", body={"platforms": ["swarma"]})
    assert found.json()[0]["identifier"] == source["identifier"]
    with pytest.raises(NotFound):
        await client.request("GET", "/api/v1/nothing")
    both = await client.request("GET", "/api/v1/data_sources", params={"platform": ["swarma"], "owner": None})
    assert both.json()[0]["identifier"] == source["identifier"]
    text = await client.request("POST", "/api/v1/data_sources/search", body='{"platforms": ["swarma"]}')
    assert text.json() == found.json()
    wrong: list[tuple[tuple[str, str], dict[str, Any], str]] = [
        (("G T", "/x"), {}, "method"),
        (("GET", "x"), {}, "path"),
        (("GET", ""), {}, "path"),
        (("GET", "/x"), {"params": ["a"]}, "params"),
        (("GET", "/x"), {"headers": {"x": 5}}, "headers.x"),
    ]
    for arguments, options, field in wrong:
        with pytest.raises(InvalidInput) as caught:
            await client.request(*arguments, **options)
        assert caught.value.field == field
    with pytest.raises(InvalidInput, match="JSON"):
        await client.request("POST", "/x", body=object())
