"""The record-set language: every form is read, printed as it was read, and refused where it goes wrong."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.jsoc.recordset import (
    Between,
    Condition,
    Duration,
    Filter,
    First,
    IndexFilter,
    KeyFilter,
    Last,
    Lasting,
    One,
    OpenFilter,
    RecnumFilter,
    RecordSet,
    RecordSetError,
    Span,
    Subset,
    parse_record_set,
    series_of,
)
from aurora_async.jsoc.times import TaiTime

# From the service's documentation, the tests of drms and sunpy, the drms tutorial and the gallery of aiapy.
SEEN_IN_USE = [
    "hmi.v_45s[2013.07.03_08:42_TAI/3m]",
    "hmi.V_45s[2013.07.03_08:42_TAI/4m]",
    "hmi.B_720s[2013.07.03_08:42_TAI/40m]",
    "hmi.v_45s[2016.04.01_TAI/1d@6h]",
    "hmi.v_45s[2014.01.01_00:00:35_TAI-2014.01.01_01:00:35_TAI]",
    "hmi.v_45s[2014.01.01_00:00:35_TAI-2014.01.01_01:00:35_TAI@600s]",
    "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]",
    "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z][? EXPTIME<2.0 AND WAVELNTH=211 ?]{image}",
    "aia.lev1_euv_12s[2017.09.06_12:00:37_TAI-2017.09.06_12:02:37_TAI][304]",
    "aia.lev1_euv_12s[2025-01-01T04:33:30.000/1m@12s][171]{image}",
    "aia.lev1_euv_12s[2014-01-01T00:00:01Z/365d@1d][335]",
    "aia.lev1_euv_12s[2021-07-03T14:27:23Z][211]",
    "hmi.sharp_cea_720s[3604]",
    "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]{continuum,magnetogram}",
    "hmi.sharp_720s[][2020.01.01_00:00:35_TAI-2020.01.01_01:00:35_TAI@300s]{continuum,magnetogram}",
    "hmi.sharp_720s[HARPNUM=4864]",
    "hmi.mharp_720s_nrt[][$]",
    "hmi.M_720s[2011.04.14_00:30:00_TAI/6h@2h]",
    "hmi.M_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}",
    "hmi.ic_720s[2017.1.8/60m]",
    "hmi.ic_720s[2010.05.01_TAI-2016.04.01_TAI@6h]",
    "hmi.synoptic_mr_720s[2150]",
    "hmi.rdvflows_fd15_frame[2150][360]{Ux,Uy}",
    "hmi.v_sht_2drls[2024.09.19_00:00:00_TAI]{split,rot,err}",
    "hmi.v_45s[2010.05.01_TAI/365d@1d][? QUALITY>=0 ?]",
    "hmi.v_45s[2016.04.01_00:00:00_TAI][2]{Dopplergram}",
    "hmi.m_720s[2018.3.2]",
    "hmi.M_45s[2020.01.01_01:00:36_UTC-2020.01.01_01:00:38_UTC][? QUALITY < '2' AND EXPTIME > '2' ?]",
    "iris.lev1[2014.01.01_00:00:00_UTC-2014.01.01_00:05:00_UTC][? INSTRUME = 'FUV' ?]",
    "aia.lev1[:#123456]",
    "hmi.v_45s[! QUALITY = 0 !]",
    "hmi.v_45s",
    "foo",
]


@pytest.mark.parametrize("text", SEEN_IN_USE)
def test_what_is_in_use_is_read_and_printed_alike(text: str) -> None:
    """People bring these from tutorials and from the service's own pages; records and logs show them again."""
    assert str(parse_record_set(text)) == text
    assert series_of(text) == text.partition("[")[0]


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("hmi.sharp_720s[4864]{continuum, magnetogram}", "hmi.sharp_720s[4864]{continuum,magnetogram}"),
        ("hmi.sharp_720s[4864]{continuum magnetogram}", "hmi.sharp_720s[4864]{continuum,magnetogram}"),
        ("hmi.v_45s[2014.01.01_TAI/1d@600.0s]", "hmi.v_45s[2014.01.01_TAI/1d@600s]"),
        ("hmi.v_45s[?QUALITY>=0?]", "hmi.v_45s[? QUALITY>=0 ?]"),
        (" hmi.v_45s [ 2014.01.01_TAI / 1d ] [ 2 ] { a } ", "hmi.v_45s[2014.01.01_TAI/1d][2]{a}"),
        ("hmi.v_45s[$] , hmi.m_45s[^]", "hmi.v_45s[$],hmi.m_45s[^]"),
        ("a.b[#5/3]", "a.b[#5-#7]"),
        ("a.b[#5-7,9]", "a.b[#5-#7,#9]"),
        ('a.b["LIGHT"]', "a.b[LIGHT]"),
    ],
)
def test_there_is_one_way_to_print_a_meaning(written: str, printed: str) -> None:
    """Two texts that mean the same are the same value, so caches and duplicates are told by it."""
    assert str(parse_record_set(written)) == printed
    assert parse_record_set(written) == parse_record_set(printed)


