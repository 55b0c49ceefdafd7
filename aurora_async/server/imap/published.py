"""The published files: real names, and of some the rows as the real service answered them.

Where no time of ingestion is published the service says its own: the day after the file's first day at 00:00 UTC; for
what can only be told afterwards, such as where the spacecraft was, the day after its last; for what has no day, the day
after the launch. Science files are public but for those of the levels l0 and l1a: a rule of this service as well.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any

import attrs

from aurora_async.imap.filenames import AncillaryName, FileName, LegacyName, ScienceName, SpiceName
from aurora_async.server.imap.listing import NOTHING, FileRow, KernelRow
from aurora_async.server.imap.moments import LAUNCH, midnight_s

__all__ = ["PublishedFile", "latest_repointings", "published_files"]

_NOT_PUBLIC = ("l0", "l1a")
_OF_THE_PAST = (
    *("attitude_history", "pointing_attitude", "lo_pivot_attitude", "ephemeris_reconstructed"),
    *("spin", "repoint", "thruster"),
)


@attrs.frozen
class PublishedFile:
    """A file that is there from the start; of the SPICE family, with its row as a kernel."""

    row: FileRow
    kernel: KernelRow | None = None


def _facts(name: str) -> dict[str, Any]:
    text = resources.files("aurora_async.server.data.imap").joinpath(name).read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)
    return facts


@functools.cache
def published_files() -> Sequence[PublishedFile]:
    """Return all published files; those of January 2024 come in the order in which they are answered."""
    return (*_science(), *_ancillary(), *_kernels(), *_tables(), *_old())


def _science() -> Iterable[PublishedFile]:
    facts = _facts("science.json")
    for record in facts["rows"]:
        ingested_s = _seconds(record["ingestion_date"], "%Y-%m-%d %H:%M:%S")
        yield _science_file(ScienceName.parse(record["file_path"]), ingested_s)
    for group in ("notebook", "production", "development", "others"):
        for name in map(ScienceName.parse, facts[group]):
            yield _science_file(name, _own_ingestion_s(name))


def _science_file(name: ScienceName, ingested_s: int) -> PublishedFile:
    return PublishedFile(FileRow.of(name, ingested_s, released=name.data_level not in _NOT_PUBLIC))


def _ancillary() -> Iterable[PublishedFile]:
    facts = _facts("ancillary.json")
    for record in facts["rows"]:
        ingested_s = _seconds(record["ingestion_date"], "%Y%m%d %H:%M:%S")
        name = AncillaryName.parse(record["file_path"])
        yield PublishedFile(FileRow.of(name, ingested_s, released=record["released"]))
    for name in map(AncillaryName.parse, facts["names"]):
        yield PublishedFile(FileRow.of(name, _own_ingestion_s(name)))


def _kernels() -> Iterable[PublishedFile]:
    facts = _facts("kernels.json")
    for record in facts["rows"]:
        yield _spice_file(SpiceName.parse(record["file_name"]), int(record["timestamp"]), record)
    for name in map(SpiceName.parse, facts["names"]):
        yield _spice_file(name, _own_ingestion_s(name))


def _tables() -> Iterable[PublishedFile]:
    facts = _facts("tables.json")
    for record in facts["rows"]:
        ingested_s = _seconds(record["ingestion_date"], "%Y-%m-%d, %H:%M:%S")
        yield _spice_file(SpiceName.parse(record["file_path"]), ingested_s, record)
    for name in map(SpiceName.parse, facts["names"]):
        yield _spice_file(name, _own_ingestion_s(name))


def _spice_file(name: SpiceName, ingested_s: int, facts: Mapping[str, Any] = NOTHING) -> PublishedFile:
    return PublishedFile(FileRow.of(name, ingested_s), KernelRow.of(name, ingested_s, facts=facts))


def latest_repointings(today: date) -> PublishedFile:
    """Return the table of repointings of a day, made up: without a new one nobody can fetch packets by pointings."""
    return _spice_file(SpiceName.build("repoint", end_date=today, version="01"), midnight_s(today))


def _old() -> Iterable[PublishedFile]:
    facts = _facts("legacy.json")
    for name in (LegacyName.parse(record["file_path"]) for record in facts["rows"]):
        yield PublishedFile(FileRow.of(name, _own_ingestion_s(name)))
    for name in map(LegacyName.parse, facts["unlisted"]):
        yield PublishedFile(FileRow.of(name, _own_ingestion_s(name), is_listed=False))
    for key in facts["misspelt"]:
        yield PublishedFile(FileRow.unnamed(key, midnight_s(date(2024, 1, 2)), is_old=True, released=True))


def _own_ingestion_s(name: FileName) -> int:
    day = getattr(name, "start_date", None)
    if isinstance(name, SpiceName):
        if name.type in _OF_THE_PAST:
            day = name.end_date
        elif name.type == "earth_attitude":
            day = name.prediction_date
    return midnight_s((day or LAUNCH) + timedelta(days=1))


def _seconds(text: str, layout: str) -> int:
    return int(datetime.strptime(text, layout).replace(tzinfo=UTC).timestamp())
