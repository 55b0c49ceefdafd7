"""Proxies and netrc, as they are set on real machines."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path

import pytest
from yarl import URL

from aurora_async.http._environment import read_environment


def test_an_empty_environment_says_nothing() -> None:
    """The usual case."""
    environment = read_environment()
    assert environment.proxies == {}
    assert environment.logins == {}
    assert environment.proxy_for("https", "api.aurorax.space", 443) is None


def test_proxies_are_chosen_by_scheme_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As curl does; user and password are kept out of the URL and of every repr."""
    monkeypatch.setenv("http_proxy", "plain:3128")
    monkeypatch.setenv("https_proxy", "http://me:hunter2@tunnel:3128")
    monkeypatch.setenv("no_proxy", "localhost,.ucalgary.ca,special:8080")
    environment = read_environment()
    plain = environment.proxy_for("http", "jsoc.stanford.edu", 80)
    tunnel = environment.proxy_for("https", "api.aurorax.space", 443)
    assert plain is not None and plain.url == URL("http://plain:3128") and plain.authorization is None
    assert tunnel is not None and tunnel.url == URL("http://tunnel:3128")
    assert tunnel.authorization == "Basic " + base64.b64encode(b"me:hunter2").decode()
    assert "hunter2" not in repr(environment)
    for host, port in (("localhost", 8080), ("api.phys.ucalgary.ca", 443), ("special", 8080)):
        assert environment.proxy_for("https", host, port) is None
    assert environment.proxy_for("https", "special", 443) is not None


def test_proxies_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SOCKS would be spoken to in HTTP."""
    monkeypatch.setenv("https_proxy", "socks5://me:hunter2@proxy:1080")
    with caplog.at_level(logging.WARNING):
        assert read_environment().proxies == {}
    assert "socks5://proxy:1080" in caplog.text
    assert "hunter2" not in caplog.text


def write_netrc(text: str) -> Path:
    path = Path(os.environ["NETRC"])
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_netrc_gives_each_host_its_own_login_and_nobody_the_default() -> None:
    """`default` would be handed to whatever host a redirect names."""
    write_netrc("machine One.example login me password hunter2\ndefault login all password x\n")
    logins = read_environment().logins
    assert logins == {"one.example": "Basic " + base64.b64encode(b"me:hunter2").decode()}


def test_a_broken_netrc_is_named_but_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    """The parser's message may hold the password."""
    path = write_netrc("machine one.example login me pasword hunter2")
    with caplog.at_level(logging.WARNING):
        assert read_environment().logins == {}
    assert str(path) in caplog.text
    assert "hunter2" not in caplog.text


def test_a_netrc_that_cannot_be_read_does_not_stop_anything(caplog: pytest.LogCaptureFixture) -> None:
    """It belongs to other programs."""
    Path(os.environ["NETRC"]).mkdir()
    with caplog.at_level(logging.WARNING):
        assert read_environment().logins == {}
    assert "IsADirectoryError" in caplog.text
