"""What the errors of this service say, and that every fact in them is an attribute that travels."""

from __future__ import annotations

import pickle

import pytest

from aurora_async.errors import AuroraError, BadRequest, Conflict, Forbidden, HttpError, InvalidQuery, NotFound
from aurora_async.imap import (
    AlreadyExists,
    CoverageGaps,
    LinkExpired,
    NoSuchFile,
    NotReleased,
    QueryRefused,
)
from aurora_async.times import TimeRange

KEY = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
URL = f"https://api.imap-mission.com/download/{KEY}"
ANSWER = HttpError("GET", URL, 403, None, f"The file {KEY} is not a part of a public release yet.", 3.0)
GAP = TimeRange("2026-01-01T00:00:00", "2026-01-01T06:00:00")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            NotReleased.of(ANSWER, KEY),
            Forbidden,
            "is not a part of a public release yet.); files that are not released",
        ),
        (LinkExpired.of(ANSWER, KEY), Forbidden, "links live for a day"),
        (NoSuchFile.of(ANSWER, KEY), NotFound, "query() tells which files there are"),
        (AlreadyExists.of(ANSWER, KEY), Conflict, "give the file the next version"),
        (
            CoverageGaps("GET", URL, 422, {"spacecraft_attitude": (GAP,)}),
            BadRequest,
            "no kernels for spacecraft_attitude 2026-01-01T00:00:00 to 2026-01-01T06:00:00",
        ),
        (QueryRefused(URL, "no"), InvalidQuery, f"the service refuses the query {URL}: no"),
    ],
)
def test_an_error_says_what_to_do_and_survives_a_process(
    error: AuroraError, kind: type[AuroraError], says: str
) -> None:
    """It is one of the kinds that programs for any service catch, and comes back whole from a worker."""
    assert isinstance(error, kind)
    assert says in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)
