"""The catalogue: structures as they are published, and the arithmetic by which records are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async.jsoc.times import TaiTime
from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.positions import Cadence, Choice, Position, Words, meet
from aurora_async.server.jsoc.structure import RecordSetProblem, Series, Slots

FACTS = json.loads((Path(__file__).parents[2] / "facts" / "jsoc_records.json").read_text())
CATALOG = Catalog()


def series(name: str) -> Series:
    found = CATALOG.series(name)
    assert found is not None
    return found


# Structures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "primekeys", "segments"), FACTS["primekeys"])
def test_a_series_has_its_published_prime_keys_and_segments(
    name: str, primekeys: list[str], segments: list[str]
) -> None:
    """Each prime key is a keyword as well, or clients that list keywords would not find it."""
    found = series(name)
    assert set(primekeys) <= set(found.primekeys)
    assert all(found.keyword(key) is not None for key in found.primekeys)
    assert set(segments) <= {segment.name for segment in found.segments}


@pytest.mark.parametrize("listing", FACTS["listings"], ids=lambda listing: str(listing["filter"]))
def test_names_have_their_published_spelling_and_order(listing: dict[str, Any]) -> None:
    """Names are looked up without regard to case, and printed in the one way that the service has for each."""
    part = listing["filter"].replace("\\", "").lower()
    assert [name for name in CATALOG.names() if part in name.lower()] == listing["names"]
    assert all(series(name.upper()).name == name for name in listing["names"])


def test_the_keywords_of_a_sharp_begin_and_end_as_published() -> None:
    """Hidden columns of each segment come first, three for each, in the order of the segments."""
    names = [keyword.name for keyword in series("hmi.sharp_720s").keywords]
    assert [segment.name for segment in series("hmi.sharp_720s").segments] == FACTS["sharp_segments"]
    assert names[: len(FACTS["sharp_first_keywords"])] == FACTS["sharp_first_keywords"]
    assert names[-2:] == FACTS["sharp_last_keywords"]


def test_a_keyword_with_a_fits_name_has_a_row_under_that_name_too() -> None:
    """`[DATE-OBS] …` in a note means that files call the keyword so."""
    found = series("hmi.v_45s")
    assert found.keywords[-1].name == "DATE-OBS"
    assert found.keyword("date__obs") is not None


def test_keywords_of_an_aia_image_are_those_of_its_level_1_record() -> None:
    """All but the prime keys and the helpers of their slots, which the series has of its own."""
    found = series("aia.lev1_euv_12s")
    own = {keyword.name for keyword in found.keywords if keyword.linkinfo is None}
    assert {"T_REC", "WAVELNTH", "T_REC_epoch", "T_REC_step", "T_REC_round", "T_REC_index"} <= own
    exposure = found.keyword("EXPTIME")
    assert exposure is not None and exposure.linkinfo == "lev1->EXPTIME"


def test_every_definition_can_be_read_and_its_first_and_last_records_be_named() -> None:
    """One wrong line in the data must not wait for somebody to ask for that series."""
    for listed in CATALOG.listing():
        found = series(listed.name)
        if not len(found.positions):
            continue
        for backwards in (False, True):
            position = next(found.positions.among([None] * len(found.keys), backwards=backwards))
            record = CATALOG.record(found, position.recnum)
            assert record is not None and record.position == position
            assert record.name().startswith(f"{found.name}[")
            assert CATALOG.record_at(record.sunum, int(record.slot_dir[1:])) == record
            assert [record.text(keyword.name) for keyword in found.keywords]


# Slots ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "round_s", "second", "slot"),
    [("ts_eq", 45, 22.4, 0), ("ts_eq", 45, 22.5, 1), ("ts_slot", 0, 44.9, 0), ("ts_slot", 0, 45, 1)],
)
def test_a_time_falls_into_the_nearest_slot_or_the_one_before(
    kind: str, round_s: float, second: float, slot: int
) -> None:
    """Ties go up; slots that are not rounded hold what comes after them."""
    assert Slots(kind, 1000.0, 45.0, round_s).index(TaiTime(1000.0 + second)) == slot


def test_a_time_half_way_between_two_slots_belongs_to_the_later_one() -> None:
    """08:42 lies between 08:36 and 08:48, and the published answer begins at 08:48."""
    first = CATALOG.open("hmi.B_720s[2013.07.03_08:42_TAI/40m]")[0]
    assert first.name() == "hmi.B_720s[2013.07.03_08:48:00_TAI]"


# Record sets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "count"), FACTS["counts"])
def test_a_record_set_has_its_published_count(text: str, count: int) -> None:
    """Counting and opening are two ways to the same number."""
    assert CATALOG.count(text) == count
    assert len(CATALOG.open(text)) == count


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hmi.v_45s[^]", ["hmi.V_45s[2010.05.01_00:00:00_TAI][2]"]),
        ("hmi.mharp_720s_nrt[][$]", ["hmi.Mharp_720s_nrt[6314][2021.05.01_05:24:00_TAI]"]),
        ("hmi.v_45s[#14726401]", ["hmi.V_45s[2014.01.01_00:00:45_TAI][2]"]),
        ("hmi.v_45s[7668d/1u]", ["hmi.V_45s[2013.12.30_00:00:00_TAI][2]"]),
        ("hmi.synoptic_mr_720s[2150]", ["hmi.synoptic_mr_720s[2150]"]),
        ("hmi.synoptic_mr_720s[CAR_ROT=2150-2154@2]", [f"hmi.synoptic_mr_720s[{n}]" for n in (2150, 2152, 2154)]),
        ("aia.response[^][][94_THIN]", ["aia.response[2010-03-24T00:00:00Z][10][94_THIN]"]),
        ("hmi.rdvflows_fd15_frame[2150][345,360]", [f"hmi.rdVflows_fd15_frame[2150][{n}]" for n in (345, 360)]),
        ("hmi.v_45s[:#1-#2,#2]", [f"hmi.V_45s[2010.05.01_00:00:{s}_TAI][2]" for s in ("00", "45")]),
        ("aia.lev1_euv_12s[2014.01.01_TAI/24s][94-170]", None),
        ("hmi.v_45s[2014.01.01_TAI/90s],hmi.m_45s[2014.01.01_TAI/45s]", None),
    ],
)
def test_a_form_of_the_language_selects_what_it_says(text: str, names: list[str] | None) -> None:
    """First and last, slots by number, durations since the epoch, steps, lists, record numbers, several series."""
    found = [record.name() for record in CATALOG.open(text)]
    if names is None:
        assert len(found) == (4 if "aia" in text else 3)
    else:
        assert found == names


def test_the_first_and_the_last_records_of_a_set_come_in_ascending_order() -> None:
    """Also when it is the last ones that are asked for."""
    text = "aia.lev1_euv_12s[2014.01.01_TAI/1m]"
    everything = CATALOG.open(text)
    assert CATALOG.open(text, n=3) == everything[:3]
    assert CATALOG.open(text, n=-3) == everything[-3:]
    assert CATALOG.count(text, n=-3) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("foo", "series not found"),
        ("hmi.v_45s[", "invalid record-set specification `hmi.v_45s[`"),
        ("hmi.v_45s[foo]", "T_REC: `foo`"),
        ("hmi.v_45s[][][]", "has 2 prime keys, not 3"),
        ("hmi.v_45s[FOO=1]", "FOO is not a prime key"),
        ("aia.lev1_euv_12s[][short]", "WAVELNTH: `short` is no int"),
        ("hmi.v_45s[]", "too many records"),
        ("hmi.v_45s[:#1-#999999999]", "too many records"),
    ],
)
def test_a_record_set_that_cannot_be_answered_is_refused_with_its_reason(text: str, reason: str) -> None:
    """A whole series is refused before any of its millions of records is made."""
    with pytest.raises(RecordSetProblem) as refused:
        CATALOG.open(text)
    assert reason in str(refused.value)


def test_a_whole_series_is_counted_by_arithmetic() -> None:
    """Eleven million records take no time, and as many with a step and a wavelength do not either."""
    assert CATALOG.count("hmi.v_45s[]") == 10_990_081
    assert CATALOG.count("aia.lev1_euv_12s[][171]") == CATALOG.count("aia.lev1_euv_12s") // 7


def test_two_filters_of_one_key_both_count() -> None:
    """A filter by name may follow one by position."""
    assert CATALOG.count("aia.lev1_euv_12s[2014.01.01_TAI/1h][94-211][WAVELNTH=171-335]") == 300 * 3


# Ranges ---------------------------------------------------------------------------------------------------------------

ranges = st.builds(
    lambda start, length, step: range(start, start + length, step),
    st.integers(-50, 50),
    st.integers(0, 200),
    st.integers(1, 13),
)


@given(one=ranges, other=ranges)
def test_what_two_ranges_have_in_common_is_what_their_sets_have(one: range, other: range) -> None:
    """The count of a record set of millions depends on this alone."""
    assert list(meet(one, other)) == sorted(set(one) & set(other))


choices = st.lists(ranges, min_size=1, max_size=3)


@given(
    cycles=st.builds(lambda first, count: range(first, first + count), st.integers(0, 9), st.integers(1, 40)),
    times=st.none() | choices,
    numbers=st.none() | choices,
    names=st.none() | st.lists(st.builds(Words, st.sampled_from("abc"), st.sampled_from("abc")), max_size=2),
    backwards=st.booleans(),
)
def test_a_cadence_finds_the_positions_that_looking_at_each_would(
    cycles: range, times: Choice, numbers: Choice, names: Choice, backwards: bool
) -> None:
    """In order, each once, though ranges overlap and steps do not fit."""
    cadence = Cadence(cycles, [[(3, 12), (100, 2), ("a", 0)], [(7, 12), (101, 2), ("b", 0)]], recnum=11)
    asked = (times, numbers, names)

    def passes(position: Position) -> bool:
        pairs = zip(position.coordinates, asked, strict=True)
        return all(choice is None or any(one in part for part in choice) for one, choice in pairs)

    everything = [cadence.at(11 + number) for number in range(len(cadence))]
    wanted = [position for position in everything if position is not None and passes(position)]
    assert list(cadence.among(asked, backwards=backwards)) == (wanted[::-1] if backwards else wanted)
    assert cadence.count(asked) == len(wanted)
    assert cadence.at(11 + len(cadence)) is None


@given(slots=st.none() | st.lists(st.builds(range, st.integers(759_000, 770_000), st.integers(759_000, 770_000))))
@settings(max_examples=30)  # each lists a region's records by the thousand
def test_regions_are_counted_as_they_are_listed(slots: Choice) -> None:
    """By number first: the records of one region are together."""
    positions = series("hmi.sharp_720s").positions
    few = [range(1, 60)]
    found = list(positions.among([few, slots]))
    assert found == sorted(found, key=lambda position: position.coordinates)
    assert positions.count([few, slots]) == len(found) == len(set(found))
    assert all(positions.at(position.recnum) == position for position in found[:: max(1, len(found) // 7)])
