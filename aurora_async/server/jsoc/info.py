"""What JSOC tells of its series and records: listings, structures, counts, and values (`jsoc_info` and its kin).

Application errors are HTTP 200 with a status that is not 0. Long answers are made column by column in a thread, and
sent piece by piece.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import anyio
import attrs
from aiohttp import web

from aurora_async.errors import InvalidInput
from aurora_async.jsoc.keywords import KeywordType, print_value
from aurora_async.jsoc.recordset import Subset, parse_record_set, series_of
from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.answers import as_json, json_answer, parameters
from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.records import INVALID_KEY, Record
from aurora_async.server.jsoc.selection import MOST_RECORDS
from aurora_async.server.jsoc.structure import KeywordDef, Listed, RecordSetProblem, SegmentDef, Series
from aurora_async.server.site import Routes, answer_stream

__all__ = ["InfoRoutes"]

_MOST_CELLS = 3_000_000
"""Values in one answer; they are held in memory as text, some 60 MB."""
_BATCH = 2_000
_LONGEST_FILTER = 300
_AT_ONCE = 4
_OWNER = "production"

_CLASSES = {"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "lower": "a-z", "upper": "A-Z", "space": r"\s"}
_REPEATED_GROUP = re.compile(r"\)\s*[+*{]")
_MOST_REPETITIONS = 4
"""Python tries all ways to share a name among them, where the service's own patterns take no time."""


