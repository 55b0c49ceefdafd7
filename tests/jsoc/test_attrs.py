"""Search attributes: what they mean in a series, how they are joined, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import product
from operator import or_
from pathlib import Path
from typing import Any

import anyio.lowlevel
import attrs
import pytest
from astropy import units as u
from astropy.coordinates import Angle
from astropy.time import Time as AstropyTime
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.errors import InvalidQuery
from aurora_async.jsoc import attrs as a
from aurora_async.jsoc.client import Jsoc
from aurora_async.jsoc.errors import QueryRefused
from aurora_async.jsoc.keywords import KeywordType
from aurora_async.jsoc.models import Keyword, Members, Segment, SeriesInfo
from aurora_async.jsoc.recordset import RecordSet
from aurora_async.jsoc.tables import RecordTable
from aurora_async.testing import LocalServer


def series_info(name: str, primekeys: str, keywords: str, segments: str = "") -> SeriesInfo:
    """Return a structure; keywords are written `NAME:type:units`."""
    parts = [one.split(":") for one in keywords.split()]
    return SeriesInfo(
        name=name,
        primekeys=tuple(primekeys.split()),
        keywords=Members(
            [Keyword(key, KeywordType(kind), units=units) for key, kind, units in parts], record_type=Keyword
        ),
        segments=Members([Segment(segment) for segment in segments.split()], record_type=Segment),
    )


AIA = series_info(
    "aia.lev1_euv_12s", "T_REC WAVELNTH",
    "T_REC:time:ISO WAVELNTH:int:angstrom EXPTIME:double:s T_OBS:time:ISO INSTRUME:string:none", "image spikes",
)  # fmt: skip
LEV1 = series_info("aia.lev1", "T_REC FSN", "T_REC:time:ISO FSN:int: WAVELNTH:int:angstrom", "image_lev1")
SHARP = series_info("hmi.sharp_720s", "HARPNUM T_REC", "HARPNUM:int: T_REC:time:TAI", "continuum magnetogram")
MAPS = series_info("hmi.synoptic_mr_720s", "CAR_ROT", "CAR_ROT:int:", "synopMr")

FLARE = a.Time("2021-07-03T14:25", "2021-07-03T14:35") & a.Series("aia.lev1_euv_12s")


def sets(query: a.Attribute, info: SeriesInfo = AIA) -> list[str]:
    """Return the record sets that the blocks of a query mean."""
    return [str(a._record_set(block, info)) for block in query.blocks]


# Values -------------------------------------------------------------------------------------------------------------


def test_the_gallery_example() -> None:
    """What its authors had to write by hand, in the language of the service."""
    query = FLARE & (a.Keyword("EXPTIME") < 2) & a.Wavelength(211) & a.Segment("image")
    assert sets(query) == ["aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z][211][? EXPTIME < 2 ?]{image}"]


@pytest.mark.parametrize(
    "start",
    [
        "2021-07-03T14:25",
        "2021.07.03_14:25:37_TAI",
        datetime(2021, 7, 3, 14, 25),
        datetime(2021, 7, 3, 14, 25, tzinfo=UTC),
        datetime.fromisoformat("2021-07-03T16:25+02:00"),
        AstropyTime("2021-07-03T14:25:00"),
        AstropyTime("2021-07-03T14:25:37", scale="tai"),
    ],
    ids=repr,
)
def test_any_spelling_of_a_time_is_the_same_instant(start: Any) -> None:
    """TAI is 37 s ahead that year, and the record set says which clock it means."""
    assert sets(a.Series("x") & a.Time(start, "2021-07-03T14:35")) == [
        "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]"
    ]


def test_times_are_written_on_the_clock_of_their_series_with_their_fraction() -> None:
    """sunpy cut off the fraction of a second."""
    query = a.Series("hmi.sharp_720s") & a.Time("2014.11.30_00:00:00.25_TAI", "2014.12.01_TAI")
    assert sets(query, SHARP) == ["hmi.sharp_720s[][2014.11.30_00:00:00.25_TAI-2014.12.01_00:00:00_TAI]"]


@pytest.mark.parametrize("wavelength", [171, "171", 171.0, 17.1 * u.nm, 171 * u.AA, 1.71e-8 * u.m], ids=repr)
def test_a_wavelength_has_any_unit_of_length(wavelength: Any) -> None:
    """17.1 nm are 171.00000000000003 Angstrom to a computer."""
    assert sets(FLARE & a.Wavelength(wavelength))[0].endswith("[171]")


def test_a_range_of_wavelengths() -> None:
    """Both ends belong to it."""
    assert sets(FLARE & a.Wavelength(9.4 * u.nm, 193))[0].endswith("[94-193]")


def test_where_the_wavelength_is_no_prime_key_it_is_a_condition() -> None:
    """sunpy refuses it there."""
    assert sets(a.Time("2014", "2015") & a.Wavelength(171, 193), LEV1) == [
        "aia.lev1[2014-01-01T00:00:00Z-2015-01-01T00:00:00Z][? WAVELNTH >= 171 AND WAVELNTH <= 193 ?]"
    ]


@pytest.mark.parametrize("every", [600, timedelta(minutes=10), 10 * u.min, 600.0], ids=repr)
def test_a_sample_is_a_length_of_time(every: Any) -> None:
    """Seconds where it says nothing else."""
    assert sets(FLARE & a.Sample(every)) == ["aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z@600s]"]


def test_prime_keys_stand_in_the_order_of_the_series() -> None:
    """Whatever order they are written in; those that are open before them are left open."""
    assert sets(a.Time("2014", "2015") & a.PrimeKey("harpnum", 4864, (5000, 5010)), SHARP) == [
        "hmi.sharp_720s[4864,5000-5010][2014.01.01_00:00:35_TAI-2015.01.01_00:00:35_TAI]"
    ]
    assert sets(a.PrimeKey("CAR_ROT", 2150), MAPS) == ["hmi.synoptic_mr_720s[2150]"]


def test_two_conditions_on_one_keyword_both_count() -> None:
    """sunpy sends the last one only."""
    (asked,) = sets(FLARE & (a.Keyword("EXPTIME") >= 0.5) & (a.Keyword("EXPTIME") < 2 * u.s))
    assert asked.endswith("[? EXPTIME >= 0.5 AND EXPTIME < 2 ?]")


@pytest.mark.parametrize(
    ("condition", "sql"),
    [
        (a.Keyword("EXPTIME") < 2, "EXPTIME < 2"),
        (a.Keyword("EXPTIME") <= 2.5, "EXPTIME <= 2.5"),
        (a.Keyword("EXPTIME") > "2", "EXPTIME > 2"),
        (a.Keyword("EXPTIME") >= 0, "EXPTIME >= 0"),
        (a.Keyword("EXPTIME") == 2, "EXPTIME = 2"),
        (a.Keyword("EXPTIME") != 2, "EXPTIME <> 2"),
        (2 > a.Keyword("EXPTIME"), "EXPTIME < 2"),  # noqa: SIM300
        (a.Keyword("INSTRUME") == "AIA_4", "INSTRUME = 'AIA_4'"),
        (a.Keyword("T_OBS") > "2021-07-03T14:26", "T_OBS > $(2021-07-03T14:26:00Z)"),
    ],
    ids=repr,
)
def test_comparisons_are_written_for_the_type_of_the_keyword(condition: a.Attribute, sql: str) -> None:
    """Times are numbers to the service's database, and texts need quotes."""
    (asked,) = sets(FLARE & condition)
    assert asked.endswith(f"[? {sql} ?]")


