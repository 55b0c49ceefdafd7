"""Which failures are repeated, and when: checked without a clock."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from aurora_async.config import Retries
from aurora_async.errors import (
    AuroraError,
    BadRequest,
    ClientClosed,
    ConnectionFailed,
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    HttpError,
    IncompleteBody,
    MaintenanceMode,
    MalformedAnswer,
    NameNotResolved,
    NotFound,
    ReadTimeout,
    ServerError,
    TlsFailed,
    TooManyRequests,
    Unavailable,
)
from aurora_async.http.retry import RetryPolicy, is_repeatable, is_worth_repeating, retry_after_s

NOW = datetime(2020, 1, 1, 12, 0, 0, tzinfo=UTC)


class Midway(random.Random):
    """Draws the middle of every range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("99999999999999999999", 1e20),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Wednesday, 01-Jan-20 12:00:30 GMT", 30.0),
        ("Wed, 01 Jan 2020 12:00:30 -0000", 30.0),
        ("Wed, 01 Jan 2020 13:00:30 +0100", 30.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("1e3", None),
        ("٣", None),
        ("Wed, 99 Jan 2020 12:00:30 GMT", None),
        ("Wed, 01 Jan 2020", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_garbage_is_ignored(value: str | None, seconds: float | None) -> None:
    """A header that cannot be read must neither fail the exchange nor make it hammer the host."""
    assert retry_after_s(value, NOW) == seconds


def test_the_schedule_is_known_to_the_last_digit() -> None:
    """Doubling from `first_s`, each wait drawn from the upper half of its range, clamped at the ceiling."""
    policy = RetryPolicy(retries=Retries(first_s=0.25, factor=2, ceiling_s=3), rng=Midway())
    nominal = [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]
    assert list(islice(policy.waits(), 6)) == [wait * 0.75 for wait in nominal]


@given(seed=integers(), first_s=floats(1e-3, 100), factor=floats(1, 10), ceiling_s=floats(1e-3, 100))
def test_no_wait_leaves_its_range(seed: int, first_s: float, factor: float, ceiling_s: float) -> None:
    """However long it goes on (a naive power overflows after 1,000 tries) and whatever is drawn."""
    retries = Retries(first_s=first_s, factor=factor, ceiling_s=ceiling_s)
    waits = list(islice(RetryPolicy(retries=retries, rng=random.Random(seed)).waits(), 1100))
    assert all(min(first_s, ceiling_s) / 2 <= wait <= ceiling_s for wait in waits)


def test_two_clients_do_not_come_back_together() -> None:
    """The reason for the jitter."""
    one, two = (list(islice(RetryPolicy(rng=random.Random(seed)).waits(), 5)) for seed in (1, 2))
    assert all(a != b for a, b in zip(one, two, strict=True))


REFUSED = ConnectionRefused("POST", "http://x/", "")


def answered(kind: type[HttpError], status: int, retry_after_s: float | None = None) -> HttpError:
    return kind("POST", "http://x/", status, None, "", retry_after_s)


@pytest.mark.parametrize(
    "error",
    [REFUSED, ConnectTimeout("POST", "u", ""), ConnectionFailed("POST", "u", ""), answered(TooManyRequests, 429)],
    ids=lambda error: type(error).__name__,
)
def test_what_the_service_never_acted_on_is_repeated_even_if_it_must_not_happen_twice(error: AuroraError) -> None:
    """No connection, or 429: the request was not taken up."""
    assert is_worth_repeating(error, method="POST", repeat=False)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("GET", "u", ""),
        ReadTimeout("GET", "u", ""),
        IncompleteBody("u", None, ""),
        answered(ServerError, 500),
        answered(ServerError, 502),
        answered(ServerError, 504),
        answered(Unavailable, 503),
        answered(HttpError, 408),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'status', '')}",
)
def test_what_the_service_may_have_acted_on_is_repeated_only_where_that_is_safe(error: AuroraError) -> None:
    """A search submitted twice runs twice."""
    assert is_worth_repeating(error, method="GET", repeat=True)
    assert not is_worth_repeating(error, method="POST", repeat=False)


@pytest.mark.parametrize(
    "error",
    [
        NameNotResolved("GET", "u", ""),
        TlsFailed("GET", "u", ""),
        answered(BadRequest, 400),
        answered(NotFound, 404),
        answered(ServerError, 501),
        MalformedAnswer("u", "$", ""),
        ClientClosed(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_end_the_same_way_is_not_repeated(error: AuroraError) -> None:
    """A wrong name, a bad certificate and a bad request are answers, not accidents."""
    assert not is_worth_repeating(error, method="GET", repeat=True)


def test_maintenance_fails_writes_at_once_and_reads_unless_the_service_names_a_time() -> None:
    """Maintenance lasts hours: trying a refused write five times helps nobody."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert not is_worth_repeating(answered(MaintenanceMode, 503, 1.0), method=method, repeat=True)
    assert not is_worth_repeating(answered(MaintenanceMode, 503), method="GET", repeat=True)
    assert is_worth_repeating(answered(MaintenanceMode, 503, 1.0), method="GET", repeat=True)


def test_methods_that_may_be_repeated() -> None:
    """RFC 9110, 9.2.2, and nothing unheard of."""
    methods = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "BREW")
    assert [is_repeatable(method) for method in methods] == [True] * 5 + [False] * 3


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    """The caller gets the last error while there is time left to act on it, not a timeout in the middle of a sleep."""
    policy = RetryPolicy(rng=Midway())
    assert policy.wait_s(REFUSED, 2.0, left_s=2.5) == 2.0
    assert policy.wait_s(REFUSED, 2.0, left_s=2.0) is None
    assert policy.wait_s(answered(Unavailable, 503, 10.0), 0.2, left_s=5.0) is None


def test_retry_after_is_the_least_to_wait_and_is_spread_out() -> None:
    """Never earlier than asked; a little later, so that those told the same time do not all come at once."""
    policy = RetryPolicy(rng=random.Random(1))
    waits = [policy.wait_s(answered(TooManyRequests, 429, 10.0), 0.2, left_s=100.0) for _ in range(50)]
    assert all(wait is not None and 10 <= wait <= 10.25 for wait in waits)
    assert len(set(waits)) == 50
    assert policy.wait_s(answered(TooManyRequests, 429, 0.0), 0.2, left_s=100.0) == 0.2
    assert policy.wait_s(answered(TooManyRequests, 429, 1.0), 15.0, left_s=100.0) == 15.0


def test_a_service_that_asks_for_a_day_gets_its_error_shown_instead() -> None:
    """Without a deadline, too: the caller would see nothing for a day."""
    assert RetryPolicy().wait_s(answered(Unavailable, 503, 86400.0), 0.2, left_s=float("inf")) is None