class InfoRoutes:
    """The programs that only read.

    Args:
        catalog: What there is (borrowed).
        offline: Series whose files are on tape.
    """

    def __init__(self, catalog: Catalog, offline: Collection[str] = ()) -> None:
        self._catalog = catalog
        self._offline = {name.lower() for name in offline}
        self._threads = anyio.CapacityLimiter(_AT_ONCE)

    def add_to(self, routes: Routes) -> None:
        """Answer below `/cgi-bin/ajax/`, and below `/cgi-bin/` as other sites do."""
        for name, handler in (
            ("show_series", self._show_series),
            ("showextseries", self._show_more_series),
            ("jsoc_info", self._info),
            ("jsocextinfo", self._info),
            ("series_info", self._series_info),
            ("drms_parserecset", self._parse),
        ):
            for folder in ("/cgi-bin/ajax", "/cgi-bin"):
                for method in ("GET", "POST"):
                    routes.add(method, f"{folder}/{name}", handler)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    # Listings ---------------------------------------------------------------------------------------------------------

    async def _show_series(self, request: web.BaseRequest) -> web.StreamResponse:
        given = await parameters(request)
        shown = await self._in_thread(lambda: _filtered(self._catalog.listing(), given.get("filter", "")))
        if shown is None:
            return json_answer({"status": 1, "errmsg": "Series filter format error"})
        verbose = given.get("v", "0") != "0"
        names = [self._listed(one, verbose) for one in shown if one.is_public]
        return json_answer({"status": 0, "names": names, "n": len(names)})

    def _listed(self, one: Listed, verbose: bool) -> dict[str, Any]:
        series = self._catalog.series(one.name)
        assert series is not None
        more = _storage(series) if verbose else {}
        more = {name: str(more[name]) for name in ("archive", "retention", "tapegroup", "unitsize") if name in more}
        if verbose:
            more["owner"] = _OWNER
        return {"name": one.name, "primekeys": ", ".join(series.primekeys), **more, "note": one.note}

    async def _show_more_series(self, request: web.BaseRequest) -> web.StreamResponse:
        given = await parameters(request)
        shown = await self._in_thread(lambda: _filtered(self._catalog.listing(), given.get("filter", "")))
        if shown is None:
            return json_answer({"errMsg": "Series filter format error", "seriesList": []})
        if given.get("info", "0") == "1":
            return json_answer({"errMsg": "", "seriesList": [{one.name: {"description": one.note}} for one in shown]})
        return json_answer({"errMsg": "", "seriesList": [one.name for one in shown]})

    # jsoc_info --------------------------------------------------------------------------------------------------------

    async def _info(self, request: web.BaseRequest) -> web.StreamResponse:
        begun = time.monotonic()
        given = await parameters(request)
        operation, what = given.get("op"), given.get("ds", "").strip()
        try:
            if operation is None or not what:
                raise RecordSetProblem("Bad QUERY_STRING")
            match operation:
                case "series_struct":
                    with_owner = given.get("o", "0") != "0"
                    answer = await self._in_thread(lambda: self._structure(what, with_owner=with_owner))
                case "rs_summary":
                    limit = _limit(given)
                    answer = {"count": await self._in_thread(lambda: self._catalog.count(what, n=limit))}
                case "rs_list":
                    answer = await self._list(request, given, what, begun)
                case _:
                    raise RecordSetProblem(f"operation `{operation}` is not known")
        except RecordSetProblem as problem:
            return json_answer({"status": 1, "error": str(problem)})
        if isinstance(answer, web.StreamResponse):
            return answer
        return json_answer({**answer, **_ending(given, begun)})

    def _structure(self, what: str, *, with_owner: bool = False) -> dict[str, Any]:
        series = self._catalog.series(_name_of(what))
        if series is None:
            raise RecordSetProblem(" jsoc_info: series not found.")
        return {
            "note": series.note,
            **_storage(series),
            "primekeys": list(series.primekeys) or [None],
            "primekeysinfo": [_key_row(series, place) for place in range(len(series.keys))],
            "dbindex": list(series.dbindex) or [None],
            "keywords": [self._keyword_row(series, keyword) for keyword in series.keywords],
            "segments": [
                {name: getattr(segment, name) for name in ("name", "type", "units", "protocol", "dims", "note")}
                for segment in series.segments
            ],
            "links": [
                {"name": link.name, "target": link.target, "kind": link.kind, "note": link.note}
                for link in series.links
            ],
            "Interval": self._interval(series),
            **({"owner": _OWNER, "HasShadow": 0} if with_owner else {}),
        }

    def _keyword_row(self, series: Series, keyword: KeywordDef) -> dict[str, Any]:
        row = {"name": keyword.name}
        if keyword.linkinfo is not None:
            link, _, target = keyword.linkinfo.partition("->")
            row["linkinfo"] = keyword.linkinfo
            # What is inherited has the type, scope, default and units of where it comes from, and a note of its own.
            pointer = series.link(link)
            there = None if pointer is None else self._catalog.series(pointer.target)
            found = None if there is None else there.keyword(target)
            if found is not None:
                keyword = attrs.evolve(found, note=keyword.note.strip() or found.note)
        return {
            **row,
            "type": keyword.type,
            "recscope": keyword.recscope,
            "defval": keyword.default,
            "units": keyword.units,
            "note": keyword.note,
        }

    def _interval(self, series: Series) -> dict[str, Any]:
        if not len(series.positions):
            none = dict.fromkeys(("FirstRecord", "FirstRecnum", "LastRecord", "LastRecnum"), "NA")
            return {**none, "MaxRecnum": 0}
        every = [None] * len(series.keys)
        first = Record(self._catalog, series, next(series.positions.among(every)))
        last = Record(self._catalog, series, next(series.positions.among(every, backwards=True)))
        return {
            "FirstRecord": first.name(),
            "FirstRecnum": first.recnum,
            "LastRecord": last.name(),
            "LastRecnum": last.recnum,
            "MaxRecnum": last.recnum,
        }

    # rs_list ----------------------------------------------------------------------------------------------------------

    async def _list(
        self, request: web.BaseRequest, given: Mapping[str, str], what: str, begun: float
    ) -> web.StreamResponse | dict[str, Any]:
        if given.get("f", "0") != "0":
            raise RecordSetProblem("f: lists with FITS names are not made here; leave it out")
        limit = _limit(given)
        names = {kind: _names(given.get(kind, "")) for kind in ("key", "seg", "link")}
        columns = await self._in_thread(lambda: self._columns(what, limit, given, names))
        if columns.count == 0:
            return {"count": 0}
        ending = {"count": columns.count, **_ending(given, begun)}
        return await answer_stream(request, columns.chunks(as_json(ending)))

    def _columns(self, what: str, limit: int, given: Mapping[str, str], asked: Mapping[str, Sequence[str]]) -> _Answer:
        width = max(1, sum(map(len, asked.values())))
        records = self._catalog.open(what, n=limit, limit=min(MOST_RECORDS, _MOST_CELLS // min(width, 100)))
        if not records:
            return _Answer(0)
        series = records[0].series
        alone = all(record.series is series for record in records)
        keys = _expanded(asked["key"], [keyword.name for keyword in series.keywords], alone)
        segments = _expanded(asked["seg"], [segment.name for segment in series.segments], alone)
        links = _expanded(asked["link"], [link.name for link in series.links], alone)
        cells = len(records) * (len(keys) + 5 * len(segments) + len(links))
        if cells > _MOST_CELLS:
            raise RecordSetProblem(
                f"too many values: {len(records)} records with these keywords and segments are {cells} values,"
                f" {_MOST_CELLS} are allowed; ask for fewer keywords, or set n"
            )
        exactly = next((name for name in ("B", "M") if given.get(name, "0") != "0"), None)
        lists = [_Lists("keywords", key, {"values": self._value(key, exactly)}) for key in keys]
        lists += [_Lists("segments", name, self._segment(name)) for name in segments]
        lists += [_Lists("links", name, {"values": _link(name)}) for name in links]
        if given.get("R", "0") == "1":
            lists.insert(0, _Lists("recinfo", "", {"": self._info_of}))
        for begin in range(0, len(records), _BATCH):
            # Copies, with which all that is computed of these is forgotten when they are done.
            batch = [record.copy() for record in records[begin : begin + _BATCH]]
            for one in lists:
                one.add(batch)
        return _Answer(len(records), lists)

    def _value(self, name: str, exactly: str | None) -> _Write:
        """Return what writes the value of a keyword, or of a pseudo keyword, as JSON."""
        pseudo: dict[str, _Write] = {
            "*recnum*": lambda record: str(record.recnum),
            "*sunum*": lambda record: str(record.sunum),
            "*size*": lambda record: _quoted(str(record.size_bytes)),
            "*online*": lambda record: _quoted("N" if self._is_offline(record) else "Y"),
            "*retain*": lambda record: _quoted(_retained(record)),
            "*archive*": lambda record: _quoted("Y" if record.series.archive else "N"),
            "*recdir*": lambda record: _quoted(record.directory),
            "*dirmtime*": lambda record: _quoted(_dated(record).text("ISO")),
            "*logdir*": lambda record: _quoted("NO LOG"),
            "*spec*": lambda record: _quoted(record.name()),
        }
        if name.lower() in pseudo:
            return pseudo[name.lower()]
        if exactly is None:
            return lambda record: _quoted(record.text(name))
        return lambda record: _quoted(_exact(record, name, exactly == "B"))

    def _info_of(self, record: Record) -> str:
        return f'{{"name":{_quoted(record.name())},"online":{0 if self._is_offline(record) else 1}}}'

    def _is_offline(self, record: Record) -> bool:
        return record.series.name.lower() in self._offline

    def _segment(self, name: str) -> dict[str, _Write]:
        """Return what writes the lists of a segment."""

        def path(record: Record) -> str:
            segment = record.series.segment(name)
            if segment is None:
                return _quoted("InvalidSegName")
            has_files = record.has_image and not self._is_offline(record)
            return _quoted(record.segment_path(segment) if has_files else "NoDataDirectory")

        def known(read: Callable[[Record, SegmentDef], str]) -> _Write:
            def write(record: Record) -> str:
                segment = record.series.segment(name)
                return _quoted("NA" if segment is None else read(record, segment))

            return write

        return {
            "values": path,
            "dims": known(lambda record, segment: record.dims(segment)),
            "cparms": known(lambda record, segment: segment.cparms),
            "bzeros": known(lambda record, segment: segment.bzero),
            "bscales": known(lambda record, segment: segment.bscale),
        }

    # Others -----------------------------------------------------------------------------------------------------------

    async def _series_info(self, request: web.BaseRequest) -> web.StreamResponse:
        given = await parameters(request)
        try:
            structure = await self._in_thread(lambda: self._structure(given.get("series", "")))
        except RecordSetProblem as problem:
            return json_answer({"errMsg": str(problem).strip()})
        answer: dict[str, Any] = {"series": given["series"]}
        attributes = _names(given.get("atts", ""))
        if attributes:
            wanted = {name: structure.get(name) for name in attributes if not isinstance(structure.get(name), dict)}
            answer["attributes"] = structure | {} if "**ALL**" in attributes else wanted
        for short, long in (("keys", "keywords"), ("segs", "segments"), ("links", "links")):
            if names := _names(given.get(short, "")):
                rows = {row["name"].lower(): row for row in reversed(structure[long])}
                found = structure[long] if "**ALL**" in names else [rows.get(name.lower()) for name in names]
                answer[long] = [row for row in found if row is not None]
        return json_answer({**answer, "errMsg": None})

    async def _parse(self, request: web.BaseRequest) -> web.StreamResponse:
        spec = (await parameters(request)).get("spec", "")
        try:
            parsed = parse_record_set(spec)
        except InvalidInput as error:
            return json_answer({"spec": spec, "subsets": None, "errMsg": str(error).splitlines()[0]})
        subsets = [_parsed(subset, spec if len(parsed.subsets) == 1 else str(subset)) for subset in parsed.subsets]
        return json_answer(
            {
                "spec": spec,
                "atfile": False,
                "hasfilts": any(subset.filters for subset in parsed.subsets),
                "nsubsets": len(subsets),
                "subsets": subsets,
                "errMsg": None,
            }
        )


# Asking -------------------------------------------------------------------------------------------------------------


def _filtered(listing: Sequence[Listed], text: str) -> list[Listed] | None:
    """Return the series whose names meet a regular expression, or do not after `NOT `; None if it is none."""
    inverted = text.startswith("NOT ")
    pattern = text[4:] if inverted else text
    for name, characters in _CLASSES.items():
        pattern = pattern.replace(f"[:{name}:]", characters)
    repetitions = len(re.findall(r"[*+{]", pattern))
    if len(pattern) > _LONGEST_FILTER or repetitions > _MOST_REPETITIONS:
        return None
    if _REPEATED_GROUP.search(pattern) or "[[" in pattern:
        return None
    try:
        wanted = re.compile(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError):
        return None
    return [one for one in listing if bool(wanted.search(one.name)) != inverted]


def _limit(given: Mapping[str, str]) -> int:
    text = given.get("n", "").strip() or "0"
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        raise RecordSetProblem(f"n: `{text}` is not a whole number")
    return int(text)


def _name_of(what: str) -> str:
    try:
        return series_of(what)
    except InvalidInput:
        return what


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text) if name]