# Joining ------------------------------------------------------------------------------------------------------------


def test_alternatives_are_blocks_of_their_own() -> None:
    """Each is one query of its own: hundreds of them in one was what the service answered with 500."""
    query = FLARE & (a.Wavelength(171) | a.Wavelength(193)) & (a.Segment("image") | a.Segment("spikes"))
    assert [asked.partition("Z]")[2] for asked in sets(query)] == [
        "[171]{image}", "[171]{spikes}", "[193]{image}", "[193]{spikes}"
    ]  # fmt: skip


@st.composite
def _expressions(draw: st.DrawFn) -> Any:
    leaves = st.integers(0, 4)
    joined = st.recursive(leaves, lambda inner: st.tuples(st.sampled_from("&|"), inner, inner), max_leaves=8)
    return draw(joined)


def _built(expression: Any) -> a.Attribute:
    if isinstance(expression, int):
        return a.Segment(str(expression))
    how, one, other = expression
    return _built(one) & _built(other) if how == "&" else _built(one) | _built(other)


def _holds(expression: Any, facts: tuple[bool, ...]) -> bool:
    if isinstance(expression, int):
        return facts[expression]
    how, one, other = expression
    return (all if how == "&" else any)((_holds(one, facts), _holds(other, facts)))


@given(_expressions())
def test_the_blocks_mean_what_the_expression_means(expression: Any) -> None:
    """However deep `&` and `|` are nested: for every combination of facts, both are true, or both are not."""
    blocks = [[int(segment.names[0]) for segment in block] for block in _built(expression).blocks]  # type: ignore[attr-defined]
    for facts in product((True, False), repeat=5):
        assert any(all(facts[name] for name in block) for block in blocks) == _holds(expression, facts)