@pytest.mark.parametrize(
    ("filter", "meaning"),
    [
        ("[]", OpenFilter()),
        ("[171,193]", KeyFilter([One("171"), One("193")])),
        ("[94-211]", KeyFilter([Between("94", "211")])),
        ("[1-12]", KeyFilter([Between("1", "12")])),
        ("[2150-2160@5]", KeyFilter([Between("2150", "2160", 5)])),
        ("[2150/10@2]", KeyFilter([Lasting("2150", 10, 2)])),
        ("[-5--3]", KeyFilter([Between("-5", "-3")])),
        ("[1e-5-1.5]", KeyFilter([Between("1e-5", "1.5")])),
        ("[AIA_ATA1]", KeyFilter([One("AIA_ATA1")])),
        ("['two-part, name']", KeyFilter([One("two-part, name")])),
        ("[WAVELNTH=171]", KeyFilter([One("171")], "WAVELNTH")),
        ("[^,$]", KeyFilter([First(), Last()])),
        ("[3000d/2d]", KeyFilter([Lasting("3000d", Duration(2, "d"))])),
        ("[3000d-3002d]", KeyFilter([Between("3000d", "3002d")])),
        ("[2016.04.01_TAI/4u@2u]", KeyFilter([Lasting("2016.04.01_TAI", Duration(4, "u"), Duration(2, "u"))])),
        ("[#5]", IndexFilter([Span(5, 5)])),
        ("[#5-#9@2,#^,#$]", IndexFilter([Span(5, 9, 2), First(), Last()])),
        ("[#-#9]", IndexFilter([Span(None, 9)])),
        ("[#5-]", IndexFilter([Span(5, None)])),
        ("[T_REC=#5]", IndexFilter([Span(5, 5)], "T_REC")),
        ("[:#5,#7-#9]", RecnumFilter([Span(5, 5), Span(7, 9)])),
        ("[:#^]", RecnumFilter([First()])),
        ("[? a[1] = 2 ?]", Condition("a[1] = 2")),
        ("[? NOTE LIKE '%?]%' ?]", Condition("NOTE LIKE '%?]%'")),
        ('[? NOTE = "it\'s [!here!]" ?]', Condition('NOTE = "it\'s [!here!]"')),
        ("[! a != 2 !]", Condition("a != 2", all_versions=True)),
    ],
)
def test_each_filter_is_read_for_what_it_means(filter: str, meaning: Filter) -> None:
    """The local service selects by these values, so a wrong one would be a wrong answer, not an error."""
    assert parse_record_set(f"a.b{filter}{{image}}").subsets == (Subset("a.b", [meaning], ["image"]),)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2009.01.03_12:45:00", "2009.01.04_00:55:00"),
        ("2021-07-03T14:25:00", "2021-07-03T14:35:00"),
        ("2021-07-03", "2021-07-04"),
        ("20210703", "20210704"),
        ("2021-184", "2021-185T12"),
        ("2021", "2022"),
        ("2021-07-03T14:25:00-0500", "2021-07-03T14:35:00-0500"),
        ("2021-07-03 14:25", "2021-07-03 14:35"),
        ("JD_2455317.5", "MJD_55318_UTC"),
        ("-4712.01.01_11:59:28Z", "2021-07-03"),
    ],
)
def test_a_range_of_times_is_parted_where_the_first_one_ends(start: str, end: str) -> None:
    """The service takes `-2009` for a zone, and cuts ISO times without zones inside the date."""
    assert parse_record_set(f"a.b[{start}-{end}]").subsets[0].filters == (KeyFilter([Between(start, end)]),)
    listed = parse_record_set(f"a.b[{start},{end}/1d]").subsets[0].filters
    assert listed == (KeyFilter([One(start), Lasting(end, Duration(1, "d"))]),)