def _expanded(asked: Sequence[str], all_names: Sequence[str], alone: bool) -> list[str]:
    """Return the names that are asked for, `**ALL**` written out."""
    found: list[str] = []
    for name in asked:
        if name.upper() == "**ALL**":
            if not alone:
                raise RecordSetProblem("**ALL** cannot be asked of records of several series")
            found += dict.fromkeys(all_names)
        elif name.upper() != "**NONE**":
            found.append(name)
    return found


# Answering ----------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


def _ending(given: Mapping[str, str], begun: float) -> dict[str, Any]:
    if given.get("r", "0") != "0":
        return {"status": 0}
    return {"runtime": round(time.monotonic() - begun, 3), "status": 0}


_Write = Callable[[Record], str]
"""Writes something of a record as JSON."""


class _Lists:
    """What is said of all records under one name, written as JSON block by block."""

    def __init__(self, group: str, name: str, writers: Mapping[str, _Write]) -> None:
        self.group = group
        self._name = name
        self._writers = writers
        self._blocks: dict[str, list[bytes]] = {part: [] for part in writers}

    def add(self, records: Sequence[Record]) -> None:
        """Add records, a block of them."""
        for part, write in self._writers.items():
            self._blocks[part].append(",".join(map(write, records)).encode())

    def chunks(self) -> Iterator[bytes]:
        """Yield an object of lists; without a name, the bare values of the only list."""
        if self._name:
            yield f'{{"name":{_quoted(self._name)}'.encode()
        for part, blocks in self._blocks.items():
            if part:
                yield f',"{part}":['.encode()
            for number, block in enumerate(blocks):
                yield b"," + block if number else block
            if part:
                yield b"]"
        if self._name:
            yield b"}"


