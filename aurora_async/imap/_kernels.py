"""The names of the SPICE family: one pattern a kind, which both reads and writes them.

A pattern is the name itself, and in it

    <field>, <field:3>    digits: any number of them, or so many
    <date:j>              a date: j 2026_013, d 20260113, y 260113, Y 2026 (the first of January)
    <word:w>              letters, digits, `_` and `-`
    [ ]                   may be missing, with the field in it
    { }                   what tells the kind: only there upper and lower case are two things

Source: the SDC's data-access client 1.3.0. It does not look at the end of a name, so that `naif0012.tls.bak` is a
kernel there; here a name ends where its pattern does.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import attrs

from aurora_async.errors import InvalidInput
from aurora_async.imap.vocabulary import KERNEL_TYPES

__all__ = ["KERNEL_KINDS", "KernelKind", "read_kernel", "write_kernel"]

_FIELD = re.compile(r"<(?P<name>\w+)(?::(?P<layout>\w+))?>")
_TOKEN = re.compile(rf"{_FIELD.pattern}|\{{(?P<exact>[^{{}}]*)\}}|(?P<text>[^<{{]+)")


def _day_of_year(text: str) -> date:
    year, number = map(int, text.split("_"))
    if not 1 <= number <= 365 + calendar.isleap(year):
        raise ValueError(f"the year {year:04} has no day {number:03}")
    return date(year, 1, 1) + timedelta(days=number - 1)


def _two_digit_year(text: str) -> date:
    year = int(text[:2])
    return date(year + (1900 if year >= 69 else 2000), int(text[2:4]), int(text[4:]))  # as POSIX reads two digits


@attrs.frozen
class _Layout:
    digits: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


_DATES = {
    "j": _Layout(r"\d{4}_\d{3}", _day_of_year, lambda day: f"{day.year:04}_{day.timetuple().tm_yday:03}"),
    "d": _Layout(
        r"\d{8}",
        lambda text: date(int(text[:4]), int(text[4:6]), int(text[6:])),
        lambda day: f"{day.year:04}{day.month:02}{day.day:02}",
    ),
    "y": _Layout(r"\d{6}", _two_digit_year, lambda day: f"{day.year % 100:02}{day.month:02}{day.day:02}"),
    "Y": _Layout(r"\d{4}", lambda text: date(int(text), 1, 1), lambda day: f"{day.year:04}"),
}


def _layout(name: str, layout: str | None) -> _Layout:
    if layout in _DATES:
        return _DATES[layout]
    if layout == "w":
        return _Layout(r"[A-Za-z0-9_-]+", str, str)
    digits = rf"\d{{{layout}}}" if layout else r"\d+"
    return _Layout(digits, int, "{:05}".format) if name == "repointing" else _Layout(digits, str, str)


@attrs.frozen
class KernelKind:
    """How files of one kind are called; `type` is the service's word for them, and several kinds may share it."""

    type: str
    pattern: str
    fields: Mapping[str, _Layout] = attrs.field(init=False, eq=False, repr=False)
    optional: frozenset[str] = attrs.field(init=False, eq=False, repr=False)
    _regex: re.Pattern[str] = attrs.field(init=False, eq=False, repr=False)

    @fields.default
    def _find_fields(self) -> dict[str, _Layout]:
        return {found["name"]: _layout(found["name"], found["layout"]) for found in _FIELD.finditer(self.pattern)}

    @optional.default
    def _find_optional(self) -> frozenset[str]:
        return frozenset(
            found["name"] for piece, may_miss in self._pieces() if may_miss for found in _FIELD.finditer(piece)
        )

    @_regex.default
    def _compile(self) -> re.Pattern[str]:
        def regex_of(token: re.Match[str]) -> str:
            if name := token["name"]:
                return f"(?P<{name}>{self.fields[name].digits})"
            return re.escape(token["text"]) if token["text"] else f"(?-i:{re.escape(token['exact'])})"

        pieces = [(_TOKEN.sub(regex_of, piece), may_miss) for piece, may_miss in self._pieces()]
        regex = "".join(f"(?:{piece})?" if may_miss else piece for piece, may_miss in pieces)
        return re.compile(regex, re.ASCII | re.IGNORECASE)

    @property
    def form(self) -> str:
        """The pattern for people: `imap_<start_date:j>_<end_date:j>_<version>.spin`."""
        return self.pattern.replace("{", "").replace("}", "")

    def _pieces(self) -> Iterator[tuple[str, bool]]:
        for number, piece in enumerate(re.split(r"[\[\]]", self.pattern)):
            yield piece, number % 2 == 1

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the parts of a name, and where its version stands as `span`; None for a name of another kind.

        Raises:
            InvalidInput: A date in it is none.
        """
        match = self._regex.fullmatch(name)
        if match is None:
            return None
        parts: dict[str, Any] = {}
        for field, layout in self.fields.items():
            if (text := match[field]) is not None:
                try:
                    parts[field] = layout.read(text)
                except ValueError as error:
                    raise InvalidInput(field, f"{text!r} is not a day: {error}") from None
        if "version" in parts:
            parts["span"] = match.span("version")
        return parts

    def write(self, parts: Mapping[str, Any]) -> str:
        """Return the name that these parts make. The optional ones may be None, the others must be there."""

        def text_of(token: re.Match[str]) -> str:
            name = token["name"]
            return self.fields[name].write(parts[name]) if name else token["text"] or token["exact"]

        return "".join(
            _TOKEN.sub(text_of, piece)
            for piece, may_miss in self._pieces()
            if not may_miss or all(parts.get(found["name"]) is not None for found in _FIELD.finditer(piece))
        )


KERNEL_KINDS = (
    KernelKind("attitude_history", "imap_<start_date:j>_<end_date:j>_<version>.{ah.bc}"),
    KernelKind("attitude_predict", "imap_<start_date:j>_<end_date:j>_<version>.{ap.bc}"),
    KernelKind("spin", "imap_<start_date:j>_<end_date:j>_<version>.{spin}"),
    KernelKind("spin", "imap_<start_date:j>_<end_date:j>_<version>.{spin.csv}"),
    KernelKind("pointing_attitude", "{imap_dps}_<start_date:j>_<end_date:j>_<version>.ah.bc"),
    KernelKind("lo_pivot_attitude", "{imap_lopivot}-repoint<repointing:5>_<start_date:j>_<end_date:j>_<version>.bc"),
    KernelKind("repoint", "imap_<end_date:j>_<version>.{repoint}"),
    KernelKind("repoint", "imap_<end_date:j>_<version>.{repoint.csv}"),
    *(
        KernelKind(f"ephemeris_{type}", f"imap_{{{word}}}_[od<orbit:3>_]<start_date:d>_<end_date:d>[_v<version>].bsp")
        for word, type in (
            ("recon", "reconstructed"),
            ("nom", "nominal"),
            ("pred", "predicted"),
            ("90days", "90days"),
            ("long", "long"),
            ("launch", "launch"),
        )
    ),
    KernelKind("planetary_ephemeris", "{de}<version>.bsp"),
    KernelKind("lagrange_point", "{L1_de}<version>.bsp"),
    KernelKind("planetary_constants", "{pck}<version>.tpc"),
    KernelKind("leapseconds", "{naif}<version>.tls"),
    KernelKind("spacecraft_clock", "{imap_sclk_}<version>.tsc"),
    KernelKind("imap_frames", "imap_<version>.{tf}"),
    KernelKind("thruster", "imap_<start_date:j>_<end_date:j>_<word:w>_<version:2>.{sff}"),
    KernelKind("metakernel", "{imap_sdc_metakernel_}<start_date:Y>{_v}<version:3>{.tm}"),
    KernelKind("metakernel", "imap_<start_date:j>_a<version:2>.spice.{mk}"),
    KernelKind("metakernel", "IMAP_<start_date:j>_e<version:2>.{mk}"),
    KernelKind("science_frames", "{imap_science}_<version>.tf"),
    KernelKind("earth_attitude", "earth_<start_date:y>_<end_date:y>_<prediction_date:y>.{bpc}"),
)
"""All kinds. No name is of two: the order is that in which they are looked through."""


def read_kernel(name: str) -> dict[str, Any] | None:
    """Return the parts of a name and its `type`; None where it is of no kind.

    Raises:
        InvalidInput: A date in it is none.
    """
    for kind in KERNEL_KINDS:
        if (parts := kind.read(name)) is not None:
            return {"type": kind.type, **parts}
    return None


def write_kernel(type: str, parts: Mapping[str, Any], ending: str | None = None) -> str:
    """Return the name of that type that these parts make; `ending` chooses among several.

    Raises:
        InvalidInput: There is none.
    """
    kinds = [kind for kind in KERNEL_KINDS if kind.type == type]
    if not kinds:
        raise InvalidInput("type", f"{type!r} is not one of {', '.join(KERNEL_TYPES)}")
    for kind in kinds:
        fits = kind.fields.keys() - kind.optional <= parts.keys() <= kind.fields.keys()
        if fits and (ending is None or kind.form.endswith(f".{ending}")):
            return kind.write(parts)
    forms = " or ".join(kind.form for kind in kinds)
    raise InvalidInput("parts", f"{', '.join(parts) or 'nothing'} makes no name of type {type}, which is {forms}")
