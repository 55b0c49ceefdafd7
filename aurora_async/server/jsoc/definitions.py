"""The series as they are defined in `server/data/jsoc`, whose files say where their facts come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import resources
from typing import Any

import attrs

from aurora_async.jsoc.keywords import KeywordType
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc import regions
from aurora_async.server.jsoc.positions import Cadence, Chain, Coordinate, Patches, Positions, Rows
from aurora_async.server.jsoc.structure import Key, KeywordDef, LinkDef, Listed, SegmentDef, Series, Slots

__all__ = ["defined_names", "listed_series", "make_series", "published_records", "unknown_series"]


@cache
def _data(name: str) -> Any:
    return json.loads(resources.files("aurora_async.server.data.jsoc").joinpath(f"{name}.json").read_text("utf-8"))


@cache
def listed_series() -> Sequence[Listed]:
    """Return all listed series, sorted without regard to case."""
    return [Listed(name, note, bool(public)) for name, note, public in _data("listing")["series"]]


def defined_names() -> Sequence[str]:
    """Return the names of the series whose structure is known; the place of each is its number, from 0 on."""
    return list(_data("series")["series"])


def published_records() -> dict[str, Any]:
    """Return the values that the real service has printed, by series."""
    records: dict[str, Any] = _data("published")["records"]
    return records


def unknown_series(listed: Listed) -> Series:
    """Return a series of which only the name is known: it has neither keywords nor records."""
    return Series(listed.name, 0, listed.note, "", (), (), (), (), ())


def make_series(name: str, number: int) -> Series:
    """Return a series whose structure is known; `number` is the one it shall have."""
    definition = _data("series")["series"][name]
    segments = tuple(SegmentDef(**segment) for segment in definition["segments"])
    links = tuple(LinkDef(*link) for link in definition["links"])
    primekeys = tuple(definition["primekeys"])
    keywords = tuple(_keywords(definition, segments, primekeys))
    series = Series(
        name,
        number,
        definition["note"],
        definition["family"],
        primekeys,
        tuple(definition.get("dbindex", primekeys)),
        keywords,
        segments,
        links,
        definition["unitsize"],
        definition["retention"],
        definition["stagingretention"],
        definition["archive"],
        definition["tapegroup"],
        constants=definition["values"],
    )
    series.keys = tuple(Key(_known(series, key), _slots(series, key)) for key in primekeys)
    records = definition["records"]
    series.positions = _positions(series.keys, records)
    series.members = records.get("members", {})
    return series


def _known(series: Series, name: str) -> KeywordDef:
    keyword = series.keyword(name)
    assert keyword is not None, f"{series.name} lacks its prime key {name}"
    return keyword


def _keywords(
    definition: Mapping[str, Any], segments: Sequence[SegmentDef], primekeys: Sequence[str]
) -> Iterator[KeywordDef]:
    for number, segment in enumerate(segments):
        if segment.protocol in ("fits", "fitsz"):
            yield KeywordDef(f"cparms_sg{number:03}", "string", "variable", "%s", "none", segment.cparms, "")
            for name, value in (("bzero", segment.bzero), ("bscale", segment.bscale)):
                yield KeywordDef(f"{segment.name}_{name}", "double", "variable", "%g", "none", value, "")
    sets = _data("keywords")["sets"]
    rows = [KeywordDef(*row) for name in definition["keywords"] for row in sets[name]]
    dropped, linked, steps = definition.get("drop", ()), definition.get("linked"), definition.get("slot_step", {})
    defaults = definition.get("defaults", {})
    aliases = []
    for keyword in rows:
        if keyword.name in dropped:
            continue
        key, _, helper = keyword.name.rpartition("_")
        if key in steps and helper in ("step", "round"):
            keyword = attrs.evolve(keyword, default=steps[key][helper == "round"])
        if keyword.name in defaults:
            keyword = attrs.evolve(keyword, default=defaults[keyword.name])
        alias = re.match(r"\[([^]]+)\]", keyword.note)
        if alias and definition.get("hide_alias"):
            keyword = attrs.evolve(keyword, note=keyword.note[alias.end() :].strip())
        elif alias:
            aliases.append(attrs.evolve(keyword, name=alias[1]))
        if keyword.recscope == "constant" and keyword.name in definition["values"]:
            # The default of a constant is the value that all records have.
            keyword = attrs.evolve(keyword, default=definition["values"][keyword.name])
        if linked and keyword.name not in primekeys and key not in primekeys:
            keyword = attrs.evolve(keyword, linkinfo=f"{linked}->{keyword.name}")
        yield keyword
    yield from aliases


def _slots(series: Series, name: str) -> Slots | None:
    epoch, step = series.keyword(f"{name}_epoch"), series.keyword(f"{name}_step")
    if epoch is None or step is None:
        return None
    kind = _known(series, name).recscope
    step_s, epoch_s = float(step.default), TaiTime.parse(epoch.default).seconds
    rounding = series.keyword(f"{name}_round")
    round_s = (float(rounding.default) if rounding else 0.0) if kind == "ts_slot" else step_s
    return Slots(kind, epoch_s, step_s, round_s)


def _positions(keys: Sequence[Key], records: Mapping[str, Any]) -> Positions:
    match records["kind"]:
        case "cadence":
            return _cadences(keys, records)
        case "patches":
            return Patches(partial(regions.patches, records["which"]))
        case "table":
            return Rows([tuple(map(_coordinate, keys, row)) for row in records["rows"]])
        case _:
            return Rows([])


def _coordinate(key: Key, value: Any) -> Coordinate:
    return key.coordinate(key.keyword.read(str(value)))


def _per_second(key: Key) -> float:
    """Return how many coordinates of a key make a second; one, if it is no time."""
    if key.slots is not None:
        return 1 / key.slots.step_s
    return 100.0 if key.keyword.kind is KeywordType.TIME else 1.0


def _cadences(keys: Sequence[Key], records: Mapping[str, Any]) -> Positions:
    """Read eras of cycles; a `#` in place of a key counts all images, one after the other."""
    first_key = keys[0]
    begins = [_coordinate(first_key, first) for first, _ in records["eras"]]
    origin, last = begins[0], _coordinate(first_key, records["last"])
    assert isinstance(origin, int) and isinstance(last, int)
    pace = round(records["every"] * _per_second(first_key))
    parts: list[Positions] = []
    recnum, recnums = records["recnum"], []
    for number, (begin, (_, rows)) in enumerate(zip(begins, records["eras"], strict=True)):
        assert isinstance(begin, int)
        stop = begins[number + 1] if number + 1 < len(begins) else last + 1
        assert isinstance(stop, int)
        # Cycles are counted from the first record of all, so that a change falls on a whole one.
        cycles = range(-(-(begin - origin) // pace), -(-(stop - origin) // pace))
        offsets = records.get("offsets") or [0] * len(rows)
        members = []
        for place, (row, offset) in enumerate(zip(rows, offsets, strict=True)):
            lines: list[tuple[Coordinate, int]] = [(origin + round(offset * _per_second(first_key)), pace)]
            for value in row:
                counted = (records["number_from"] + place, len(rows)) if value == "#" else (value, 0)
                lines.append(counted)
            members.append(lines)
        recnums.append(recnum)
        part = Cadence(cycles, members, recnum)
        parts.append(part)
        recnum += len(part)
    return parts[0] if len(parts) == 1 else Chain(parts, recnums)
