"""`serve`: who is let in, as written on the command line."""

from __future__ import annotations

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
