"""Where the files behind data products go: a folder for each data source and day, and no two URLs under one name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

import attrs

from aurora_async.aurorax.models import DataProduct
from aurora_async.errors import AuroraError
from aurora_async.transfer import Fetched
from aurora_async.transfer.names import name_from, safe_name

__all__ = ["FetchedProduct", "places"]


@attrs.frozen(kw_only=True)
class FetchedProduct:
    """What became of the file of one data product: `fetched`, or the `error` that stopped it."""

    index: int
    record: DataProduct
    fetched: Fetched | None = None
    error: AuroraError | None = None

    @property
    def ok(self) -> bool:
        """True when the file is here."""
        return self.error is None


def places(records: Iterable[DataProduct]) -> dict[str, str]:
    """Return the place of each URL's file, below a folder: `program/platform/instrument type/date/name`.

    The date is that of the first record's start (UTC), the name what the URL ends in. Where different URLs would have
    one place, each of them gets eight digits of its own before the suffix, which are the same another time.
    """
    found: dict[str, PurePosixPath] = {}
    for record in records:
        if record.url not in found:
            source = record.data_source
            folders = (
                safe_name(name or "", "unknown") for name in (source.program, source.platform, source.instrument_type)
            )
            found[record.url] = PurePosixPath(*folders, f"{record.start:%Y-%m-%d}", name_from(record.url))
    # Some file systems, not all of them, take Keogram.png and keogram.png for one.
    users = Counter(str(place).casefold() for place in found.values())
    return {
        url: str(place if users[str(place).casefold()] == 1 else _with_digits(place, url))
        for url, place in found.items()
    }


def _with_digits(place: PurePosixPath, url: str) -> PurePosixPath:
    digits = hashlib.sha256(url.encode()).hexdigest()[:8]
    return place.with_name(f"{place.stem}.{digits}{place.suffix}")