def test_an_end_that_would_be_read_into_the_start_is_quoted() -> None:
    """`2150-12` is a month, `14:25-0500` a zone."""
    month = RecordSet.of("a.b").key(None, (2150, 12))
    assert str(month) == "a.b[2150-'12']"
    assert RecordSet.of(str(month)) == month


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "the name of a series"),
        ("[1]", 0, "the name of a series"),
        ("@list.txt", 1, "files of record sets"),
        ("hmi.m_720s,", 11, "the name of a series"),
        ("hmi.m_720s hmi.v_45s", 11, "a filter in [ ], segments in { }, a comma, or the end"),
        ("hmi.m_720s[", 11, "a value"),
        ("hmi.m_720s[2014.01.01", 21, "a comma, or ]"),
        ("hmi.m_720s[2014.01.01-]", 22, "the value the range ends with"),
        ("hmi.m_720s[2014.01.01/]", 22, "a duration"),
        ("hmi.m_720s[2014.01.01/6x]", 23, "a comma, or ]"),
        ("hmi.m_720s[2014.01.01/6h@]", 25, "a duration"),
        ("hmi.m_720s[1,]", 13, "a value"),
        ("hmi.m_720s[CAMERA=]", 18, "a value"),
        ("hmi.m_720s[[1]]", 11, "a value"),
        ("hmi.m_720s['LIGHT]", 11, "a value"),
        ("hmi.m_720s[1]]", 13, "a filter in [ ]"),
        ("hmi.m_720s[#]", 12, "a number"),
        ("hmi.m_720s[#1/0]", 15, "how many"),
        ("hmi.m_720s[:#1-#5@0]", 19, "a step"),
        ("hmi.m_720s[:]", 12, "a number"),
        ("hmi.m_720s[? QUALITY = 0]", 12, "a condition in SQL"),
        ("hmi.m_720s[? NOTE = 'a ?]", 12, "a condition in SQL"),
        ("hmi.m_720s[??]", 12, "a condition in SQL"),
        ("hmi.m_720s[! a = 1 ?]", 12, "!] behind it"),
        ("hmi.m_720s{}", 11, "the name of a segment"),
        ("hmi.m_720s{a", 12, "the name of a segment, or }"),
        ("hmi.m_720s{a}[1]", 13, "a comma, or the end"),
    ],
)
def test_an_error_points_at_the_character(text: str, position: int, reason: str) -> None:
    """A caret under the place and what is wanted there: record sets are long, and typed by hand."""
    with pytest.raises(RecordSetError) as refused:
        parse_record_set(text)
    error = refused.value
    assert (error.text, error.position) == (text, position)
    message, shown, caret = str(error).split("\n")
    assert reason in message
    assert shown == f"  {text}"
    assert caret.index("^") == position + 2
    assert isinstance(error, InvalidQuery)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_day_with_slashes_is_told_of() -> None:
    """The one mistake of those who write times for sunpy."""
    with pytest.raises(RecordSetError, match=r"a day is 2021\.07\.03 or 2021-07-03; / begins a duration"):
        parse_record_set("aia.lev1_euv_12s[2021/07/03]")


def test_a_long_record_set_is_shown_around_the_error() -> None:
    """A list of a thousand numbers would push the caret out of sight."""
    text = f"hmi.m_720s[:{','.join(f'#{number}' for number in range(1000))}x]"
    with pytest.raises(RecordSetError) as refused:
        parse_record_set(text)
    _, shown, caret = str(refused.value).split("\n")
    assert len(shown) < 130
    assert shown[caret.index("^")] == "x"


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
texts = (
    st.text(st.characters(exclude_characters="'"), max_size=12)
    | st.text(st.characters(exclude_characters='"'), max_size=12)
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.sampled_from(["2150", "12", "2021-07-03", "2021-07-03T14:25", "0500", "2014.01.01_TAI", "07-03", "3000d"])
    | st.floats(-2e9, 2e9).map(lambda at: TaiTime(at).text("ISO", 2))
)
lengths = st.builds(Duration, st.floats(0, 1e14), st.sampled_from("smhdu")) | st.floats(0, 1e14)
skips = st.none() | lengths
ranges = (
    st.builds(One, texts)
    | st.just(First())
    | st.just(Last())
    | st.builds(Between, texts, texts, skips)
    | st.builds(Lasting, texts, lengths, skips)
)
places = st.none() | st.integers(0, 10**12)
spans = st.just(First()) | st.just(Last()) | st.builds(Span, places, places, st.integers(1, 99))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    sql = draw(st.text("ab <>=?!][{}%", max_size=20) | st.just("NOTE = '?]!]' AND b = \"!]'?]\""))
    try:
        return Condition(sql, draw(st.booleans()))
    except InvalidQuery:
        assume(False)
        raise


