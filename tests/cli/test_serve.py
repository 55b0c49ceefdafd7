"""`serve`: who is let in and what goes wrong, as written on the command line."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from aurora_async.cli import serve
from aurora_async.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "email_address", "password", "role"),
    [
        ("a@example.org:secret", "a@example.org", "secret", "User"),
        ("a@example.org:secret:owner", "a@example.org", "secret", "Owner"),
        ("a@example.org:se:cr:et:Administrator", "a@example.org", "se:cr:et", "Administrator"),
        ("a@example.org:se:cret", "a@example.org", "se:cret", "User"),
        # A password that is the name of a role is still a password.
        ("a@example.org:Owner", "a@example.org", "Owner", "User"),
    ],
)
def test_an_account_is_address_password_and_role(text: str, email_address: str, password: str, role: str) -> None:
    """The password may hold colons; without a role it is a user's."""
    login = serve._login(text)
    assert (login.account.email_address, login.password, login.account.role) == (email_address, password, role)
    assert password not in repr(login) or password == role


@pytest.mark.parametrize("text", ["", "a@example.org", "a@example.org:", ":secret", "::Owner"])
def test_half_an_account_is_refused(text: str) -> None:
    """With the form that is wanted."""
    with pytest.raises(InvalidInput, match="EMAIL:PASSWORD:ROLE"):
        serve._login(text)


@pytest.mark.parametrize(
    ("text", "key", "role"),
    [("key", "key", "User"), ("key:maintainer", "key", "Maintainer"), ("k:e:y:Owner", "k:e:y", "Owner")],
)
def test_a_key_may_have_a_role(text: str, key: str, role: str) -> None:
    """Keys of different roles are different people: one's searches are not the other's."""
    found, account = serve._account(text)
    assert (found, account.role, account.email_address) == (key, role, f"{role.lower()}@localhost")


@pytest.mark.parametrize("text", ["", ":Owner", "key:king"])
def test_half_a_key_is_refused(text: str) -> None:
    """With the roles there are."""
    with pytest.raises(InvalidInput, match="Administrator"):
        serve._account(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[faults]]\nstatus = 503\n[[faults]]\ncut_after = -1", "faults.toml: faults[1].cut_after: -1 is not a whole"),
        ("[[faults]]\ncut_afer = 1", "faults.toml: faults[0].cut_afer: is unknown; do you mean cut_after?"),
        ("[[faults]", "faults.toml: cannot be understood: "),
        (None, "faults.toml: cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_file_of_faults_is_one_line(shell: Any, here: Any, text: str | None, said: str) -> None:
    """With the file and the place in it; nothing is started."""
    if text is not None:
        (shell.folder / "faults.toml").write_text(text)
    ran = here("serve", "--port", "0", "--faults", "faults.toml")
    assert (ran.code, ran.stdout) == (2, b"")
    assert ran.error.startswith(said)


def test_a_server_with_faults_says_so_and_has_them(shell: Any) -> None:
    """Nobody shall look for a bug where a forgotten option is to blame."""
    Path(shell.folder, "faults.toml").write_text('[[faults]]\npath = "/api/*"\nstatus = 418\n')
    with shell.start("serve", "--port", "0", "--workers", "0", "--faults", "faults.toml") as process:
        try:
            base_url = process.stdout.readline().decode().removeprefix("listening on ").strip()
            assert process.stdout.readline() == b"faults are on: 1 rule of faults.toml\n"
            assert process.stdout.readline().decode() == f"AuroraX:  {base_url}/api/v1/\n"
            with pytest.raises(HTTPError, match="418"):
                urllib.request.urlopen(f"{base_url}/api/v1/data_sources")
            with urllib.request.urlopen(f"{base_url}/_local/faults") as answer:
                (fault,) = json.load(answer)["faults"]
            assert fault["hits"] == 1
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0


def test_jsoc_is_served_as_the_options_say(shell: Any) -> None:
    """Who may export, how long it takes and what is refused; all of it is told, or asked for, over HTTP."""
    people = [f"{name}@example.org" for name in ("me", "you", "another")]
    options = (*(word for one in people for word in ("--jsoc-address", one)), "--jsoc-export-time", "600")
    limits = ("--jsoc-max-mb", "100", "--jsoc-offline", "hmi.v_45s", "--jsoc-export-life", "3600")
    pending = ("--jsoc-max-pending", "1", "--jsoc-max-pending-per-ip", "2")
    with shell.start("serve", "--port", "0", "--workers", "0", *options, *limits, *pending) as process:
        try:
            base_url = process.stdout.readline().decode().removeprefix("listening on ").strip()
            said = [process.stdout.readline().decode() for _ in range(2)]
            assert said[1] == f"JSOC:     {base_url}/cgi-bin/ajax/, with exports for {', '.join(people)}\n"

            def export(ds: str, notify: str = "me@example.org") -> dict[str, Any]:
                sent = urlencode({"op": "exp_request", "ds": ds, "notify": notify, "protocol": "fits"})
                with urllib.request.urlopen(f"{base_url}/cgi-bin/ajax/jsoc_fetch?{sent}") as answer:
                    document: dict[str, Any] = json.load(answer)
                    return document

            assert export("hmi.m_720s[2017.12.03_TAI]", "demo@example.com")["status"] == 4
            assert export("hmi.v_45s[2017.12.03_TAI]")["status"] == 25
            assert export("hmi.m_720s[2017.12.03_TAI/1d]")["status"] == 3
            accepted = export("hmi.m_720s[2017.12.03_TAI]")
            assert (accepted["status"], accepted["wait"]) == (2, 600)
            refused = export("hmi.m_720s[2017.12.04_TAI]")
            assert refused["status"] == 7 and refused["error"].startswith("User me@example.org has 1 pending")
            assert export("hmi.m_720s[2017.12.05_TAI]", people[1])["status"] == 2
            refused = export("hmi.m_720s[2017.12.06_TAI]", people[2])
            assert refused["status"] == 7 and refused["error"].startswith("There are too many requests from 127.0.0.1")
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "key", "scope"), [("key", "key", "full"), ("key:read", "key", "read"), ("k:e:y:full", "k:e:y", "full")]
)
def test_a_key_of_imap_may_have_a_scope(text: str, key: str, scope: str) -> None:
    """Without one it may do everything."""
    assert serve._imap_key(text) == (key, scope)