@attrs.frozen
class _Answer:
    count: int
    lists: Sequence[_Lists] = ()

    def chunks(self, ending: str) -> Iterator[bytes]:
        """Yield the document; `ending` is one of its own, which is joined on."""
        groups = ["recinfo"] if any(one.group == "recinfo" for one in self.lists) else []
        yield b"{"
        for group in (*groups, "keywords", "segments", "links"):
            yield f'"{group}":['.encode()
            for number, one in enumerate(one for one in self.lists if one.group == group):
                if number:
                    yield b","
                yield from one.chunks()
            yield b"],"
        yield ending.removeprefix("{").encode()


def _link(name: str) -> _Write:
    return lambda record: _quoted(record.link_text(name))


def _storage(series: Series) -> dict[str, Any]:
    names = ("retention", "stagingretention", "unitsize", "archive", "tapegroup")
    return {name: getattr(series, name) for name in names}


def _key_row(series: Series, place: int) -> dict[str, Any]:
    key = series.keys[place]
    if key.slots is None:
        return {"name": key.name, "slotted": 0}
    return {"name": key.name, "slotted": 1, "step": f"{key.slots.step_s:.1f}"}


def _dated(record: Record) -> TaiTime:
    when = record.value("DATE")
    return when if isinstance(when, TaiTime) else record.when


def _retained(record: Record) -> str:
    return (_dated(record) + record.series.retention * 86400.0).text("UTC", -3).removesuffix("_UTC")


def _exact(record: Record, name: str, as_hexadecimal: bool) -> str:
    """Return the value of a keyword with all digits it has, of a float at least."""
    keyword = record.series.keyword(name)
    value = None if keyword is None else record.value(name)
    if keyword is None or not isinstance(value, float) or keyword.kind.bits:
        return record.text(name) if keyword is not None else INVALID_KEY
    if as_hexadecimal:
        return value.hex()
    return print_value(value, KeywordType.DOUBLE, "%.9g" if keyword.kind is KeywordType.FLOAT else "%.17g")


def _parsed(subset: Subset, spec: str) -> dict[str, Any]:
    space, _, table = subset.series.partition(".")
    filters = "".join(map(str, subset.filters))
    begin = spec.find("[")
    end = spec.rfind("]") + 1
    return {
        "spec": spec,
        "settype": "drms",
        "seriesname": subset.series,
        "seriesns": space,
        "seriestab": table,
        "filter": (spec[begin:end] if 0 <= begin < end else filters) or None,
        "segments": f"{{{','.join(subset.segments)}}}" if subset.segments else None,
        "autobang": False,
    }
