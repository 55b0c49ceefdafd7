"""`/metakernel`: the kernels that serve best for a time range, as a list or as a file that SPICE can load.

They are chosen category by category: the gaps of the range are filled with one kernel after another, of the preferred
type first and of that the newest first, until there is no gap or no kernel left.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from aiohttp import web

from aurora_async.imap.tdb import to_tdb
from aurora_async.imap.vocabulary import METAKERNEL_ORDER
from aurora_async.server.imap.answers import Caller, crash, day_of, json_answer, parameters, refusal, text_answer
from aurora_async.server.imap.catalog import Catalog
from aurora_async.server.imap.gateway import Gateway
from aurora_async.server.imap.listing import KERNELS
from aurora_async.server.imap.moments import midnight

__all__ = ["Chosen", "MetakernelRoutes", "choose"]

Gap = tuple[int, int]
"""First and last second, TDB past J2000."""
Kernels = Mapping[str, Sequence[dict[str, Any]]]
"""Records of kernels by their type, the newest first."""

_MOST_S = 10**15
_LONGEST = 79
"""Characters of a path that SPICE takes in one piece."""


class MetakernelRoutes:
    """`/metakernel`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add_to(self, gateway: Gateway) -> None:
        """Answer it."""
        gateway.add("GET", "/metakernel", self._answer)

    async def _answer(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        given = parameters(request)
        if "start_time" not in given or "end_time" not in given:
            raise crash()
        span = _seconds(given["start_time"]), _seconds(given["end_time"])
        wanted = [type for types in METAKERNEL_ORDER.values() for type in types]
        if "file_types" in given:
            named = [text.strip() for text in given["file_types"].split(",")]
            wanted = [type for type in wanted if type in named]
        found = await asyncio.to_thread(self._kernels, span)
        chosen = choose(found, span, wanted)
        if _is_true(given, "require_coverage") and any(chosen.gaps.values()):
            raise refusal(422, {f"{category}_category": gaps for category, gaps in chosen.gaps.items()})
        if not _is_true(given, "list_files"):
            asked = f"{given['start_time']} to {given['end_time']}, TDB seconds {span[0]} to {span[1]} past J2000"
            return text_answer(_text(chosen.names, asked, given.get("spice_path", "")))
        if not chosen.names:
            return text_answer("No files found.", 404)
        return json_answer([name.rpartition("/")[2] for name in chosen.names])

    def _kernels(self, span: Gap) -> Kernels:
        overlapping = [("max_tdb_s >= ?", (span[0],)), ("min_tdb_s <= ?", (span[1],))]
        found: dict[str, list[dict[str, Any]]] = {}
        records = self._catalog.kernels(KERNELS, overlapping, is_latest=True)
        # Of those that came at once the one with the last name, which most often is of the later days.
        records.sort(key=lambda record: (record["timestamp"], record["file_name"]), reverse=True)
        for record in records:
            found.setdefault(record["kernel_type"], []).append(record)
        return found


def _is_true(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "").lower() == "true"


def _seconds(text: str) -> int:
    if re.fullmatch(r"[0-9]{8}", text):
        return math.floor(to_tdb(midnight(day_of(text))))
    try:
        seconds = int(text)
    except ValueError:
        raise crash() from None
    if abs(seconds) > _MOST_S:
        raise crash()
    return seconds


# Choosing -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Chosen:
    """The kernels chosen, each with its folder, in the order of loading, and what is left open in each category."""

    names: Sequence[str]
    gaps: Mapping[str, Sequence[Gap]]


def choose(kernels: Kernels, span: Gap, wanted: Container[str]) -> Chosen:
    """Choose kernels for a time range.

    Args:
        kernels: What there is.
        span: First and last second.
        wanted: The types that may be chosen. A category of which none is wanted has no gaps.
    """
    names: list[str] = []
    gaps: dict[str, Sequence[Gap]] = {}
    for category, types in METAKERNEL_ORDER.items():
        types = tuple(type for type in types if type in wanted)
        left = [span] if types else []
        fitting: list[str] = []
        for record in (record for type in types for record in kernels.get(type, ())):
            rest = [gap for whole in left for gap in _without(whole, record["file_intervals_j2000"])]
            if rest != left:
                fitting.append(record["file_name"])
                left = rest
        gaps[category] = left
        names += reversed(fitting)  # what is loaded last prevails
    return Chosen(names, gaps)


def _without(gap: Gap, intervals: Sequence[Sequence[float]]) -> Iterator[Gap]:
    """Yield what is left of a gap, in whole seconds, when a kernel fills it as far as it can."""
    first, last = gap
    for begin, end in sorted((math.ceil(begin), math.floor(end)) for begin, end in intervals):
        if end < first or begin > last:
            continue
        if first < begin:
            yield first, begin - 1
        first = end + 1
    if first <= last:
        yield first, last


# The file -----------------------------------------------------------------------------------------------------------


def _text(names: Sequence[str], asked: str, folder: str) -> str:
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    loaded = ",\n".join("  " + _quoted(prefix + name) for name in names)
    return (
        "\n\\begintext\n\n"
        f"Metakernel made {datetime.now(UTC).isoformat(timespec='seconds')} by a local stand-in for the IMAP SDC.\n"
        f"For {asked}.\n\n"
        "\\begindata\n\n"
        f"KERNELS_TO_LOAD = (\n{loaded}\n)\n\n"
        "\\begintext\n"
    )


def _quoted(path: str) -> str:
    pieces = [path[at : at + _LONGEST] for at in range(0, len(path), _LONGEST)] or [""]
    return "\n  ".join([f"'{piece}+'" for piece in pieces[:-1]] + [f"'{pieces[-1]}'"])
