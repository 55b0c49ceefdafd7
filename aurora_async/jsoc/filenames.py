"""Names of files: those that the service makes by a format, and those that files get here.

A format is a text with fields (`{name}` or `{name:layout}`):

    {seriesname}                the series
    {recnum}, {recnum:%08d}     the number of the record
    {segment}                   the stored file
    {#}, {#:%03d}               a running number
    {KEY}, {KEY:%04d}           the value of a keyword, in its own format or in that of C's printf
    {TIME:A0,UTC}               a time: A without . and :, D for folders; then the digits of the second, the zone

Source: the service's export pages, and its documentation of file-name formats.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

import attrs

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc.models import SeriesInfo
from aurora_async.jsoc.processing import refuse_unsafe
from aurora_async.transfer.names import safe_name

__all__ = ["Field", "FileNameFormat", "NamesTaken", "default_format", "name_of_record"]

_FIELD = re.compile(r"(?P<name>#|[A-Za-z_]\w*)(?::(?P<layout>[^{}]*))?", re.ASCII)
_PRINTF = re.compile(r"%[-+ #0]*\d*(?:\.\d*)?(?:hh?|ll?)?[diouxXeEfFgGcs]", re.ASCII)
_TIME_LAYOUT = re.compile(r"[AD]?(?:-?\d)?(?:,[A-Za-z]+)?", re.ASCII)
_NUMBERED = frozenset({"recnum", "#"})
_LONGEST = 127


@attrs.frozen
class Field:
    """A part of a format that the service replaces."""

    name: str
    layout: str = ""

    def __str__(self) -> str:
        return f"{{{self.name}:{self.layout}}}" if self.layout else f"{{{self.name}}}"


@attrs.frozen
class FileNameFormat:
    """A format of file names, read: texts and fields in their order. `str` prints it."""

    parts: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> FileNameFormat:
        """Read a format.

        Raises:
            InvalidQuery: A brace or a field cannot be read; the reason says which.
        """
        if not isinstance(text, str):
            raise InvalidQuery("filename_format", f"{text!r} is not a text")
        if not text.strip():
            raise InvalidQuery("filename_format", f"{text!r} is not a format such as {{seriesname}}.{{segment}}")
        refuse_unsafe("filename_format", text)
        parts: list[str | Field] = []
        at = 0
        while at < len(text):
            if text[at] == "{":
                end = text.find("}", at)
                if end < 0:
                    raise InvalidQuery("filename_format", f"the brace of {text[at:]!r} is not closed")
                parts.append(_field(text[at + 1 : end]))
                at = end + 1
                continue
            end = min((place for place in (text.find("{", at), text.find("}", at)) if place >= 0), default=len(text))
            if text[end : end + 1] == "}":
                raise InvalidQuery(
                    "filename_format", f"a brace is closed in {text[at : end + 1]!r} that was not opened"
                )
            parts.append(text[at:end])
            at = end
        if text.lstrip().startswith("/") or ".." in map(str.strip, text.split("/")):
            raise InvalidQuery("filename_format", f"{text!r} leads out of the export's folder")
        return cls(tuple(parts))

    @property
    def fields(self) -> tuple[Field, ...]:
        """What the service replaces."""
        return tuple(part for part in self.parts if isinstance(part, Field))

    def check(self, info: SeriesInfo) -> None:
        """Refuse fields that mean nothing in a series, and formats that call all its files the same."""
        for field in self.fields:
            _check_field(field, info)
        if not self.fields:
            raise InvalidQuery("filename_format", f"{str(self)!r} calls all files the same; add {{recnum}}.{{segment}}")
        literal = sum(len(part) for part in self.parts if isinstance(part, str))
        if literal > _LONGEST:
            raise InvalidQuery(
                "filename_format", f"names may have {_LONGEST} characters; {literal} stand in the format"
            )

    def __str__(self) -> str:
        return "".join(map(str, self.parts))


def _field(text: str) -> Field:
    match = _FIELD.fullmatch(text.strip())
    if match is None:
        raise InvalidQuery(
            "filename_format", f"{{{text}}} is not a field such as {{segment}}, {{T_REC:A}} or {{#:%03d}}"
        )
    field = Field(match["name"], match["layout"] or "")
    if field.layout and field.name in ("seriesname", "segment"):
        raise InvalidQuery("filename_format", f"{field}: this one has no layout; write {{{field.name}}}")
    if field.layout and not _PRINTF.fullmatch(field.layout):
        if field.name in _NUMBERED:
            raise InvalidQuery("filename_format", f"{field}: a number is printed like %08d")
        if not _TIME_LAYOUT.fullmatch(field.layout):
            raise InvalidQuery("filename_format", f"{field}: a value is printed like %04d, a time like A or A0,UTC")
    return field


def _check_field(field: Field, info: SeriesInfo) -> None:
    if field.name in _NUMBERED or field.name in ("seriesname", "segment"):
        return
    keyword = info.keywords.get(field.name)
    if keyword is None:
        raise InvalidQuery("filename_format", f"{field}: {info.name} has no keyword {field.name}")
    is_printf = field.layout.startswith("%")
    if field.layout and keyword.is_time is is_printf:
        how = "a time is laid out like A or A0,UTC" if keyword.is_time else "only times are laid out so; write %04d"
        raise InvalidQuery("filename_format", f"{field}: {how}")


def default_format(info: SeriesInfo) -> FileNameFormat:
    """Return the format that tells a series' files apart by their primary keys; by number where it has none."""
    parts: list[str | Field] = [info.name.lower(), "."]
    for name in info.primekeys:
        keyword = info.keywords.get(name)
        parts += [Field(name, "A" if keyword is not None and keyword.is_time else ""), "."]
    if not info.primekeys:
        parts += [Field("recnum", "%lld"), "."]
    return FileNameFormat((*parts, Field("segment")))


