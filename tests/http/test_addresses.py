"""Addresses made the short way are those that yarl would make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import sampled_from, text

from aurora_async.errors import InvalidInput
from aurora_async.http._addresses import Address, as_url

HOME = Address("http://data.example:8080/api", "http://data.example:8080", "/api")


@given(path=text("/a.~-_%2fF?&=;,:@!$'()*+[]# ü\r\n\"\\^{|}<>`"))
def test_a_path_is_understood_as_yarl_would(path: str) -> None:
    """Whether it is encoded already or must be: what is sent, and what is shown."""
    url = as_url(HOME.text + "/" + path)
    assert HOME.below("/" + path) == Address(str(url), HOME.origin, url.raw_path_qs)


@given(path=text())
def test_no_path_leaves_its_origin_or_its_line(path: str) -> None:
    """A request line ends where it should, whatever is asked for."""
    address = HOME.below("/" + path)
    assert address.text.startswith(HOME.text + "/")
    assert address.target.startswith("/api/")
    assert address.target.isascii() and address.target.isprintable() and " " not in address.target


@pytest.mark.parametrize(
    ("target", "is_signed"),
    [
        ("/x?X-Amz-Signature=1", True),
        ("/x?a=b&sig=1", True),
        ("/x?x-goog-signature=1#a", True),
        ("/x?design=1", False),
        ("/x?a=?sig=1", False),
        ("/x&sig=1", False),
        ("/sig=1", False),
    ],
)
def test_a_presigned_link_is_known_by_its_query(target: str, is_signed: bool) -> None:
    """Only there is a signature a credential."""
    assert HOME.below(target).is_signed is is_signed


@given(scheme=sampled_from(["http", "https"]), user=sampled_from(["", "me:hunter2@"]))
def test_an_absolute_address_has_no_password(scheme: str, user: str) -> None:
    """Its origin has a port always, what is shown only where it matters."""
    address = Address.parsed(f"{scheme}://{user}Data.Example/a?b#c")
    assert address.origin == f"{scheme}://data.example:{443 if scheme == 'https' else 80}"
    assert "hunter2" not in address.text
    assert address.target == "/a?b"


@pytest.mark.parametrize("text", ["", "api", "ftp://h/", "http://", "http://h:0/", "http://a b/", "http://[::1/"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """By the name that callers know it by."""
    with pytest.raises(InvalidInput, match="target"):
        Address.parsed(text)
