"""Settings: refused when they cannot be right, silent about secrets, read from the environment only when asked."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import attrs
import pytest

from aurora_async.config import AURORAX_URL, Config, Limits, Polling, Retries, Timeouts, origin_of
from aurora_async.errors import InvalidInput

KEY = "f6b1c1a2-secret"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.aurorax.space", "https://api.aurorax.space:443"),
        ("https://api.aurorax.space/", "https://api.aurorax.space:443"),
        ("HTTPS://API.AuroraX.space/api/v1?x=1#y", "https://api.aurorax.space:443"),
        ("http://localhost", "http://localhost:80"),
        ("http://127.0.0.1:8080/imap", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://user:password@example.org", "https://example.org:443"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    """Credentials belong to an origin: two spellings of one must be one, two origins must not be one."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.aurorax.space",
        "/api/v1",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://",
        "https:///path",
        "http://host:port",
        "http://host:65536",
        "http://host:0",
        "http://[::1",
        "http://:80",
        "//host",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    """Found when the client is made, not with the first request of a batch."""
    with pytest.raises(InvalidInput) as refused:
        Config(base_url=url)
    assert refused.value.field == "base_url"


@pytest.mark.parametrize(
    "url", ["http://host/a b", "http://host/?key=1", "http://host/#x", "http://ho\nst", "http://h\tx"]
)
def test_a_base_url_is_a_place_to_append_paths_to(url: str) -> None:
    """A path appended to a query or fragment goes nowhere, and urlsplit overlooks line breaks."""
    with pytest.raises(InvalidInput, match="must not hold"):
        Config(base_url=url)


@pytest.mark.parametrize("url", [None, 5, b"http://host"])
def test_a_base_url_is_a_text(url: object) -> None:
    """Bytes would fail much later, in the middle of a request."""
    with pytest.raises(InvalidInput, match=r"^base_url: .* is not a text$"):
        Config(base_url=url)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["http://host:8080/imap", "http://host:8080/imap/", " http://host:8080/imap//\n"])
def test_a_base_url_loses_its_trailing_slashes(url: str) -> None:
    """Paths begin with a slash; two in a row are another path to many servers."""
    assert Config(base_url=url).base_url == "http://host:8080/imap"


def test_secrets_are_never_shown() -> None:
    """A repr ends up in logs, notebooks and bug reports."""
    config = Config(api_key=KEY, base_url="https://user:hunter2@example.org")
    for text in (repr(config), str(config), f"{config}"):
        assert KEY not in text
        assert "hunter2" not in text
        assert "api_key=***" in text
    assert "api_key=None" in repr(Config())
    assert config.base_url == "https://user:hunter2@example.org"


@pytest.mark.parametrize("url", ["ftp://user:hunter2@example.org", "http://user:hunter2@host:port"])
def test_a_refused_address_does_not_show_its_password(url: str) -> None:
    """The error is printed and logged, too."""
    with pytest.raises(InvalidInput) as refused:
        Config(base_url=url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("given", "kept"), [(f" {KEY}\n", KEY), ("", None), ("  ", None), (None, None)])
def test_an_api_key_is_freed_from_what_its_file_ends_in(given: str | None, kept: str | None) -> None:
    """`AURORAX_API_KEY=$(cat key)` in other words; an empty key is none, not an empty header."""
    assert Config(api_key=given).api_key == kept


@pytest.mark.parametrize("key", ["secret\nX-Other: 1", "sécret", "sec\x00ret", 5, b"secret"])
def test_an_api_key_that_cannot_be_sent_is_refused_without_being_shown(key: object) -> None:
    """A line break in a header would smuggle in another."""
    with pytest.raises(InvalidInput) as refused:
        Config(api_key=key)  # type: ignore[arg-type]
    assert refused.value.field == "api_key"
    assert "ret" not in str(refused.value)


SETTINGS: list[tuple[Callable[..., object], str, list[object]]] = [
    (Timeouts, "connect_s", [0, -1, float("nan"), "10", True, None]),
    (Timeouts, "read_s", [0, -0.5, float("nan")]),
    (Timeouts, "cancel_s", [0]),
    (Limits, "control_connections", [0, -1, 1.5, True]),
    (Limits, "body_connections", [0, 2.0, None]),
    (Limits, "requests_per_s", [0, -1, "3"]),
    (Retries, "attempts", [0, 2.5]),
    (Retries, "first_s", [0]),
    (Retries, "factor", [0.99, float("nan")]),
    (Retries, "ceiling_s", [0]),
    (Polling, "floor_s", [0]),
    (Polling, "ceiling_s", [-1]),
    (Polling, "share", [0]),
    (Polling, "jitter", [-0.1, 1.1]),
]


@pytest.mark.parametrize(
    ("kind", "field", "value"), [(kind, field, value) for kind, field, values in SETTINGS for value in values]
)
def test_settings_that_cannot_be_right_are_refused(kind: Callable[..., object], field: str, value: object) -> None:
    """A timeout of zero or a share of NaN would show up as a client that hangs, or hammers a server."""
    with pytest.raises(InvalidInput) as refused:
        kind(**{field: value})
    assert refused.value.field == field
    assert refused.value.reason.startswith(f"{value!r} is not a")


def test_whole_numbers_do_for_seconds_and_no_pace_is_a_pace() -> None:
    """What people write: `connect_s=5`, `requests_per_s=None`."""
    assert Timeouts(connect_s=5).connect_s == 5
    assert Limits(requests_per_s=None).requests_per_s is None
    assert Polling(jitter=0).jitter == 0


def test_a_configuration_cannot_change_under_a_running_client() -> None:
    """Shared by many clients and tasks; changed copies are made with attrs.evolve."""
    config = Config()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.base_url = "http://elsewhere"  # type: ignore[misc]
    assert attrs.evolve(config, api_key=KEY).base_url == config.base_url
    assert pickle.loads(pickle.dumps(config)) == config
    assert hash(Config()) == hash(Config())


def test_the_environment_is_read_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that names no server must not be sent elsewhere by a variable left over in a shell."""
    monkeypatch.setenv("AURORAX_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AURORAX_API_KEY", KEY)
    assert (Config().base_url, Config().api_key) == (AURORAX_URL, None)
    found = Config.from_environment()
    assert (found.base_url, found.api_key) == ("http://127.0.0.1:1", KEY)


def test_what_is_given_wins_over_the_environment() -> None:
    """The command line passes its options on, None for those that were not given."""
    environ = {"AURORAX_BASE_URL": "http://from-environment", "AURORAX_API_KEY": KEY}
    assert Config.from_environment(environ, base_url="http://given").base_url == "http://given"
    assert Config.from_environment(environ, base_url="http://given").api_key == KEY
    assert Config.from_environment(environ, base_url=None, api_key=None) == Config.from_environment(environ)
    assert Config.from_environment(environ, api_key="").api_key is None  # given, and none
    assert Config.from_environment(environ, trust_environment=False).trust_environment is False


def test_an_empty_environment_gives_the_defaults() -> None:
    """`AURORAX_API_KEY=` in a file of settings means that there is none."""
    assert Config.from_environment({}) == Config()
    assert Config.from_environment({"AURORAX_BASE_URL": "", "AURORAX_API_KEY": ""}) == Config()


def test_a_wrong_address_in_the_environment_is_refused() -> None:
    """One line that names the setting, not a traceback out of the first request."""
    with pytest.raises(InvalidInput, match=r"^base_url: 'nowhere' is not an absolute"):
        Config.from_environment({"AURORAX_BASE_URL": "nowhere"})