filters = (
    st.just(OpenFilter())
    | st.builds(KeyFilter, st.lists(ranges, min_size=1, max_size=4), st.none() | names)
    | st.builds(IndexFilter, st.lists(spans, min_size=1, max_size=4), st.none() | names)
    | st.builds(RecnumFilter, st.lists(spans, min_size=1, max_size=4))
    | conditions()
)
series = st.builds("{}.{}".format, names, names)
subsets = st.builds(Subset, series, st.lists(filters, max_size=4), st.lists(names, max_size=3))
record_sets = st.builds(RecordSet, st.lists(subsets, min_size=1, max_size=3))


@given(record_sets)
def test_what_is_printed_is_read_as_the_same_record_set(record_set: RecordSet) -> None:
    """Whatever a value holds, marks of the language included."""
    assert parse_record_set(str(record_set)) == record_set


@given(record_sets.map(str), st.data())
def test_any_other_text_is_refused_at_a_place_inside_of_it(text: str, data: st.DataObject) -> None:
    """Damaged in one place or cut, it is read as something or refused as a record set: nothing else comes out."""
    place = data.draw(st.integers(0, len(text)))
    damaged = text[:place] + data.draw(st.text("[]{}?!#:@=-/,'\"^$ 2aT", max_size=2))
    damaged += data.draw(st.sampled_from([text[place:], text[place + 1 :], ""]))
    try:
        read = parse_record_set(damaged)
    except RecordSetError as error:
        assert 0 <= error.position <= len(damaged)
    else:
        assert parse_record_set(str(read)) == read


@given(st.lists(st.integers(0, 300) | st.integers(0, 2**62), min_size=1))
def test_record_numbers_are_written_as_runs(numbers: list[int]) -> None:
    """Exactly those asked for, in as few characters as there are runs: requests have a length limit."""
    filter = RecordSet.of("a.b").recnums(numbers).subsets[0].filters[0]
    assert isinstance(filter, RecnumFilter)
    runs = [span for span in filter.ranges if isinstance(span, Span)]
    ends = [(run.first or 0, run.last or 0) for run in runs]
    assert {number for first, last in ends for number in range(first, last + 1)} == set(numbers)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(ends))


def test_a_record_set_is_built_verb_by_verb() -> None:
    """The gallery example of aiapy, without a text to get wrong."""
    built = (
        RecordSet.of("aia.lev1_euv_12s")
        .during("2021-07-03T14:25:00", datetime(2021, 7, 3, 14, 35), every="12s")
        .key("WAVELNTH", 171, 193)
        .where("EXPTIME < 2.0")
        .segment("image")
    )
    assert str(built) == (
        "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z@12s][WAVELNTH=171,193][? EXPTIME < 2.0 ?]{image}"
    )
    assert RecordSet.of(built) is built
    assert built.series == ("aia.lev1_euv_12s",)
    assert str(RecordSet.of("hmi.sharp_720s").any().during("2014.11.30_TAI", lasting=timedelta(hours=1))) == (
        "hmi.sharp_720s[][2014.11.30_TAI/3600s]"
    )
    assert str(RecordSet.of("hmi.sharp_720s").key(None, (4864, 4870), 5000).key("T_REC", date(2014, 11, 30))) == (
        "hmi.sharp_720s[4864-4870,5000][T_REC=2014-11-30T00:00:00Z]"
    )
    assert str(RecordSet.of("a.b,c.d[1]").recnums([3, 1, 2, 9, 9])) == "a.b[:#1-#3,#9],c.d[1][:#1-#3,#9]"
    assert str(RecordSet.of("a.b[1]{x}").segment()) == "a.b[1]"
    assert str(RecordSet.of("a.b").during("2021.07.03_TAI", "2021.07.03_TAI")) == "a.b[2021.07.03_TAI-2021.07.03_TAI]"
    assert str(RecordSet.of("a.b").key("NOTE", "two-part")) == "a.b[NOTE='two-part']"


@pytest.mark.parametrize(
    ("when", "written"),
    [
        (datetime(2021, 7, 3, 14, 25, 0, 250000), "2021-07-03T14:25:00.25Z"),
        (datetime(2021, 7, 3, 14, 25, tzinfo=UTC), "2021-07-03T14:25:00Z"),
        (date(2021, 7, 3), "2021-07-03T00:00:00Z"),
        (TaiTime.parse("2021.07.03_14:25:37.5_TAI"), "2021.07.03_14:25:37.5_TAI"),
        ("2021-07-03T14:25", "2021-07-03T14:25:00Z"),
        ("2021.07.03", "2021-07-03T00:00:00Z"),
        ("2021.07.03_14:25_TAI", "2021.07.03_14:25_TAI"),
        ("2021-07-03T14:25+02:00", "2021-07-03T12:25:00Z"),
        ("2016-12-31T23:59:60", "2016-12-31T23:59:60Z"),
    ],
)
def test_times_are_written_with_their_zone(when: datetime | date | TaiTime | str, written: str) -> None:
    """On both ends: without, the service reads ranges wrong and does not say so; nor does it know `+02:00`."""
    later = TaiTime.of(when) + 600
    assert str(RecordSet.of("a.b").during(when, later)) == f"a.b[{written}-{later}]"
    assert str(RecordSet.of("a.b").during(when, lasting="10m")) == f"a.b[{written}/10m]"


