"""Who is let in: keys, passwords and tokens; whose searches are whose; what administrators may do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aurora_async.server.app import Account, LocalService, Login, ServiceSettings

ADMIN = {"x-aurorax-api-key": "key-admin"}
USER = {"x-aurorax-api-key": "key-user"}
LOGINS = (
    Login(Account(role="Administrator", email_address="admin@example.org"), "secret:of:the:admin"),
    Login(Account(email_address="user@example.org"), "secret of the user"),
)
LOGIN = "/api/v1/authenticate"
ACCOUNT = {
    "account_id", "upload_username", "email_address", "email_confirmed", "first_name", "last_name", "role",
    "agree_terms", "this_login", "last_login", "disabled",
}  # fmt: skip


async def log_in(client: Any, email_address: str = "user@example.org", password: str = "secret of the user") -> Any:
    """Return the header with the token, and the account."""
    body = {"email_address": email_address, "password": password}
    status, headers, account = await client.call("POST", LOGIN, json=body)
    assert status == 200, account
    return {"Authorization": headers["Authorization"]}, account


async def test_a_password_is_exchanged_for_a_token(serve: Any) -> None:
    """The token does what a key does, until the session is ended."""
    async with serve(logins=LOGINS) as client:
        token, account = await log_in(client, "admin@example.org", "secret:of:the:admin")
        assert token["Authorization"].startswith("Bearer ") and set(account) == ACCOUNT
        assert (account["role"], account["disabled"], account["last_login"]) == ("Administrator", False, None)
        listed = await client.get("/api/v1/accounts", headers=token)
        assert {one["email_address"] for one in listed} >= {"admin@example.org", "owner@example.org"}
        _, again = await log_in(client, "admin@example.org", "secret:of:the:admin")
        assert again["account_id"] == account["account_id"] and again["last_login"] == account["this_login"]
        assert (await client.call("POST", f"{LOGIN}/end_session", headers=token))[0] == 200
        for path in ("/api/v1/accounts", "/api/v1/data_sources/3", "/api/v1/utils/timezones"):
            status, _, error = await client.call("GET", path, headers=token)
            assert (status, error["error_code"]) == (401, "NotAuthenticated"), path
        assert (await client.call("POST", f"{LOGIN}/end_session", headers=token))[0] == 401
        assert (await client.call("POST", f"{LOGIN}/end_session"))[0] == 400
        # Whoever logs in anew may still carry the dead one.
        body = {"email_address": "user@example.org", "password": "secret of the user"}
        assert (await client.call("POST", LOGIN, json=body, headers=token))[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email_address": "user@example.org", "password": "wrong"}, 401, "NotAuthenticated"),
        ({"email_address": "nobody@example.org", "password": "secret of the user"}, 401, "NotAuthenticated"),
        ({"email_address": "owner@example.org", "password": ""}, 401, "NotAuthenticated"),
        ({"email_address": "user@example.org"}, 400, "AssertionError"),
        ({"email_address": "user@example.org", "password": None}, 400, "AssertionError"),
        ([], 400, "AssertionError"),
    ],
)
async def test_a_wrong_login_is_refused(serve: Any, body: Any, status: int, code: str) -> None:
    """Nobody learns whether it was the address or the password."""
    async with serve(logins=LOGINS) as client:
        found, headers, error = await client.call("POST", LOGIN, json=body)
        assert (found, error["error_code"]) == (status, code)
        assert "Authorization" not in headers
        if status == 401:
            assert error["error_message"] == "the email address and password combination is incorrect"


async def test_a_token_dies_of_disuse(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its life, half an hour, begins anew with each use, also across a restart."""
    now = [1_600_000_000_000_000]
    monkeypatch.setattr("aurora_async.server.aurorax.accounts.now_us", lambda: now[0])
    path, minute = "/api/v1/data_sources/3", 60_000_000
    async with serve(logins=LOGINS, data_dir=tmp_path) as client:
        token, _ = await log_in(client)
        for _ in range(4):
            now[0] += 29 * minute
            await client.get(path, headers=token)
    async with serve(logins=LOGINS, data_dir=tmp_path) as client:
        now[0] += 29 * minute
        await client.get(path, headers=token)
        now[0] += 31 * minute
        assert (await client.call("GET", path, headers=token))[0] == 401
        now[0] -= 31 * minute
        assert (await client.call("GET", path, headers=token))[0] == 401


async def test_a_token_outlives_the_service_but_not_its_account(serve: Any, tmp_path: Path) -> None:
    """Logged in stays logged in over a restart; neither token nor password can be read from the database."""
    async with serve(logins=LOGINS, data_dir=tmp_path) as client:
        token, first = await log_in(client)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("service.sqlite*"))
    assert b"secret of the user" not in stored and token["Authorization"][7:].encode() not in stored
    async with serve(logins=LOGINS, data_dir=tmp_path) as client:
        await client.get("/api/v1/data_sources/3", headers=token)
        assert (await log_in(client))[1]["last_login"] == first["this_login"]
    async with serve(logins=LOGINS[:1], data_dir=tmp_path) as client:
        assert (await client.call("GET", "/api/v1/data_sources/3", headers=token))[0] == 401


