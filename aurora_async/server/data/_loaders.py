"""Typed views of the data files in this folder; a file is opened at the first call that needs it, then kept.

Every file says where its numbers come from: a `_source` entry inside it or in the `*.source.json` beside it.
`igrf14.shc` and the T89c parameters are described in `footprint_model.json`.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
import json
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, cast

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ElementSet",
    "GaussCoefficients",
    "Station",
    "data_sources",
    "element_sets",
    "gauss_coefficients",
    "metadata_schemas",
    "source_texts",
    "station_of_identifier",
    "t89c_parameters",
]


@attrs.frozen(kw_only=True)
class Station:
    """The site of a ground instrument: geodetic latitude and longitude in degrees."""

    uid: str
    full_name: str
    lat_deg: float
    lon_deg: float
    source: str


@attrs.frozen(kw_only=True)
class ElementSet:
    """One two-line element set of a spacecraft, as distributed."""

    norad: int
    epoch: dt.datetime
    line1: str
    line2: str


@attrs.frozen(kw_only=True, eq=False)
class GaussCoefficients:
    """The Schmidt semi-normalised coefficients of a main field model.

    `g` and `h` are `(n_epochs, degree + 1, degree + 1)` float64 in nT, indexed by epoch, degree n and order m;
    between two epochs they change linearly.
    """

    epochs: NDArray[np.float64]
    g: NDArray[np.float64]
    h: NDArray[np.float64]


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _document(name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(_text(name)))


@functools.cache
def data_sources(*, with_inferred: bool = True) -> tuple[Mapping[str, Any], ...]:
    """Return the data source records, by identifier.

    Args:
        with_inferred: Also the four REGO sources whose identifier and program alone are printed; their other
            fields follow the pattern of the printed records (`data_sources_inferred.json`).
    """
    document = _document("data_sources.json")
    full = document["full_record_example"]
    records = [full if record["identifier"] == full["identifier"] else record for record in document["data_sources"]]
    if with_inferred:
        records += _document("data_sources_inferred.json")["data_sources"]
    return tuple(sorted(records, key=lambda record: int(record["identifier"])))


@functools.cache
def metadata_schemas() -> Mapping[str, Any]:
    """Return the metadata schemas that are printed anywhere (Swarm A ephemeris, TREx RGB keograms, ML fields)."""
    return MappingProxyType(_document("metadata_schemas.json"))


@functools.cache
def station_of_identifier() -> Mapping[int, Station]:
    """Return the site of each ground data source.

    A fitted position is preferred where the file has one (Resolute Bay: the listed one is up to 4.8 km off).
    """
    document = _document("stations.json")
    sources = document["_source"]
    stations = {
        entry["uid"]: Station(
            uid=entry["uid"],
            full_name=entry["full_name"],
            lat_deg=entry.get("fit", entry)["lat"],
            lon_deg=entry.get("fit", entry)["lon"],
            source=entry["fit"]["_note"] if "fit" in entry else sources[entry["source"]],
        )
        for entry in document["stations"]
    }
    return MappingProxyType({int(key): stations[uid] for key, uid in document["station_of_identifier"].items()})


def _element_epoch(line1: str) -> dt.datetime:
    """Columns 19-32 of line 1: two digits of the year (57 and later are 19xx), day of year with fraction."""
    year = int(line1[18:20])
    start = dt.datetime(year + (1900 if year >= 57 else 2000), 1, 1, tzinfo=dt.UTC)
    return start + dt.timedelta(days=float(line1[20:32]) - 1.0)


@functools.cache
def element_sets() -> Mapping[int, tuple[ElementSet, ...]]:
    """Return the element sets of each spacecraft data source, oldest first; sources without any are not in it."""
    objects = _document("elements.source.json")["objects"]
    found: dict[int, list[ElementSet]] = {}
    for row in csv.DictReader(io.StringIO(_text("elements.csv"))):
        elements = ElementSet(
            norad=int(row["norad"]), epoch=_element_epoch(row["line1"]), line1=row["line1"], line2=row["line2"]
        )
        found.setdefault(int(objects[row["norad"]]["aurorax_identifier"]), []).append(elements)
    return MappingProxyType({key: tuple(sorted(sets, key=lambda s: s.epoch)) for key, sets in found.items()})


@functools.cache
def gauss_coefficients() -> GaussCoefficients:
    """Return IGRF-14, degree 13, 1900 to 2030."""
    lines = [line.split() for line in _text("igrf14.shc").splitlines() if not line.startswith("#")]
    degree = int(lines[0][1])
    epochs = np.array(lines[1], dtype=np.float64)
    g = np.zeros((len(epochs), degree + 1, degree + 1))
    h = np.zeros_like(g)
    for n, m, *values in lines[2:]:
        # The format writes the sine coefficients with a negative order.
        (h if int(m) < 0 else g)[:, int(n), abs(int(m))] = np.array(values, dtype=np.float64)
    return GaussCoefficients(epochs=epochs, g=g, h=h)


@functools.cache
def t89c_parameters(iopt: int) -> tuple[float, ...]:
    """Return the 30 parameters of Tsyganenko 89c for an activity level.

    Args:
        iopt: 1 to 7; 4 stands for Kp 3-, 3, 3+.
    """
    rows = _document("footprint_model.json")["t89c"]["parameters"]
    return tuple(float(value) for value in rows[iopt - 1])


@functools.cache
def source_texts() -> Mapping[str, Any]:
    """Return, for each data file, what it says about its origin."""
    names = (
        "data_sources.json",
        "data_sources_inferred.json",
        "metadata_schemas.json",
        "stations.json",
        "elements.source.json",
        "footprint_model.json",
    )
    return MappingProxyType({name: _document(name)["_source"] for name in names})
