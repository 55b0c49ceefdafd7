"""Conditions in SQL: what they may do, how values compare, and that nobody gets further than the records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.conditions import Conditions
from aurora_async.server.jsoc.structure import RecordSetProblem

CATALOG = Catalog()
HOUR = "aia.lev1_euv_12s[2014.01.01_TAI/1h@5m]"  # 12 slots of 7 wavelengths


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("WAVELNTH = 171", 12),
        ("wavelnth = '171' OR WaveLnth='211'", 24),
        ('INSTRUME = "AIA_4"', 24),
        ("INSTRUME LIKE 'AIA%' AND NOT INSTRUME LIKE 'aia%'", 84),
        ("WAVELNTH IN (94, 131) AND EXPTIME BETWEEN 2 AND '3.0'", 24),
        ("QUALITY < '2' AND EXPTIME > '2'", 84),
        ("T_REC < $(2014.01.01_00:10_TAI)", 14),
        ("T_REC <= $(2013-12-31T23:59:25Z)", 7),
        ("drms.image_exists(quality) AND drms.image_exists(QUALITY)", 84),
        ("abs(CRLT_OBS) > 2 AND floor(EXPTIME) = 2", 84),
        ("(WAVELNTH & 1) = 1 AND mod(WAVELNTH, 5) = 0", 12),
        ("INSTRUME = 'AIA;4' OR INSTRUME = 'it''s'", 0),
        ("BLD_VERS IS NOT NULL AND length(ORIGIN) > 3", 84),
        ("NSATPIX = 0 AND DATAMIN < 0", 84),
    ],
)
def test_a_condition_compares_as_the_service_does(condition: str, count: int) -> None:
    """Numbers in quotes are numbers where the keyword is one, double quotes hold texts, names have no case."""
    assert CATALOG.count(f"{HOUR}[? {condition} ?]") == count


def test_a_condition_is_tried_on_thousands_of_records_batch_by_batch() -> None:
    """The days of an eclipse season lack about an hour each."""
    assert CATALOG.count("hmi.v_45s[2014.03.01_TAI/5d][? QUALITY < 0 ?]") == pytest.approx(5 * 85, rel=0.2)


def test_conditions_are_joined_by_and() -> None:
    """Each in parentheses of its own: an OR in one of them does not open the other."""
    assert CATALOG.count(f"{HOUR}[? WAVELNTH=94 OR WAVELNTH=131 ?][! WAVELNTH=131 OR WAVELNTH=171 !]") == 12


def test_a_missing_quality_is_the_number_that_stands_for_it() -> None:
    """Scripts leave out what has no image by `QUALITY >= 0`."""
    text = "hmi.v_45s[2014.03.07_06:48_TAI]"
    assert CATALOG.count(f"{text}[? QUALITY >= 0 ?]") == 0
    assert CATALOG.count(f"{text}[? QUALITY = -2147483648 AND DATAMEAN IS NULL ?]") == 1


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("FOO = 1", "no such column: FOO"),
        ("WAVELNTH =", "syntax error"),
        ("WAVELNTH = 1) OR (1 = 1", "syntax error at or near `)`"),
        ("(WAVELNTH = 1", "syntax error at end of input"),
        ("1 = 1 -- AND", "syntax error at or near `--`"),
        ("1 = 1 /* AND", "syntax error at or near `/*`"),
        ("WAVELNTH = (SELECT 1 FROM sqlite_master)", "not authorized"),
        ("(SELECT count(*) FROM pragma_database_list) > 0", "not authorized"),
        ("load_extension('x') IS NULL", "not authorized to use function"),
        ("randomblob(1000000000) IS NOT NULL", "not authorized to use function"),
        (
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n) > 0",
            "not authorized",
        ),
        ("T_REC < $(yesterday)", "not a time"),
        ("place_ = 1 AND rowid = $(2014", "syntax error"),
    ],
)
def test_a_condition_that_is_refused_says_why(condition: str, message: str) -> None:
    """In the words of the database where it is the database that refuses."""
    with pytest.raises(RecordSetProblem) as refused:
        CATALOG.count(f"{HOUR}[? {condition} ?]")
    assert "problem with database query" in str(refused.value)
    assert message in str(refused.value)


def test_a_condition_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the database are counted, batch by batch."""
    monkeypatch.setattr("aurora_async.server.jsoc.conditions._MOST_STEPS", 20_000)
    with pytest.raises(RecordSetProblem, match="takes too long"):
        CATALOG.count(f"{HOUR}[? {' OR '.join(['WAVELNTH = 1'] * 500)} ?]")


def test_a_condition_on_a_whole_series_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be tried on millions of records; a range of the prime keys makes them few."""
    monkeypatch.setattr("aurora_async.server.jsoc.selection._MOST_TRIED", 5000)
    with pytest.raises(RecordSetProblem, match="name a range of the prime keys"):
        CATALOG.count("hmi.v_45s[? QUALITY < 0 ?]")
    with pytest.raises(RecordSetProblem, match="take a shorter range"):
        CATALOG.count("hmi.v_45s[2014.01.01_TAI/10d][? QUALITY < 0 ?]")
    assert len(CATALOG.open("hmi.v_45s[? QUALITY = 0 ?]", n=3)) == 3


@given(text=st.text(st.sampled_from("abQUALITY()'\"=<>;-/*$ 01?!&|,.\\\0é"), max_size=40))
def test_no_text_at_all_makes_anything_but_an_answer_or_a_refusal(text: str) -> None:
    """Whatever is sent, there is an answer, and it is about the records."""
    series = CATALOG.series("hmi.v_45s")
    assert series is not None
    records = CATALOG.open("hmi.v_45s[2014.01.01_TAI/3m]")
    try:
        with Conditions(series, [text]) as conditions:
            found = conditions.met(records)
    except RecordSetProblem:
        return
    assert set(found) <= set(range(len(records)))
