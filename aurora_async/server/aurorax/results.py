"""What `…/data` answers other than the stored file itself: other levels of detail, parts of records, generated queries.

Works through the file record by record, so that memory does not grow with the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from aurora_async.server.aurorax.find import Found, FoundPair
from aurora_async.server.aurorax.records import ConjunctionRecords, Projector
from aurora_async.times import parse_wire

__all__ = ["Expander", "conjunction_expander", "record_expander", "reformatted"]

_CHUNK_BYTES = 1 << 18

Record = dict[str, Any]
Expander = Callable[[Record], Record]
"""Makes the full record of a stored one: data sources at the level `full_record`, generated queries where wanted."""

SourceOf = Callable[[Record], Mapping[str, Any]]
"""Returns the full record of a stored data source: the stored one itself, should it have been deleted since."""


def record_expander(source_of: SourceOf) -> Expander:
    """Return the expander of ephemeris and data product records."""
    return lambda record: record | {"data_source": source_of(record["data_source"])}


def conjunction_expander(
    source_of: SourceOf, *, generate_queries: bool, filters: Sequence[Mapping[str, Any] | None]
) -> Expander:
    """Return the expander of conjunctions; `filters` are the metadata filters of the blocks, in block order."""
    sources: dict[int, Mapping[str, Any]] = {}
    by_type: dict[str, ConjunctionRecords] = {}

    def expand(record: Record) -> Record:
        kind = record["conjunction_type"]
        if kind not in by_type:
            by_type[kind] = ConjunctionRecords(
                conjunction_type=kind,
                sources=sources,
                level="full_record",
                generate_queries=generate_queries,
                filters=filters,
            )
        for source in record["data_sources"]:
            if source["identifier"] not in sources:
                sources[source["identifier"]] = source_of(source)
        return by_type[kind].record(_found(record))

    return expand


def _found(record: Record) -> Found:
    """Read a stored conjunction back into what the finder had found."""
    return Found(
        identifiers=tuple(source["identifier"] for source in record["data_sources"]),
        start=_seconds(record["start"]),
        end=_seconds(record["end"]),
        closest=_seconds(record["closest_epoch"]),
        farthest=_seconds(record["farthest_epoch"]),
        min_distance_km=record["min_distance"],
        max_distance_km=record["max_distance"],
        pairs=tuple(
            FoundPair(
                identifiers=(event["e1_source"]["identifier"], event["e2_source"]["identifier"]),
                start=_seconds(event["start"]),
                end=_seconds(event["end"]),
                min_distance_km=event["min_distance"],
                max_distance_km=event["max_distance"],
            )
            for event in record["events"]
        ),
    )


def _seconds(text: str) -> int:
    return int(parse_wire(text).timestamp())


def reformatted(file: BinaryIO, expand: Expander, project: Projector) -> Iterator[bytes]:
    """Yield the answer in chunks: every record of a result file, expanded, then cut to what was asked for."""
    encode = msgspec.json.Encoder().encode
    decode = msgspec.json.Decoder().decode
    lines: list[bytes] = []
    gathered = 0
    before = b'{"result":['
    next(file)  # the opening
    for stored in file:
        text = stored.rstrip(b",\n")
        if not text.startswith(b"{"):
            break  # the closing, or the blank line that an empty result has before it
        line = encode(project(expand(decode(text))))
        lines.append(line)
        gathered += len(line)
        if gathered > _CHUNK_BYTES:
            yield before + b",\n".join(lines)
            before = b",\n"
            lines.clear()
            gathered = 0
    yield (before if lines or before != b",\n" else b"") + b",\n".join(lines) + b"]}"
