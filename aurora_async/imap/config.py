"""Settings of an IMAP client: where the service is, who asks, and where files are kept.

The service answers at up to three prefixes, and shows by the prefix alone what is not yet public: `service_url` is the
base URL with the one that the credentials open.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import attrs

from aurora_async.config import Config, Limits, clean_url, secret, shown_base_url
from aurora_async.errors import InvalidInput

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


def _folder(value: str | Path | None) -> Path:
    if value is None:
        return Path.cwd() / "data"
    if not isinstance(value, str | os.PathLike):
        raise InvalidInput("data_dir", f"{value!r} is not a path")
    return Path(value).absolute()


@attrs.frozen(kw_only=True)
class ImapConfig(Config):
    """Everything an IMAP client can be told. A key or a token shows all files, without one there are the released."""

    base_url: str = attrs.field(default=IMAP_URL, converter=clean_url, repr=shown_base_url)
    """Of the service, with or without one of its prefixes."""
    limits: Limits = attrs.field(factory=lambda: Limits(body_connections=16))
    data_dir: Path = attrs.field(default=None, converter=_folder)
    """Where files go and are looked for, in the folders that the service has; by default `data` where one is now."""
    access_token: str | None = secret()
    """Of LASP's login, which is sent when there is no key."""
    webpoda_token: str | None = secret()
    """Base64 of `user:password`, for the raw packets."""
    webpoda_url: str | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(clean_url),
        repr=lambda url: repr(None) if url is None else shown_base_url(url),
    )
    """Of the packet service, where it is not the usual one; see `packets_url`."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """The headers that tell the service who asks: the key, else the token."""
        if self.api_key is not None:
            return {"x-api-key": self.api_key}
        return {} if self.access_token is None else {"Authorization": f"Bearer {self.access_token}"}

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
        """The address of the packet service: LASP's, which alone may see its login; of a local service, its own."""
        if self.webpoda_url is not None:
            return self.webpoda_url
        host = urlsplit(self.base_url).hostname or ""
        is_local = host == "localhost" or host == "::1" or host.startswith("127.")
        return f"{self.root_url}/poda/dap2/apids" if is_local else WEBPODA_URL

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