def test_a_chain_of_comparisons_is_refused() -> None:
    """Python would drop its first half in silence."""
    with pytest.raises(TypeError, match="join comparisons with &"):
        bool(1 < a.Keyword("EXPTIME") < 2)


@pytest.mark.parametrize("other", ["T_REC", 3, None], ids=repr)
def test_only_attributes_are_joined(other: Any) -> None:
    """A keyword that is not compared is no condition, nor is anything else."""
    with pytest.raises(TypeError):
        FLARE & other
    with pytest.raises(TypeError):
        FLARE | other


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        (a.Series("x"), "PrimeKey", "a prime key is missing, or all of aia.lev1_euv_12s (prime keys: T_REC, WAVELNTH)"),
        (a.Keyword("EXPTIME") < 2, "PrimeKey", "a prime key is missing"),
        (a.Sample(60) & a.Wavelength(171), "Sample", "needs a Time"),
        (a.PrimeKey("EXPTIME", 2), "PrimeKey", "write Keyword('EXPTIME') == ..."),
        (a.PrimeKey("WAVELENGTH", 2), "PrimeKey", "did you mean WAVELNTH?"),
        (FLARE & (a.Keyword("EXPTM") < 2), "Keyword", "did you mean EXPTIME?"),
        (FLARE & (a.Keyword("EXPTIME") < "short"), "EXPTIME", "is no number of s"),
        (FLARE & (a.Keyword("EXPTIME") < 2 * u.m), "EXPTIME", "is no number of s"),
        (FLARE & (a.Keyword("INSTRUME") == "A'; B"), "INSTRUME", "a quote or a semicolon"),
        (FLARE & (a.Keyword("EXPTIME") == True), "EXPTIME", "neither a number nor a text"),  # noqa: E712
        (FLARE & a.Segment("images"), "Segment", "aia.lev1_euv_12s has no images, it has image, spikes"),
        (FLARE & a.Wavelength(171) & a.Wavelength(193), "Wavelength", "cannot both hold; join alternatives with |"),
        (FLARE & a.Wavelength(171) & a.PrimeKey("WAVELNTH", 171), "Wavelength", "given twice in one block"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named(query: a.Attribute, field: str, reason: str) -> None:
    """Before anything is asked of the service, with what there is instead."""
    with pytest.raises(InvalidQuery) as caught:
        sets(query)
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_a_time_needs_a_prime_key_that_is_one() -> None:
    """Maps of a whole rotation have none."""
    with pytest.raises(InvalidQuery, match=r"no prime key is a time in hmi\.synoptic_mr_720s \(prime keys: CAR_ROT\)"):
        sets(a.Time("2014", "2015"), MAPS)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: a.Time("2015", "2014"), "before it starts"),
        (lambda: a.Wavelength(3 * u.s), "no number of Angstrom"),
        (lambda: a.Wavelength(193, 171), "193 to 171 Angstrom is no range"),
        (lambda: a.Wavelength([94, 131] * u.AA), "no number of Angstrom"),
        (lambda: a.Wavelength(float("nan")), "no number of Angstrom"),
        (lambda: a.Sample(0), "longer than 0 s"),
        (lambda: a.Sample(2 * u.AA), "no number of s"),
        (lambda: a.PrimeKey("HARPNUM"), "needs a value"),
        (lambda: a.Segment(), "needs a name"),
        (lambda: a.Keyword("EXP TIME"), "not the name of a keyword"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_when_it_is_written(make: Any, said: str) -> None:
    """Not only when the search is made."""
    with pytest.raises(InvalidQuery, match=said):
        make()


# Cut-outs -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class _Coordinate:
    """What astropy's coordinates in sunpy's helioprojective frame show of themselves."""

    Tx: Any
    Ty: Any
    obstime: Any = None


PATCH = {
    "t_ref": "2021-07-03T14:30:00.000Z", "t": 1, "r": 0, "c": 0, "locunits": "arcsec", "boxunits": "arcsec",
    "x": 300.0, "y": -200.0, "width": 400.0, "height": 200.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "cutout",
    [
        a.Cutout((100, -300), (500, -100), at="2021-07-03T14:30"),
        a.Cutout((100, -300), width=400, height=200, at="2021-07-03T14:30"),
        a.Cutout((100, -300) * u.arcsec, width=400 * u.arcsec, height=(200 / 3600) * u.deg, at="2021-07-03T14:30"),
        a.Cutout(
            _Coordinate(Angle("100s"), Angle("-300s"), AstropyTime("2021-07-03T14:30")),
            _Coordinate(Angle("500s"), Angle("-100s")),
        ),
    ],
)
def test_a_cutout_is_the_services_image_patch(cutout: a.Cutout) -> None:
    """By its centre and size, from corners in any form."""
    assert cutout.arguments == pytest.approx(PATCH)


def test_a_cutout_may_follow_the_sun() -> None:
    """The service's own switch means the opposite: not to track."""
    cutout = a.Cutout((0, 0), (9, 9), at="2021", tracking=True, register=True, nan_off_limb=True)
    assert [cutout.arguments[name] for name in "trc"] == [0, 1, 1]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: a.Cutout((0, 0), at="2021"), "either top_right, or both width and height"),
        (lambda: a.Cutout((0, 0), (9, 9), width=3, height=3, at="2021"), "either top_right, or both width and height"),
        (lambda: a.Cutout((0, 0), (9, 9), width=3, at="2021"), "either top_right, or both width and height"),
        (lambda: a.Cutout((0, 0), (9, 9)), "say when these coordinates hold"),
        (lambda: a.Cutout((0, 0), (9, -9), at="2021"), "is empty"),
        (lambda: a.Cutout(object(), (9, 9), at="2021"), "a helioprojective coordinate"),
        (lambda: a.Cutout((0 * u.m, 0), (9, 9), at="2021"), "no number of arcsec"),
    ],
)  # fmt: skip
def test_a_cutout_that_is_none(make: Any, said: str) -> None:
    """Each says what is wanted."""
    with pytest.raises(InvalidQuery, match=said):
        make()