def test_what_cannot_be_asked_is_refused_when_built() -> None:
    """Nothing is sent that the service would refuse, or take for something else."""
    base = RecordSet.of("a.b")
    for refused in (
        lambda: base.during("2021-07-03"),
        lambda: base.during("2021-07-03", "2021-07-04", lasting="1d"),
        lambda: base.during("2021-07-03", "2021-07-02"),
        lambda: base.during("2021-07-03", lasting="1 fortnight"),
        lambda: base.during("2021-07-03", lasting=-1),
        lambda: base.during("2021-07-03", lasting="10"),
        lambda: base.during("yesterday", lasting="1d"),
        lambda: base.key("WAVELNTH"),
        lambda: base.key("WAVE LNTH", 171),
        lambda: base.key("WAVELNTH", [171, 193]),  # type: ignore[arg-type]
        lambda: base.where("QUALITY = 0; DROP TABLE x"),
        lambda: base.where("NOTE = 'open"),
        lambda: base.where("a = 1 ?] [? b = 2"),
        lambda: base.where(" "),
        lambda: base.recnums([]),
        lambda: base.recnums([-1]),
        lambda: base.segment("image;"),
        lambda: Subset("a b"),
        lambda: RecordSet([]),
        lambda: Lasting("1", -1.0),
        lambda: base.key("NOTE", "both ' and \""),
    ):
        with pytest.raises(InvalidInput):
            refused()


def test_a_duration_tells_its_seconds() -> None:
    """Slots have none: how long one is, only the series knows."""
    assert [Duration.of(text).seconds for text in ("90s", "12m", "1.5h", "2d", "4u")] == [90, 720, 5400, 172800, None]
    assert Duration.of(Duration(1, "h")) == Duration.of("1h") != Duration.of(3600)
    assert str(Duration.of(timedelta(milliseconds=1500))) == "1.5s"
    assert str(Duration.of(pytest.importorskip("astropy.units").Quantity(12, "min"))) == "720s"
    assert [str(Duration(number)) for number in (1e14, 1e-7)] == ["100000000000000s", "0.0000001s"]


def test_record_sets_are_values() -> None:
    """They are shared, hashed and sent to worker processes, so nothing changes one."""
    record_set = parse_record_set(SEEN_IN_USE[7])
    assert pickle.loads(pickle.dumps(record_set)) == record_set
    assert len({record_set, parse_record_set(str(record_set))}) == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        record_set.subsets = ()  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("x.y[2021-07-03T14:25-2021-07-03T14:35]", "x.y[2021-07-03T14:25Z-2021-07-03T14:35Z]"),
        ("x.y[2021-07-03 14:25:00.5/1h@12s]", "x.y[2021-07-03 14:25:00.5Z/1h@12s]"),
        ("x.y[2014-01-01-2014-01-02]", "x.y[2014-01-01_UTC-2014-01-02_UTC]"),
        ("x.y[T_REC=2014-01-01T00,2014-01-02T00Z]", "x.y[T_REC=2014-01-01T00Z,2014-01-02T00Z]"),
        ("x.y[2014-01-01T00:00_TAI-2014-01-02]{image}", "x.y[2014-01-01T00:00_TAI-2014-01-02_UTC]{image}"),
        ("x.y[2014-01-01]", "x.y[2014-01-01]"),  # one value alone is read right, and may be a text
        ("x.y[2010.05.01-2010.05.02][94-211][$]", "x.y[2010.05.01-2010.05.02][94-211][$]"),
        ("x.y[2150-2160][? T_OBS > 0 ?]", "x.y[2150-2160][? T_OBS > 0 ?]"),
    ],
)
def test_iso_times_are_sent_with_their_zone(text: str, sent: str) -> None:
    """In a range or a list the service takes what follows one without a zone for its zone, and answers nonsense."""
    assert str(parse_record_set(text).with_zones()) == sent
    assert parse_record_set(sent).with_zones() == parse_record_set(sent)
