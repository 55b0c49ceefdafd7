"""The values of keywords: what the service prints for each type, and what that is in Python.

Each type has a value of its own that stands for none (the smallest whole number, NaN, Julian day 0, an empty text), and
lists of records show it as `MISSING`. In Python it is None.

Source: the service's documentation of keyword types, formats and missing values.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum

from aurora_async.jsoc.times import MISSING_TIME, TaiTime

__all__ = ["KeywordType", "Value", "print_value", "read_value"]

Value = int | float | str | TaiTime | None


class KeywordType(StrEnum):
    """The type of a keyword, by the name it has in the structure of a series."""

    CHAR = "char"
    SHORT = "short"
    INT = "int"
    LONGLONG = "longlong"
    FLOAT = "float"
    DOUBLE = "double"
    TIME = "time"
    STRING = "string"
    LINK = "link"
    """Inherited through a link that leads nowhere."""

    @property
    def bits(self) -> int:
        """The size of a whole number with its sign, 0 for other types."""
        return _BITS.get(self, 0)

    @property
    def missing(self) -> int | float | str | TaiTime:
        """The value that stands for none."""
        if self.bits:
            return -(1 << self.bits - 1)
        if self in (KeywordType.FLOAT, KeywordType.DOUBLE):
            return math.nan
        return MISSING_TIME if self is KeywordType.TIME else ""


_BITS = {KeywordType.CHAR: 8, KeywordType.SHORT: 16, KeywordType.INT: 32, KeywordType.LONGLONG: 64}

_CONVERSION = re.compile(r"%(?P<shape>[-+ #0]*\d*(?:\.\d*)?)(?:hh|ll|[hlLqjzt])?(?P<letter>[diouxXeEfFgGcs])")


def read_value(text: str | float | None, type: KeywordType, *, units: str = "") -> Value:
    """Read what the service gave for a keyword: None for `MISSING` and for the value that stands for none.

    A whole number may be written in hexadecimal, whatever its type. It has the sign of its type then: an int of
    `0xffffffff` is -1, and the `0x80000000` of a QUALITY without an image is the int that stands for none.

    Args:
        text: The service's text; a bare JSON number does as well.
        type: The keyword's type.
        units: The keyword's units, which for a time are the zone meant where the text names none.

    Raises:
        ValueError: The text is no value of this type.
    """
    if isinstance(text, str) and type not in (KeywordType.STRING, KeywordType.LINK):
        text = text.strip()
    if text is None or text in ("", "MISSING"):
        return None
    value: int | float | str | TaiTime
    match type:
        case KeywordType.STRING | KeywordType.LINK:
            return str(text)
        case KeywordType.TIME:
            value = TaiTime.parse(text, units or "UTC") if isinstance(text, str) else TaiTime(text)
            return None if value.is_missing else value
        case KeywordType.FLOAT | KeywordType.DOUBLE:
            value = float(text)
            return None if math.isnan(value) else value
        case _:
            value = _whole(text, type)
            return None if value == type.missing else value


def _whole(text: str | float, type: KeywordType) -> int | str:
    if not isinstance(text, str):
        if text % 1:
            raise ValueError(f"{text!r} is not a whole number")
        number = int(text)
    elif "x" in text.lower():
        number = int(text, 16)
    elif type is KeywordType.CHAR and len(text) == 1 and not text.isdigit():
        return text  # printed with %c
    else:
        number = int(text)
    limit = 1 << type.bits - 1
    if not -limit <= number < 2 * limit:
        raise ValueError(f"{text!r} does not fit into the {type.bits} bits of a {type.value}")
    return number if number < limit else number - 2 * limit


def print_value(value: Value, type: KeywordType, format: str = "", units: str = "") -> str:
    """Print a value the way the service does; None prints as the value that stands for none in its type.

    Args:
        value: What `read_value` returns.
        type: The keyword's type.
        format: The keyword's format, as for C's printf (`%d`, `%.1f`, `0x%08x`); for a time the digits of its second.
        units: The keyword's units, for a time its zone.

    Raises:
        ValueError: The format and the value do not go together.
    """
    if value is None:
        value = type.missing
    if type is KeywordType.TIME:
        when = value if isinstance(value, TaiTime) else TaiTime.of(value) if isinstance(value, str) else TaiTime(value)
        return when.text(units, int(format or 0))
    conversion = _CONVERSION.search(format)
    if conversion is None:
        return str(value)
    letter = conversion["letter"]
    if type.bits and letter in "ouxX" and isinstance(value, int):
        value %= 1 << type.bits  # C prints the word, Python would print a sign
    plain = format[: conversion.start()] + "%" + conversion["shape"] + letter + format[conversion.end() :]
    try:
        return plain % value
    except TypeError as error:
        raise ValueError(f"{value!r} cannot be printed with {format!r}: {error}") from None
