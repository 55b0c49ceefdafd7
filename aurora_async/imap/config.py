"""Settings of an IMAP client: where the service is, who asks, and where files are kept.

The service answers at up to three prefixes, and shows by the prefix alone what is not yet public: `service_url` is the
base URL with the one that the credentials open.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

import attrs

from aurora_async.config import Config, Limits
from aurora_async.errors import InvalidInput
from aurora_async.http import shown_url

__all__ = ["IMAP_URL", "ImapConfig"]

IMAP_URL = "https://api.imap-mission.com"
WEBPODA_URL = "https://lasp.colorado.edu/ops/imap/poda/dap2/apids"

_KEY_PREFIX, _TOKEN_PREFIX = "/api-key", "/authorized"
_VARIABLES = {
    "base_url": "IMAP_DATA_ACCESS_URL",
    "data_dir": "IMAP_DATA_DIR",
    "api_key": "IMAP_API_KEY",
    "access_token": "IMAP_ACCESS_TOKEN",
    "webpoda_token": "IMAP_WEBPODA_TOKEN",
}


def _checked_url(url: str) -> str:
    return Config(base_url=url).base_url  # the rules for addresses are those of every client


def _checked_token(value: str | None, instance: object, field: attrs.Attribute[Any]) -> str | None:
    """Drop the line break that a token read from a file ends in; none at all is None. Never quotes it."""
    if value is not None and not isinstance(value, str):
        raise InvalidInput(field.name, f"must be a text, not a {type(value).__name__}")
    value = (value or "").strip()
    if not (value.isascii() and value.isprintable()):
        raise InvalidInput(field.name, "holds characters that no token has")
    return value or None


def _folder(value: str | Path | None) -> Path:
    if value is None:
        return Path.cwd() / "data"
    if not isinstance(value, str | os.PathLike):
        raise InvalidInput("data_dir", f"{value!r} is not a path")
    return Path(value).absolute()


def _token() -> Any:
    return attrs.field(
        default=None,
        converter=attrs.Converter(_checked_token, takes_self=True, takes_field=True),
        repr=lambda token: "None" if token is None else "***",
    )


@attrs.frozen(kw_only=True)
class ImapConfig(Config):
    """Everything an IMAP client can be told. A key or a token shows all files, without one there are the released."""

    api_key_header: ClassVar[str] = "x-api-key"

    base_url: str = attrs.field(default=IMAP_URL, converter=_checked_url, repr=lambda url: repr(shown_url(url)))
    """Of the service, with or without one of its prefixes."""
    limits: Limits = attrs.field(factory=lambda: Limits(body_connections=16))
    data_dir: Path = attrs.field(default=None, converter=_folder)
    """Where files go and are looked for, in the folders that the service has; by default `data` where one is now."""
    access_token: str | None = _token()
    """Of LASP's login, which is sent when there is no key."""
    webpoda_token: str | None = _token()
    """Base64 of `user:password`, for the raw packets."""
    webpoda_url: str | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(_checked_url),
        repr=lambda url: repr(url and shown_url(url)),
    )
    """Of the packet service, where it is not the usual one; see `packets_url`."""

    @property
    def root_url(self) -> str:
        """The base URL without a prefix."""
        return self.base_url.removesuffix(_KEY_PREFIX).removesuffix(_TOKEN_PREFIX)

    @property
    def service_url(self) -> str:
        """The base URL with the prefix that the credentials open: the key's, else the token's, else as it was given."""
        if self.api_key is not None:
            return self.root_url + _KEY_PREFIX
        if self.access_token is not None:
            return self.root_url + _TOKEN_PREFIX
        return self.base_url

    @property
    def is_authenticated(self) -> bool:
        """Whether the service shows what is not released: it goes by the prefix alone."""
        return self.service_url.endswith((_KEY_PREFIX, _TOKEN_PREFIX))

    @property
    def packets_url(self) -> str:
        """The address of the packet service: LASP's for the mission's own servers, for others the one beside them."""
        if self.webpoda_url is not None:
            return self.webpoda_url
        host = urlsplit(self.base_url).hostname or ""
        return WEBPODA_URL if f".{host}".endswith(".imap-mission.com") else f"{self.root_url}/poda/dap2/apids"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **changes: object) -> Self:
        """Build a configuration from the variables of the official client; `changes` that are not None win.

        IMAP_DATA_ACCESS_URL, IMAP_DATA_DIR, IMAP_API_KEY, IMAP_ACCESS_TOKEN, IMAP_WEBPODA_TOKEN: an empty one counts
        as not set.
        """
        environ = os.environ if environ is None else environ
        settings: dict[str, Any] = {
            name: environ[variable] for name, variable in _VARIABLES.items() if environ.get(variable)
        }
        settings |= {name: value for name, value in changes.items() if value is not None}
        return cls(**settings)
