"""What goes wrong with a DRMS service, in words that say what to do next."""

from __future__ import annotations

import pickle

import pytest

from aurora_async.errors import AtCapacity, AuroraError, InvalidInput, InvalidQuery, MalformedAnswer, ResultExpired
from aurora_async.jsoc import errors

EXAMPLES: list[AuroraError] = [
    errors.NotSupported("export", "KIS"),
    errors.AddressNotRegistered("me@example.com", "it is pending"),
    errors.QueryRefused("hmi[", 1, "bad regular expression", "regex"),
    errors.NoSuchSeries("foo.bar", 1, "series not found"),
    errors.ExportRefused("hmi.m_720s[1]", 4, "bad query"),
    errors.ExportTooLarge("hmi.m_720s[1]", 3, "Request exceeds max byte limit of 100000MB", 194300.0),
    errors.FilesOffline("hmi.m_720s[1]", 25, "on tape"),
    errors.TooManyPending("too many", ("JSOC_20240919_001",)),
    errors.NoSuchExport("JSOC_20240919_001", "unknown"),
    errors.NoFile("hmi.M_720s[2016.04.01_00:00:00_TAI][1]", "NoDataFile"),
    errors.WrongValue("http://jsoc.example.org", "$.keywords[0].values[1]", "su.a[:#1]", "QUALITY", "x", "is no int"),
    errors.AddressCheckFailed("me@example.com", -6, "no database"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: AuroraError) -> None:
    """It comes back from worker processes with all that it knows."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_every_error_has_an_example_here() -> None:
    """So that no new one is forgotten."""
    assert {type(one).__name__ for one in EXAMPLES} == set(errors.__all__)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (errors.NotSupported, InvalidInput),
        (errors.AddressNotRegistered, InvalidInput),
        (errors.QueryRefused, InvalidQuery),
        (errors.ExportRefused, InvalidQuery),
        (errors.TooManyPending, AtCapacity),
        (errors.NoSuchExport, ResultExpired),
        (errors.WrongValue, MalformedAnswer),
    ],
)
def test_whoever_catches_the_general_error_catches_the_particular_one(
    kind: type[AuroraError], base: type[AuroraError]
) -> None:
    """Programs for several services know only the tree that all of them share."""
    assert issubclass(kind, base)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (EXAMPLES[0], "use another server"),
        (EXAMPLES[1], r"register_email\(\) registers it"),
        (EXAMPLES[3], r"series\(\) lists"),
        (EXAMPLES[5], "ask for fewer records"),
        (EXAMPLES[10], "typed=False gives the values as texts"),
        (EXAMPLES[11], "try again later"),
    ],
)
def test_an_error_says_what_to_do_next(error: AuroraError, advice: str) -> None:
    """Its reader wants to go on."""
    with pytest.raises(AuroraError, match=advice):
        raise error
