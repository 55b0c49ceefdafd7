"""The check of e-mail addresses: what is registered, what can be, and what is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from conftest import Serve

ADDRESS = "demo@example.com"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (ADDRESS, 2),
        ("Demo@Example.com", 2),
        ("notregistered@example.com", 4),
        ("not-valid", -2),
        ("", -2),
        ("a@b", -2),
        (f"{'a' * 400}@example.com", -2),
    ],
)
@pytest.mark.parametrize("post", [False, True], ids=["get", "post"])
async def test_an_address_is_registered_or_not(serve: Serve, address: str, status: int, post: bool) -> None:
    """The question alone changes nothing."""
    async with serve() as jsoc:
        for _ in range(2):
            answer = await jsoc.cgi("checkAddress.sh", post=post, address=address, checkonly="1")
            assert (list(answer), answer["status"]) == (["status", "msg"], status)


async def test_the_texts_are_those_of_the_service(serve: Serve) -> None:
    """Clients show them to people."""
    async with serve() as jsoc:
        asked = {ADDRESS: "Email address is valid and registered.", "": "Missing required argument 'address'."}
        asked["not-valid"] = "Not a valid email address."
        asked["x@example.com"] = "email address has been neither validated nor registered"
        for address, text in asked.items():
            assert (await jsoc.cgi("checkAddress.sh", address=address, checkonly="1"))["msg"] == text


@pytest.mark.parametrize("address", ["a+b@example.com", "a.b-c_d%e@mail.example.com"])
async def test_an_address_that_is_encoded_twice_is_the_same(serve: Serve, address: str) -> None:
    """As the official client sends it; a plus sign stays one."""
    async with serve(addresses=(address,)) as jsoc:
        twice = quote(quote(address, safe=""), safe="")
        path = f"/cgi-bin/ajax/checkAddress.sh?checkonly=1&address={twice}"
        _, _, body = await jsoc.get(path)
        assert b'"status":2' in body


async def test_an_address_is_registered_a_while_after_it_was_asked_for(serve: Serve) -> None:
    """Pending meanwhile, and pending still when it is asked for again."""
    async with serve(registration_s=0.4) as jsoc:
        new = "new@example.com"
        assert (await jsoc.cgi("checkAddress.sh", address=new, name_="New", post=True))["status"] == 1
        assert (await jsoc.cgi("checkAddress.sh", address=new))["status"] == 3
        pending = await jsoc.cgi("checkAddress.sh", address=new, checkonly="1")
        assert pending["msg"] == "Email-address registration is pending. Please wait and try again later."
        refused = await jsoc.request("hmi.v_45s[$]", notify=new)
        assert refused["status"] == 4 and "pending" in refused["error"]
        async with asyncio.timeout(10):
            while (await jsoc.cgi("checkAddress.sh", address=new.upper(), checkonly="1"))["status"] == 3:
                await asyncio.sleep(0.02)
        assert (await jsoc.cgi("checkAddress.sh", address=new))["status"] == 2
        assert (await jsoc.request("hmi.v_45s[$]", notify=new, method="url_quick"))["status"] == 0


async def test_a_registration_is_kept_when_the_service_ends(serve: Serve) -> None:
    """It is in the same database as everything else."""
    async with serve(registration_s=0.0) as jsoc:
        assert (await jsoc.cgi("checkAddress.sh", address="kept@example.com"))["status"] == 1
    async with serve(registration_s=0.0) as jsoc:
        assert (await jsoc.cgi("checkAddress.sh", address="kept@example.com", checkonly="1"))["status"] == 2


async def test_no_mail_reaches_what_cannot_exist(serve: Serve) -> None:
    """So that a client can be tried with a registration that fails."""
    async with serve() as jsoc:
        assert (await jsoc.cgi("checkAddress.sh", address="me@nowhere.inval"))["status"] == 1
        assert (await jsoc.cgi("checkAddress.sh", address="me@mail.test.invalid"))["status"] == -3
