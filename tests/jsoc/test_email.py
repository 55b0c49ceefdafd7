"""E-mail addresses: whether they are registered, having them registered, and their pending exports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from aiohttp import web
from support.scripted import quick_config
from support.scripted_jsoc import jsoc_of, serving_jsoc

from aurora_async.errors import DeadlineExceeded, InvalidInput
from aurora_async.jsoc import AddressCheckFailed, Jsoc, JsocServer
from aurora_async.server.app import LocalService, ServiceSettings
from aurora_async.server.jsoc.settings import JsocSettings

REGISTERED = {"status": 2, "msg": "Email address is valid and registered."}
STARTED = {"status": 1, "msg": "mail sent"}
PENDING = {"status": 3, "msg": "Email-address registration is pending. Please wait and try again later."}
UNKNOWN = {"status": 4, "msg": "email address has been neither validated nor registered"}


def quickly(base_url: str) -> Jsoc:
    """A client that looks for the reply to a mail every hundredth of a second."""
    server = attrs.evolve(JsocServer.at(base_url), least_look_s=0.01)
    return Jsoc(quick_config(base_url), server=server)


def in_turn(*answers: Any) -> Any:
    """Answer with one after the other; a number is an error status."""
    left: Iterator[Any] = iter(answers)

    async def answer(form: dict[str, str]) -> web.StreamResponse:
        found = next(left)
        return web.Response(status=found) if isinstance(found, int) else web.json_response(found)

    return answer


async def test_an_address_is_checked_without_side_effects() -> None:
    """Encoded twice, because the service takes both off; without `checkonly` it would send a mail."""
    async with serving_jsoc(**{"checkAddress.sh": REGISTERED}) as service, jsoc_of(service) as jsoc:
        status = await jsoc.check_email(" me+sun@example.com")
        assert service.asked == [{"address": "me%2Bsun%40example.com", "checkonly": "1"}]
    assert (status.address, status.is_registered) == ("me+sun@example.com", True)


async def test_the_clients_own_address_is_meant_when_none_is_given() -> None:
    """And where there is none either, that is said."""
    async with serving_jsoc(**{"checkAddress.sh": UNKNOWN}) as service:
        async with jsoc_of(service, email="me@example.com") as jsoc:
            assert not (await jsoc.check_email()).is_registered
        async with jsoc_of(service) as jsoc:
            with pytest.raises(InvalidInput, match="give one, or make the client with email="):
                await jsoc.check_email()


@pytest.mark.parametrize(
    "address", ["", "me", "me@", "@example.com", "me@example", "me@exa mple.com", "me@example.com;", 3]
)
async def test_what_is_no_address_is_not_sent(address: Any) -> None:
    """The service looks at its beginning only, and would register the rest as well."""
    async with serving_jsoc() as service, jsoc_of(service) as jsoc:
        for verb in (jsoc.check_email, jsoc.register_email, jsoc.pending, jsoc.cancel_pending):
            with pytest.raises(InvalidInput, match="is not an e-mail address"):
                await verb(address)
        assert service.asked == []


async def test_a_registration_is_waited_for() -> None:
    """The owner of the address replies to a mail; until then the service says that it is pending."""
    answer = in_turn(UNKNOWN, STARTED, PENDING, PENDING, REGISTERED)
    async with serving_jsoc(**{"checkAddress.sh": answer}) as service:
        async with quickly(service.base_url) as jsoc:
            status = await jsoc.register_email("me@example.com", name="Me")
        assert [one.get("checkonly") for one in service.asked] == ["1", None, "1", "1", "1"]
        assert service.asked[1] == {"address": "me%40example.com", "name": "Me"}
    assert status.is_registered


async def test_a_registration_that_nobody_confirms_ends_unregistered() -> None:
    """The service forgets it after some tens of minutes."""
    answer = in_turn(UNKNOWN, STARTED, PENDING, UNKNOWN)
    async with serving_jsoc(**{"checkAddress.sh": answer}) as service, quickly(service.base_url) as jsoc:
        status = await jsoc.register_email("me@example.com")
    assert (status.is_registered, status.is_pending, status.status) == (False, False, 4)


async def test_what_is_registered_or_pending_gets_no_second_mail() -> None:
    """Asking without `checkonly` would send one."""
    async with serving_jsoc(**{"checkAddress.sh": in_turn(REGISTERED, PENDING)}) as service, jsoc_of(service) as jsoc:
        assert (await jsoc.register_email("me@example.com")).is_registered
        assert (await jsoc.register_email("me@example.com", wait=False)).is_pending
        assert [one["checkonly"] for one in service.asked] == ["1", "1"]


async def test_a_wait_for_a_registration_survives_a_network_that_fails() -> None:
    """It lasts as long as a person takes; in that time a server may well be restarted."""
    answer = in_turn(PENDING, *[503] * 6, REGISTERED)
    async with serving_jsoc(**{"checkAddress.sh": answer}) as service, quickly(service.base_url) as jsoc:
        assert (await jsoc.register_email("me@example.com")).is_registered


async def test_a_deadline_ends_the_wait_for_a_registration() -> None:
    """The mail can still be replied to."""
    async with serving_jsoc(**{"checkAddress.sh": PENDING}) as service, jsoc_of(service) as jsoc:
        with pytest.raises(DeadlineExceeded, match=r"registering me@example\.com was not done within 0\.1 s"):
            await jsoc.register_email("me@example.com", deadline_s=0.1)


async def test_a_fault_of_the_service_is_no_answer() -> None:
    """Nothing follows from it for the address."""
    failure = {"status": -6, "msg": "cannot connect to database"}
    async with serving_jsoc(**{"checkAddress.sh": failure}) as service, jsoc_of(service) as jsoc:
        with pytest.raises(AddressCheckFailed, match="status -6, cannot connect to database"):
            await jsoc.check_email("me@example.com")


async def test_pending_exports_are_listed_and_given_up() -> None:
    """All of an address at once: the service knows no other way."""
    listing = {"status": "2", "msg": "me@example.com has 1 pending request (JSOC_20240919_001)"}
    async with (
        serving_jsoc(**{"manage-request.sh": in_turn(listing, {"status": "3", "msg": "cancelled"})}) as service,
        jsoc_of(service, email="me@example.com") as jsoc,
    ):
        assert (await jsoc.pending()).request_ids == ("JSOC_20240919_001",)
        assert not (await jsoc.cancel_pending()).is_pending
        assert service.asked == [
            {"address": "me@example.com", "operation": "check"},
            {"address": "me@example.com", "operation": "cancel"},
        ]


async def test_the_local_service_registers_an_address() -> None:
    """From unknown over pending to registered; one address is registered from the start."""
    settings = ServiceSettings(jsoc=JsocSettings(registration_s=0.05))
    async with LocalService(settings) as service, quickly(service.base_url) as jsoc:
        assert (await jsoc.check_email("demo@example.com")).is_registered
        assert not (await jsoc.check_email("me+sun@example.com")).is_registered
        assert (await jsoc.register_email("me+sun@example.com", wait=False)).is_pending
        assert (await jsoc.register_email("me+sun@example.com")).is_registered
        assert not (await jsoc.pending("me+sun@example.com")).is_pending
        with pytest.raises(AddressCheckFailed, match="Cannot send mail"):
            await jsoc.register_email("me@nowhere.invalid")
