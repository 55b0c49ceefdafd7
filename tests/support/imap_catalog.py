"""A catalogue of files in memory that answers as the service does: ranked, paged, in its own order, or not at all.

It takes the place of a session, so that a property can be tried on hundreds of catalogues.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aurora_async.errors import AuroraError, BadRequest, ReadTimeout, ServerError, Unavailable
from aurora_async.http import Answer

Row = dict[str, Any]

TOO_MUCH = (500, 502, 503, 504, "timeout")
"""How the service fails when it is asked for too much."""


def science_row(day: int = 1, minor: int = 1, *, major: int | None = 1, came: str = "20260201 12:00:00") -> Row:
    """A row of a daily product of MAG; `day` is of January 2026."""
    version = f"v{minor:03}" if major is None else f"v{major:03}.{minor:04}"
    return {
        "file_path": f"imap/mag/l2/2026/01/imap_mag_l2_norm-dsrf_202601{day:02}_{version}.cdf",
        "instrument": "mag",
        "data_level": "l2",
        "descriptor": "norm-dsrf",
        "start_date": f"202601{day:02}",
        "repointing": None,
        "major_version": major,
        "minor_version": minor,
        "ingestion_date": came,
        "cr": None,
        "crid": None,
        "released": True,
        "extension": "cdf",
        "version": version,
    }


def series_of(row: Row) -> tuple[Any, ...]:
    """What the service ranks within."""
    return tuple(row[name] for name in ("instrument", "data_level", "descriptor", "start_date", "repointing"))


def ranked(rows: list[Row], *, latest: bool) -> list[Row]:
    """Leave the highest major version of each series, or the highest version of all."""
    kept = rows
    for column in ("major_version", "minor_version")[: 2 if latest else 1]:
        best: dict[tuple[Any, ...], int] = {}
        for row in kept:
            best[series_of(row)] = max(best.get(series_of(row), -1), row[column])
        kept = [row for row in kept if row[column] == best[series_of(row)]]
    return kept


def by_database(row: Row) -> str:
    """The order of a database whose collation does not look at punctuation first."""
    return "".join(filter(str.isalnum, row["file_path"])) + row["file_path"]


@dataclass
class CatalogInMemory:
    """Answers `GET query` from `rows`.

    `most_days` is how many days of ingestion it answers for at once, `most_rows` how many rows, `failing` how it fails
    beyond. `ignored` are parameters that it does not look at, `cuts` is how many answers end too early from now on.
    `before_answer` may change the rows before each answer; `has_pages` is whether it knows offset and limit.
    """

    rows: list[Row]
    most_days: int | None = None
    most_rows: int | None = None
    failing: tuple[int | str, ...] = (500,)
    has_pages: bool = True
    ignored: tuple[str, ...] = ()
    cuts: int = 0
    before_answer: Callable[[int], None] = lambda number: None
    asked: list[dict[str, str]] = field(default_factory=list)

    async def exchange(
        self, method: str, url: str, *, params: Mapping[str, str] | None = None, **how: object
    ) -> Answer:
        """Stand in for `Session.exchange`."""
        asked = dict(params or {})
        self.before_answer(len(self.asked))
        self.asked.append(asked)
        assert len(self.asked) < 2000, "it is asked without end"
        asked = {name: value for name, value in asked.items() if name not in self.ignored}
        if not self.has_pages and not asked.keys().isdisjoint({"offset", "limit"}):
            raise BadRequest(method, url, 400, None, "limit is not a valid query parameter for science table.")
        if self.most_days is not None and _days(asked) > self.most_days:
            raise _failure(self.failing[len(self.asked) % len(self.failing)], method, url)
        found = self.found(asked)
        offset = int(asked.get("offset", 0))
        page = found[offset : offset + int(asked.get("limit", len(found)))]
        if self.most_rows is not None and len(page) > self.most_rows:
            raise _failure(self.failing[len(self.asked) % len(self.failing)], method, url)
        body = json.dumps(page).encode()
        if self.cuts:
            self.cuts -= 1
            body = body[: len(body) // 2]
        return Answer(method, url, 200, {}, body)

    def found(self, asked: Mapping[str, str]) -> list[Row]:
        """Filter, then rank, then order, as the service does."""
        first, last = asked.get("ingestion_start_date", "0"), asked.get("ingestion_end_date", "9")
        kept = [row for row in self.rows if first <= row["ingestion_date"][:8] <= last]
        equal = {
            name: value for name, value in asked.items() if name in ("instrument", "minor_version", "major_version")
        }
        if "version" in asked:  # without a major part, which is all that the service is asked by it
            equal["minor_version"] = str(int(asked["version"][1:]))
        kept = [row for row in kept if all(str(row[name]) == value for name, value in equal.items())]
        if "major_version" not in asked:
            kept = ranked(kept, latest=asked.get("latest") == "true")
        return sorted(kept, key=by_database)


def _days(asked: Mapping[str, str]) -> int:
    first = asked.get("ingestion_start_date", "20240101")
    last = asked.get("ingestion_end_date", f"{datetime.now(UTC):%Y%m%d}")
    return (datetime.strptime(last, "%Y%m%d") - datetime.strptime(first, "%Y%m%d")).days + 1


def _failure(kind: int | str, method: str, url: str) -> AuroraError:
    if kind == "timeout":
        return ReadTimeout(method, url, "nothing came for 60 s")
    assert isinstance(kind, int)
    return (Unavailable if kind == 503 else ServerError)(method, url, kind)
