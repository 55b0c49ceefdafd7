"""The structure of a series as drms shows it: attributes and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aurora_async.compat.drms._frames import named_frame

if TYPE_CHECKING:
    import pandas

__all__ = ["SeriesInfo"]

_INTEGER = ("short", "int", "longlong")
_REAL = ("float", "double")


class SeriesInfo:
    """The structure of a series; made by `Client.info`.

    Attributes:
        name: As it was asked for, in small letters.
        note, retention (days), unitsize, archive, tapegroup, primekeys, dbindex: As the service tells them.
        keywords, links, segments: Tables, found by `name`.
    """

    def __init__(self, d: Mapping[str, Any], *, name: str | None = None) -> None:
        """Read the service's answer `d`."""
        self._d = d
        self.name = name
        self.note: str | None = d.get("note")
        self.retention: int | None = d.get("retention")
        self.unitsize: int | None = d.get("unitsize")
        self.archive: int | None = d.get("archive")
        self.tapegroup: int | None = d.get("tapegroup")
        self.primekeys = _own(d.get("primekeys"))
        self.dbindex = _own(d.get("dbindex"))
        self.keywords = _keywords(d["keywords"])
        self.links = named_frame(d["links"], ("target", "kind", "note"))
        self.segments = named_frame(d["segments"], ("type", "units", "protocol", "dims", "note"))

    def __repr__(self) -> str:
        return "<SeriesInfo>" if self.name is None else f"<SeriesInfo: {self.name}>"


def _own(names: Sequence[str | None] | None) -> list[str | None] | None:
    """Return a list that may be changed: the answer it comes from is everybody's."""
    return None if names is None else list(names)


def _keywords(rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    table = named_frame(rows, ("type", "recscope", "defval", "units", "note", "linkinfo"))
    table["is_time"] = table["type"] == "time"
    table["is_integer"] = table["type"].isin(_INTEGER)
    table["is_real"] = table["type"].isin(_REAL)
    table["is_numeric"] = table["is_integer"] | table["is_real"]
    return table