# Searching ----------------------------------------------------------------------------------------------------------


@attrs.define
class _Client:
    """What a search needs of a client; every query takes a turn of the loop."""

    info_: SeriesInfo = AIA
    refuse: str = "nothing"
    queries: list[dict[str, Any]] = attrs.field(factory=list)
    under_way: int = 0
    most: int = 0

    async def info(self, series: str) -> SeriesInfo:
        return self.info_

    async def query(self, record_set: RecordSet, **arguments: Any) -> RecordTable:
        self.queries.append(arguments)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await anyio.lowlevel.checkpoint()
        self.under_way -= 1
        if self.refuse in str(record_set):
            raise QueryRefused(str(record_set), 1, "no")
        return RecordTable(record_set, keywords={}, recnums=[1])


async def test_blocks_are_queried_at_once_but_not_all_of_them() -> None:
    """A hundred alternatives must not be a hundred connections."""
    client: Any = _Client()
    alternatives = reduce(or_, (a.Wavelength(length) for length in range(1, 41)))
    found = await a.search(client, FLARE, alternatives, at_once=3)
    assert (len(found), client.most) == (40, 3)
    assert [str(block.record_set)[-3:] for block in found[:3]] == ["[1]", "[2]", "[3]"]


async def test_a_search_asks_for_what_it_compares() -> None:
    """Besides the prime keys, and what was asked for; sunpy asks for everything, always."""
    client: Any = _Client()
    compared = FLARE & (a.Keyword("EXPTIME") < 2) & a.Segment("image")
    await a.search(client, compared)
    await a.search(client, compared, keywords="QUALITY, EXPTIME")
    await a.search(client, compared, keywords=["**ALL**"])
    assert [query["keywords"] for query in client.queries] == [["EXPTIME"], ["QUALITY", "EXPTIME"], ["**ALL**"]]
    assert client.queries[0]["prime_keys"] and client.queries[0]["segments"] == ["image"]


