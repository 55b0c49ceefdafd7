"""The settings: a dictionary that everything here reads at each call, and the client that belongs to it."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from aurora_async import sync
from aurora_async.compat.imap_dialect import CURRENT, RELEASE_VARIABLE, agent_of, url_of
from aurora_async.imap import ImapConfig
from aurora_async.imap.vocabulary import DATA_LEVELS, INSTRUMENTS, REPOINTED

__all__ = [
    "REPOINT_DEPENDENT_INSTRUMENTS",
    "VALID_DATALEVELS",
    "VALID_INSTRUMENTS",
    "VALID_TABLES",
    "__version__",
    "config",
    "data_dir",
    "dialect",
    "imap",
]

__version__ = CURRENT
"""The release of imap-data-access whose names these are."""

VALID_INSTRUMENTS = set(INSTRUMENTS)
VALID_DATALEVELS = set(DATA_LEVELS)
VALID_TABLES = {"science", "ancillary", "spice"}
REPOINT_DEPENDENT_INSTRUMENTS = list(REPOINTED)

_RELEASE = os.getenv(RELEASE_VARIABLE) or CURRENT

config: dict[str, Any] = {
    "DATA_ACCESS_URL": os.getenv("IMAP_DATA_ACCESS_URL") or url_of(_RELEASE),
    "DATA_DIR": Path(os.getenv("IMAP_DATA_DIR") or Path.cwd() / "data"),
    "API_KEY": os.getenv("IMAP_API_KEY") or None,
    "ACCESS_TOKEN": os.getenv("IMAP_ACCESS_TOKEN") or None,
    "WEBPODA_TOKEN": os.getenv("IMAP_WEBPODA_TOKEN") or None,
    "CLIENT_VERSION": _RELEASE,
}
"""What the environment said when this was imported; what is written here counts from the next call on.

DATA_ACCESS_URL: The service, with or without a prefix.
DATA_DIR: Where files are kept, in the folders that the service has; by default `data` in the folder of that moment.
API_KEY, ACCESS_TOKEN: Either shows what is not released; the key is preferred.
WEBPODA_TOKEN: Base64 of `user:password`, for raw packets.
CLIENT_VERSION: The release whose dialect is spoken. The old one, `0.2.0`, names itself as that did, so that a local
    service answers from the archive of January 2024, and takes names and paths as they are. (The original has no such
    setting.)
"""


def data_dir() -> Path:
    """Return where files are kept now."""
    return Path(config["DATA_DIR"]).absolute()


def dialect() -> str:
    """Return the release whose dialect is spoken now."""
    return str(config.get("CLIENT_VERSION") or CURRENT)


def imap(*, webpoda_url: str | None = None) -> sync.Imap:
    """Return the client of the present settings: one for all threads, opened when it is first asked something."""
    settings = ImapConfig(
        base_url=config["DATA_ACCESS_URL"],
        data_dir=data_dir(),
        api_key=config.get("API_KEY"),
        access_token=config.get("ACCESS_TOKEN"),
        webpoda_token=config.get("WEBPODA_TOKEN"),
        webpoda_url=webpoda_url,
        user_agent=agent_of(dialect()),
    )
    return _client(settings, os.getpid())


@lru_cache(maxsize=16)
def _client(settings: ImapConfig, pid: int) -> sync.Imap:
    # By process, too: a forked child has none of its parent's connections.
    return sync.Imap(settings)
