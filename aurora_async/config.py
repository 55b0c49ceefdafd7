"""Settings of a client. Nothing here is read from the environment unless `from_environment` is called."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any
from urllib.parse import urlsplit

import attrs

from aurora_async.errors import InvalidInput

__all__ = [
    "API_KEY_HEADER",
    "AURORAX_URL",
    "Config",
    "Limits",
    "Polling",
    "Retries",
    "Timeouts",
    "clean_url",
    "origin_of",
    "secret",
    "shown_base_url",
]

AURORAX_URL = "https://api.aurorax.space"
API_KEY_HEADER = "x-aurorax-api-key"


def origin_of(url: str) -> str:
    """Return `scheme://host:port` of an absolute URL, the unit to which credentials belong."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput("base_url", f"{shown_base_url(url)} is not an absolute http(s) URL such as {AURORAX_URL}")
    try:
        port = (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise InvalidInput("base_url", f"{shown_base_url(url)} has no valid port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def shown_base_url(url: str) -> str:
    """Return a URL for people, without the password that it may hold."""
    return repr(re.sub(r"(?<=//)[^/?#]*@", "***@", url))


def clean_url(url: str) -> str:
    """Return a base URL as we write them; `InvalidInput` says what is wrong with it."""
    if not isinstance(url, str):
        raise InvalidInput("base_url", f"{url!r} is not a text")
    url = url.strip()
    origin_of(url)
    if not url.isprintable() or not {" ", "?", "#"}.isdisjoint(url):
        raise InvalidInput("base_url", f"{shown_base_url(url)} must not hold spaces, a query or a fragment")
    return url.rstrip("/")


def secret() -> Any:
    """Return a field for a key or token. It drops the line break that one read from a file ends in, and shows none."""

    def clean(value: str | None, instance: object, field: attrs.Attribute[Any]) -> str | None:
        if value is not None and not isinstance(value, str):
            raise InvalidInput(field.name, f"must be a text, not a {type(value).__name__}")
        value = (value or "").strip()
        if not (value.isascii() and value.isprintable()):
            raise InvalidInput(field.name, "holds characters that no key or token has")
        return value or None

    return attrs.field(
        default=None,
        converter=attrs.Converter(clean, takes_self=True, takes_field=True),
        repr=lambda value: "None" if value is None else "***",
    )


def _check_agent(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.strip() and value.isascii() and value.isprintable()):
        raise InvalidInput(attribute.name, f"{value!r} is no text that a header can hold")


def _number(
    default: float | None,
    allowed: str,
    holds: Callable[[Any], bool],
    kind: type | UnionType = int | float,
    *,
    or_none: bool = False,
) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and (or_none or default is None):
            return
        if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
            raise InvalidInput(attribute.name, f"{value!r} is not {allowed}")

    return attrs.field(default=default, validator=check)


def _positive(default: float | None, *, or_none: bool = False) -> Any:
    return _number(default, "a number above 0", lambda value: value > 0, or_none=or_none)


def _count(default: int) -> Any:
    return _number(default, "a whole number, 1 or more", lambda value: value >= 1, int)


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long to wait for the network. There is no limit on a whole body: a long download is not a slow one."""

    connect_s: float = _positive(10.0)
    read_s: float = _positive(60.0)
    """Longest silence while an answer is awaited or read. The head of one that has begun must be whole by then, too."""
    least_bytes_per_s: float | None = _positive(100.0, or_none=True)
    """An answer that comes more slowly, over `read_s` of waiting for it, counts as silent; None: none does."""
    cancel_s: float = _positive(5.0)
    """Longest that one cancellation on the service is waited for."""


@attrs.frozen(kw_only=True)
class Limits:
    """How hard one client may lean on one host."""

    control_connections: int = _count(16)
    """Connections for submitting, polling and other short exchanges."""
    body_connections: int = _count(8)
    """Connections for result bodies and files; apart, so that a poll never queues behind gigabytes.

    A stream holds its connection as long as its reader takes: more streams than this, read in turns, wait for each
    other.
    """
    windows_at_once: int = _count(8)
    """Windows of one query that are under way, or wait on the service until it is their turn to be read."""
    requests_per_s: float | None = _positive(None)
    """Most exchanges started per second and host; None leaves the pace to the host's own 429 and 503."""


@attrs.frozen(kw_only=True)
class Retries:
    """When an exchange that may safely be repeated is repeated: `first_s`, then `factor` longer each, with jitter."""

    attempts: int = _count(5)
    first_s: float = _positive(0.25)
    factor: float = _number(2.0, "a number, 1 or more", lambda value: value >= 1)
    ceiling_s: float = _positive(20.0)


@attrs.frozen(kw_only=True)
class Polling:
    """How soon to look at a request again: `share` of the time it has taken so far, between `floor_s` and `ceiling_s`.

    A request of any length is thus noticed within `share` of its own duration, with a number of looks that grows
    with the logarithm of the duration. With hundreds under way, those that nothing is known about share `looks_per_s`.
    """

    floor_s: float = _positive(0.1)
    ceiling_s: float = _positive(30.0)
    share: float = _positive(0.1)
    jitter: float = _number(0.1, "a number from 0 to 1", lambda value: 0 <= value <= 1)
    """Each wait is drawn from `1 ± jitter` times its nominal length."""
    looks_per_s: float = _positive(200.0)
    """Looks a second that all waiting requests of a client share, apart from a few of each kind."""


@attrs.frozen(kw_only=True)
class Config:
    """Everything a client can be told: where the service is, who asks, and with what manners."""

    base_url: str = attrs.field(default=AURORAX_URL, converter=clean_url, repr=shown_base_url)
    api_key: str | None = secret()
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    limits: Limits = attrs.field(factory=Limits)
    retries: Retries = attrs.field(factory=Retries)
    polling: Polling = attrs.field(factory=Polling)
    trust_environment: bool = True
    """Use HTTP(S)_PROXY, NO_PROXY and ~/.netrc."""
    user_agent: str | None = attrs.field(default=None, validator=_check_agent)
    """What requests say who asks, where a name other than ours changes the answers."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """The headers that tell the service who asks. They go to the origin of `base_url`, and nowhere else."""
        return {} if self.api_key is None else {API_KEY_HEADER: self.api_key}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **changes: object) -> Config:
        """Build a configuration from AURORAX_BASE_URL and AURORAX_API_KEY; `changes` that are not None win."""
        environ = os.environ if environ is None else environ
        found = {"base_url": environ.get("AURORAX_BASE_URL"), "api_key": environ.get("AURORAX_API_KEY")}
        settings: dict[str, Any] = {name: value for name, value in found.items() if value}
        settings |= {name: value for name, value in changes.items() if value is not None}
        return cls(**settings)