async def test_a_refused_block_is_named() -> None:
    """The error is the service's own, and a note says which of the alternatives it was about."""
    client: Any = _Client(refuse="[193]")
    with pytest.raises(QueryRefused) as caught:
        await a.search(client, FLARE, a.Wavelength(171) | a.Wavelength(193))
    assert caught.value.__notes__[0].startswith("in block 2 of 2, aia.lev1_euv_12s[2021-07-03T14:25:00Z-")


@pytest.mark.parametrize(
    "attributes",
    [
        (),
        (a.Time("2014", "2015"),),
        (FLARE | a.Time("2014", "2015"),),
        (FLARE, a.Keyword("NOTHING") < 2),
        (FLARE, a.Keyword("EXPTIME")),
        (FLARE, a.Wavelength(171) | a.Segment("nothing")),
        (FLARE, a.Protocol("fits"), a.Protocol("as-is")),
    ],
)
async def test_nothing_is_asked_when_one_block_is_wrong(attributes: tuple[a.Attribute, ...]) -> None:
    """Not even for the blocks before it."""
    client: Any = _Client()
    with pytest.raises(InvalidQuery):
        await a.search(client, *attributes)
    assert client.queries == []


async def test_a_search_is_as_good_as_the_record_set(aurora_server: LocalServer) -> None:
    """The published numbers of the gallery example: 357 records, 101 short exposures, 20 of them at 211 Angstrom."""
    async with Jsoc(base_url=aurora_server.base_url) as jsoc:
        (everything,) = await jsoc.search(FLARE)
        (short,) = await a.search(jsoc, FLARE, a.Keyword("EXPTIME") < 2)
        found = await a.search(jsoc, FLARE & (a.Keyword("EXPTIME") < 2) & (a.Wavelength(94) | a.Wavelength(211)))
    assert (len(everything), len(short), len(found[1])) == (357, 101, 20)
    assert found.row_count == len(found[0]) + 20
    assert {row["WAVELNTH"] for row in found[1]} == {211}
    assert found[1]["EXPTIME"][0] == 0.578715