@pytest.mark.parametrize("text", ["", ":read", "key:all"])
def test_half_a_key_of_imap_is_refused(text: str) -> None:
    """With the scopes there are."""
    with pytest.raises(InvalidInput, match="full, read"):
        serve._imap_key(text)


def test_imap_is_served_as_the_options_say(shell: Any) -> None:
    """Who is let in, what there is, and where its files come from; both addresses are told."""
    (shell.folder / "files").mkdir()
    (shell.folder / "files" / "imap_mag_l2_norm-dsrf_20260101_v001.0001.cdf").write_bytes(b"own")
    who = ("--imap-key", "mine", "--imap-key", "theirs:read", "--imap-token", "token")
    what = ("--imap-empty", "--imap-files", "files", "--imap-link-life", "3600", "--imap-objects-refuse-keys")
    with shell.start("serve", "--port", "0", "--workers", "0", *who, *what) as process:
        try:
            said = [process.stdout.readline().decode() for _ in range(5)]
            base_url = said[0].removeprefix("listening on ").strip()
            assert said[3] == f"IMAP:     {base_url}/imap, with 2 API keys\n"
            objects_url = said[4].removeprefix("IMAP objects: ").strip()

            def ask(path: str, **headers: str) -> Any:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return urllib.request.urlopen(urllib.request.Request(f"{base_url}/imap{path}", headers=named))

            with pytest.raises(HTTPError, match="403"):
                ask("/api-key/query?instrument=mag", x_api_key="imap-demo-key", User_Agent="tests")
            with ask("/authorized/query?instrument=mag", Authorization="Bearer token", User_Agent="tests") as answer:
                (row,) = json.load(answer)
            with pytest.raises(HTTPError, match="403") as refused:  # the key goes with the redirect
                ask(f"/api-key/download/{row['file_path']}", x_api_key="mine")
            with refused.value as answer:
                link = str(answer.url)
            assert link.startswith(objects_url) and "X-Amz-Expires=3600" in link
            with urllib.request.urlopen(link) as answer:
                assert answer.read() == b"own"
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0