# Names here -----------------------------------------------------------------------------------------------------------

_RECORD = re.compile(r"(?P<series>\w+(?:\.\w+)*)(?P<keys>(?:\[[^\[\]]*\])*)(?:\{(?P<segments>[^{}]*)\})?", re.ASCII)
_SEGMENT_AT_END = re.compile(r"(?<![^.])[A-Za-z]\w*$", re.ASCII)
_WHOLE_TIME = re.compile(r"-?\d{4}[.-]\d\d[.-]\d\d(?:[_T ].*)?", re.ASCII)


def name_of_record(record: str, filename: str) -> str | None:
    """Return a name made of a record's: its series, primary keys and segment, and the suffix of the server's file.

    `hmi.V_45s[2016.04.01_00:00:00_TAI][2]{Dopplergram}` and `…/Dopplergram.fits` make
    `hmi.v_45s.20160401_000000_TAI.2.Dopplergram.fits`. None where `record` names no record.
    """
    match = _RECORD.fullmatch(record.strip())
    if match is None or not match["keys"]:
        return None
    keys = [key.strip().strip("\"'") for key in re.findall(r"\[([^\[\]]*)\]", match["keys"])]
    if any(key[:1] in ("", "?", "!", "#", ":") for key in keys):
        return None  # a set of records, not one
    values = [re.sub(r"[.:-]", "", key) if _WHOLE_TIME.fullmatch(key) else key for key in keys]
    stem, dot, suffix = filename.rpartition("/")[2].rpartition(".")
    segments = re.findall(r"[^\s,]+", match["segments"] or "")
    if not segments and (own := _SEGMENT_AT_END.search(stem if dot else suffix)):
        segments = [own[0]]  # FITS files of one record are told apart by nothing else
    return safe_name(".".join([match["series"].lower(), *values, *segments]) + (f".{suffix}" if dot else ""))


class NamesTaken:
    """The names of the files of one export: no two files get one, on any system.

    There are systems for which `Night` and `night`, or two ways to write an accent, are one name.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        """By the names taken: the number that the last of those who wanted it was given."""

    def add(self, name: str, also: Container[str] = ()) -> str:
        """Return `name`, or, when that is taken or in `also`, the first of `name.1`, `name.2` … that is not."""
        asked = _folded(name)
        wanted, number = name, self._last.get(asked, 0)
        while _folded(wanted) in self._last or wanted in also:
            number += 1
            wanted = f"{name}.{number}"
        self._last[_folded(wanted)] = 0
        if asked in self._last:
            self._last[asked] = number
        return wanted


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