async def test_exactly_the_rows_that_are_kept_are_exported(aurora_server: LocalServer) -> None:
    """What sunpy warns of: there, no slice of the results affects what is exported."""
    query = FLARE & a.Wavelength(211) & (a.Keyword("EXPTIME") < 2) & a.Segment("image")
    async with Jsoc(base_url=aurora_server.base_url) as jsoc:
        found = await jsoc.search(query & a.Protocol("fits") & a.Notify("demo@example.com"))
        kept = found[0].where(lambda row: row["EXPTIME"] < 0.3)[1:4]
        export = kept.export_query(method="url")
        again = await jsoc.query(export.record_set, prime_keys=True)
        files = await (await jsoc.export(kept, method="url")).files()
    assert (str(export.protocol), export.method, export.email) == ("fits", "url", "demo@example.com")
    assert str(export.record_set).endswith("{image}")
    assert (len(again), again.recnums) == (3, kept.table.recnums)
    assert [file.record for file in files] == list(again.names)


async def test_results_are_sliced_by_block_and_row(aurora_server: LocalServer) -> None:
    """`results[:, :2]` are two rows of each block, of which those that are empty export nothing."""
    lengths = a.Wavelength(94) | a.Wavelength(131) | a.Wavelength(1600)
    async with Jsoc(base_url=aurora_server.base_url) as jsoc:
        found = await a.search(jsoc, FLARE, lengths, a.Cutout((0, 0), (9, 9), at="2021-07-03T14:30"))
    assert [len(block) for block in found] == [51, 51, 0]
    assert [len(block) for block in found[1:]] == [51, 0]
    assert [len(block) for block in found[:, :2]] == [2, 2, 0]
    assert (len(found[0, 40:]), found[0][3].recnum) == (11, found[0].table.recnums[3])
    exports = found[:, :2].export_queries()
    assert [export.process[0].name for export in exports] == ["im_patch", "im_patch"]
    with pytest.raises(InvalidQuery):
        found[2].export_query()
    assert repr(found) == "<SearchResults of 3 blocks: 51 rows, 51 rows, 0 rows>"
    assert repr(found[:1, :1]) == "<SearchResults of 1 block: 1 row>"
    assert repr(found[0, :1]).endswith(": 1 row>")
    assert found._repr_html_().count("51 records of aia.lev1_euv_12s") == 2


async def test_what_one_block_found_is_exported_and_more_are_run(aurora_server: LocalServer, tmp_path: Path) -> None:
    """The results of a search are what people hand on; of several blocks the error says how."""
    query = FLARE & (a.Wavelength(94) | a.Wavelength(131) | a.Wavelength(1600)) & a.Segment("image")
    async with Jsoc(base_url=aurora_server.base_url, email="demo@example.com") as jsoc:
        found = (await jsoc.search(query))[:, :2]
        download = await jsoc.download(found[:1], tmp_path / "one")
        with pytest.raises(InvalidQuery, match=r"has 3 blocks; .*jsoc\.run\(found\.export_queries"):
            await jsoc.export(found)
        outcomes = [outcome async for outcome in jsoc.run(found)]
    assert (len(download.paths), download.ok) == (2, True)
    assert sorted(len(outcome.files or ()) for outcome in outcomes) == [2, 2]  # nothing for the empty block


def test_sunpy_s_spelling_works() -> None:
    """`a.jsoc.Series` there, so the same here."""
    assert a.jsoc is a
    assert a.jsoc.Series("hmi.m_720s") == a.Series("hmi.m_720s")
    assert a.Time("2014/01/01 00:00", "2014/01/01 00:10") == a.Time("2014-01-01T00:00", "2014-01-01T00:10")


def test_a_comparison_without_parentheses_is_told_apart() -> None:
    """`&` binds tighter than `<` in Python, and its own words for that help nobody."""
    with pytest.raises(InvalidQuery, match="in parentheses"):
        _ = a.Series("hmi.m_720s") & a.Keyword("EXPTIME") < 2
    with pytest.raises(InvalidQuery, match="in parentheses"):
        _ = a.Keyword("EXPTIME") | a.Series("hmi.m_720s")