async def test_another_scheme_is_no_token(serve: Any) -> None:
    """A name and a password in the header, as other services want them, are not what this one understands."""
    async with serve(logins=LOGINS) as client:
        headers = {"Authorization": "Basic dXNlcjpzZWNyZXQ="}
        assert (await client.call("GET", "/api/v1/data_sources/3", headers=headers))[0] == 401


async def test_accounts_are_listed_for_administrators(serve: Any) -> None:
    """All, or those of a role; one that has a key and a password is one account."""
    async with serve(logins=LOGINS) as client:
        everybody = await client.get("/api/v1/accounts", headers=ADMIN)
        assert [(one["email_address"], one["role"]) for one in everybody] == [
            ("admin@example.org", "Administrator"), ("maintainer@example.org", "Maintainer"),
            ("other@example.org", "Owner"), ("owner@example.org", "Owner"), ("user@example.org", "User"),
        ]  # fmt: skip
        assert all(set(one) == ACCOUNT for one in everybody)
        owners = await client.get("/api/v1/accounts?role=Owner", headers=ADMIN)
        assert owners == [one for one in everybody if one["role"] == "Owner"]
        assert (await client.call("GET", "/api/v1/accounts?role=King", headers=ADMIN))[0] == 400
        assert (await client.call("GET", "/api/v1/accounts"))[0] == 401
        assert (await client.call("GET", "/api/v1/accounts", headers=USER))[0] == 403


async def test_a_search_with_a_key_is_private(serve: Any, queries: Any) -> None:
    """To its owner and to administrators; for everybody else it does not exist, and cannot be deleted."""
    async with serve(logins=LOGINS) as client:
        path = await client.submit("ephemeris", queries.ephemeris(), headers=USER)
        token, _ = await log_in(client)
        for headers in (USER, token, ADMIN):
            while (await client.get(path, headers=headers))["search_result"]["data_uri"] is None:
                await asyncio.sleep(0.01)
            assert len((await client.get(f"{path}/data", headers=headers))["result"]) == 10
        for headers in ({}, {"x-aurorax-api-key": "key-owner"}, {"x-aurorax-api-key": "nobody"}):
            for method, where in (("GET", path), ("DELETE", path), ("GET", f"{path}/data"), ("DELETE", f"{path}/data")):
                status, _, error = await client.call(method, where, headers=headers)
                assert (status, error["error_code"]) == (404, "NotFound"), (method, where)
        (listed,) = await client.get("/api/v1/utils/admin/search_requests", headers=ADMIN)
        assert listed["request_id"] == path.rpartition("/")[2]
        assert (await client.call("DELETE", path, headers=USER))[0] == 200


async def test_what_writes_is_offline_in_maintenance(serve: Any, queries: Any) -> None:
    """Reading and searching go on; an administrator switches it on and off."""
    switch = "/api/v1/utils/admin/maintenance"
    path = "/api/v1/data_sources/3"
    writes = [
        ("POST", "/api/v1/data_sources"), ("PUT", path), ("PATCH", path), ("DELETE", path),
        ("POST", f"{path}/ephemeris"), ("DELETE", f"{path}/ephemeris"),
        ("POST", f"{path}/data_products"), ("DELETE", f"{path}/data_products"),
        ("GET", "/api/v1/availability/ephemeris?slow=true&start=2020-01-01&end=2020-01-01"),
        ("GET", "/api/v1/availability/data_products?slow=True&start=2020-01-01&end=2020-01-01"),
    ]  # fmt: skip
    async with serve(maintenance=True) as client:
        for method, where in writes:
            status, _, error = await client.call(method, where, json=[], headers=ADMIN)
            assert (status, error["error_code"]) == (503, "Unavailable"), (method, where)
            assert "maintenance mode" in error["error_message"]
        assert await client.get(path)
        assert len(await client.records("ephemeris", queries.ephemeris())) == 10
        assert await client.get(switch, headers=ADMIN) == {"maintenance": True}
        for headers, status in (({}, 401), (USER, 403)):
            assert (await client.call("PUT", switch, json={"maintenance": False}, headers=headers))[0] == status
        for wrong in ({}, [], {"maintenance": "off"}):
            assert (await client.call("PUT", switch, json=wrong, headers=ADMIN))[0] == 400
        off = await client.call("PUT", switch, json={"maintenance": False}, headers=ADMIN)
        assert (off[0], off[2]) == (200, {"maintenance": False})
        assert (await client.call("POST", f"{path}/ephemeris", json=[], headers=ADMIN))[0] == 202


async def test_the_service_object_switches_maintenance() -> None:
    """For tests of what a client does about it."""
    service = LocalService(ServiceSettings(workers=0, maintenance=True))
    with pytest.raises(RuntimeError, match="not running"):
        _ = service.maintenance
    async with service:
        assert service.maintenance
        service.maintenance = False
        assert not service.maintenance


async def test_a_service_starts_in_the_mode_it_ended_in(tmp_path: Path) -> None:
    """However it was switched on; only somebody who switches it off does that, not a restart without the option."""
    for settings, expected, wanted in (({"maintenance": True}, True, None), ({}, True, False), ({}, False, True)):
        async with LocalService(ServiceSettings(workers=0, data_dir=tmp_path, **settings)) as service:
            assert service.maintenance is expected
            if wanted is not None:
                service.maintenance = wanted
    async with LocalService(ServiceSettings(workers=0, data_dir=tmp_path)) as service:
        assert service.maintenance
