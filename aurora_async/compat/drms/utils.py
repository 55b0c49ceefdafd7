"""Times as printed by the service, read by pandas."""

from __future__ import annotations

from typing import Any

from aurora_async.compat.drms._frames import import_pandas

__all__ = ["to_datetime"]
__dir__ = __all__.copy

# What stands behind a time's `_`: a zone by its name. Nothing is converted: every zone gives the reading of its clock.
_ZONE = r"_[A-Za-z]+$"


def to_datetime(tstr: Any, *, force: bool = False) -> Any:
    """Return times as naive clock readings: a `Timestamp` for one text, a Series for many.

    `2010.05.01_00:00:34_TAI` and `2010-05-01T00:00:00Z` are both read as they stand, seconds of TAI and UTC alike; what
    cannot be read, a leap second, the service's missing time and others outside of 1677 to 2262 are `NaT`. Each element
    is judged by itself, so that `force`, with which drms knows DRMS's times without `_TAI`, changes nothing.

    `NaT` for a leap second is drms' answer, which this one keeps to; `aurora_async.jsoc.TaiTime` knows when it was.
    """
    pd = import_pandas()
    is_one = tstr is None or pd.api.types.is_scalar(tstr)
    given = pd.Series([tstr] if is_one else tstr)
    text = given.where(given.notna(), "").astype(str)
    text = text.str.replace(_ZONE, "", regex=True).str.replace("_", " ")
    for dots in (r"^(\d{4})\.(?=\w)", r"^(\d{4}-\w+)\.(?=\w)"):
        text = text.str.replace(dots, r"\1-", regex=True)
    # As if all were UTC: readings of several zones would not fit into one column otherwise.
    read = pd.to_datetime(text, errors="coerce", format="mixed", dayfirst=False, utc=True).dt.tz_localize(None)
    # What older releases of pandas could not hold is missing with newer ones, too: so is the service's missing time.
    read = read.where(read.between(pd.Timestamp.min, pd.Timestamp.max))
    return read.iloc[0] if is_one else read
