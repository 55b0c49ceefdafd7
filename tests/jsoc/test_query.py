"""Asking for records: what is sent, what is refused before that, and what becomes of the answer."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_jsoc import jsoc_of, keyword, record_list, serving_jsoc, structure

from aurora_async.errors import (
    DeadlineExceeded,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    ServerError,
)
from aurora_async.jsoc import (
    Jsoc,
    Keyword,
    KeywordType,
    NoSuchSeries,
    QueryRefused,
    RecordSet,
    RecordSetError,
    RecordTable,
    SeriesInfo,
    TaiTime,
    WrongValue,
)
from aurora_async.jsoc._pull import Pull
from aurora_async.jsoc.models import Members
from aurora_async.jsoc.records import Wanted, _Reader
from aurora_async.server.app import LocalService

FACTS = Path(__file__).parent.parent / "facts"
URL = "http://jsoc.example.org/cgi-bin/ajax/jsoc_info"
SERIES = structure(
    keyword("EXPTIME", "double", units="s"),
    keyword("QUALITY", "int"),
    keyword("OBJECT", "string"),
    keyword("DATAMIN", "double", recscope="segment"),
)
COLUMNS: dict[str, list[Any]] = {
    "T_REC": ["2016.04.01_06:00:00_TAI", "MISSING", "2016.12.31_23:59:60_UTC"],
    "EXPTIME": ["1.5", "MISSING", "nan"],
    "QUALITY": ["0x00000000", "-2147483648", "0xfffffff0"],
    "OBJECT": ["Å", "MISSING", "Invalid KeyLink"],
}


async def read(document: Any, wanted: Wanted, cut: int = 1 << 16) -> RecordTable:
    """Read an answer that comes in pieces of `cut` bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), cut):
            yield body[start : start + cut]

    return await _Reader(Pull(chunks(), URL), wanted).table()


def wanted(**changes: Any) -> Wanted:
    """What is asked for where a test asks for nothing in particular: texts."""
    settings: dict[str, Any] = {"record_set": RecordSet.of("hmi.m_720s[2016.04.01]"), "keywords": ("T_REC",)}
    return Wanted(**(settings | {"typed": False} | changes))


# What comes back ------------------------------------------------------------------------------------------------------


async def test_values_have_the_types_of_their_keywords() -> None:
    """Integers stay integers, also hexadecimal ones; times are instants, and what is missing is None."""
    async with (
        serving_jsoc(series_struct=SERIES, rs_list=record_list([7, 8, 10], **COLUMNS)) as service,
        jsoc_of(service) as jsoc,
    ):
        table = await jsoc.query("hmi.m_720s[2016.04.01]", keywords=list(COLUMNS))
    assert table["T_REC"] == [TaiTime.parse("2016.04.01_06:00:00_TAI"), None, TaiTime.parse("2016.12.31_23:59:60_UTC")]
    assert table["EXPTIME"] == [1.5, None, None]
    assert table["QUALITY"] == [0, None, -16]
    assert table["OBJECT"] == ["Å", None, None]
    assert table.series == "hmi.M_720s"


async def test_texts_are_what_the_service_wrote() -> None:
    """For those who know better than the structure of the series, which is not even asked for then."""
    async with serving_jsoc(rs_list=record_list([7, 8, 10], **COLUMNS)) as service, jsoc_of(service) as jsoc:
        table = await jsoc.query("hmi.m_720s[2016.04.01]", keywords=list(COLUMNS), typed=False, check=False)
        assert service.count("series_struct") == 0
    assert table["QUALITY"] == COLUMNS["QUALITY"]
    assert table["EXPTIME"] == COLUMNS["EXPTIME"]
    assert table.recnums == (7, 8, 10)


async def test_a_value_of_another_type_names_record_keyword_and_value() -> None:
    """One wrong value among a million must be found, and there is a way around it."""
    columns = COLUMNS | {"EXPTIME": ["1.5", "2.5", "long"]}
    async with (
        serving_jsoc(series_struct=SERIES, rs_list=record_list([7, 8, 10], **columns)) as service,
        jsoc_of(service) as jsoc,
    ):
        with pytest.raises(WrongValue, match=r"EXPTIME of hmi\.m_720s\[:#10\] holds 'long', .*typed=False") as caught:
            await jsoc.query("hmi.m_720s[2016.04.01]", keywords=list(COLUMNS))
    assert (caught.value.record, caught.value.keyword, caught.value.value) == ("hmi.m_720s[:#10]", "EXPTIME", "long")
    assert caught.value.where == "$.keywords[2].values[2]"


async def test_an_empty_answer_has_typed_columns() -> None:
    """The service leaves out all columns then; code that works on ten records must work on none."""
    async with serving_jsoc(series_struct=SERIES, rs_list=record_list([])) as service, jsoc_of(service) as jsoc:
        table = await jsoc.query(
            "hmi.m_720s[2016.04.01]", keywords="T_REC, EXPTIME", segments="**ALL**", links="MDATA", names=True
        )
        everything = await jsoc.query("hmi.m_720s[2016.04.01]", keywords="**ALL**")
    assert (len(table), table.columns, table.names) == (0, ("T_REC", "EXPTIME", "magnetogram", "MDATA"), ())
    assert table.keywords["EXPTIME"].type is KeywordType.DOUBLE
    assert table.to_pandas()["T_REC"].dtype == "datetime64[us, UTC]"
    assert everything.columns == ("T_REC", "CAMERA", "EXPTIME", "QUALITY", "OBJECT", "DATAMIN")


async def test_the_recorded_answer_is_read() -> None:
    """As the service's own documentation shows it: keywords, and a segment with all that is told of its files."""
    answer = json.loads((FACTS / "jsoc_recorded_rs_list.json").read_text())["answers"][0]["body"]
    table = await read(answer, wanted(keywords=("TINTNUM", "T_OBS"), segments=("continuum",)))
    assert len(table) == 5
    assert table["T_OBS"][4] == "2017.01.08_00:47:52_TAI"
    continuum = table.segments["continuum"]
    assert continuum.paths[1] == "/SUM89/D990049682/S00001/continuum.fits"
    assert (continuum.dims[0], continuum.cparms[0], continuum.bzeros[0]) == ("4096x4096", "compress Rice", "97304")


async def test_files_and_targets_that_are_not_there_are_none() -> None:
    """The service writes words in their place, which nobody should take for a path."""
    paths = ["/SUM1/D1/S00000/a.fits", "NoDataDirectory", "BadSegLink"]
    answer = record_list([1, 2, 3]) | {
        "segments": [{"name": "image", "values": paths, "dims": ["4x4", "NA", "NA"], "cparms": ["", "", ""]}],
        "links": [{"name": "MDATA", "values": ["hmi.M_720s[:#4]", "Invalid_Link", "hmi.M_720s[2016.04.01][3]"]}],
    }
    table = await read(answer, wanted(keywords=None, segments=("image",), links=("MDATA",), typed=True))
    assert table["image"] == ["/SUM1/D1/S00000/a.fits", None, None]
    assert table.segments["image"].dims == ["4x4", None, None]
    assert table["MDATA"] == ["hmi.M_720s[:#4]", None, "hmi.M_720s[2016.04.01][3]"]
    assert table.recnums == (1, 2, 3)
    assert (await read(answer, wanted(keywords=None, segments=("image",))))["image"] == paths


async def test_what_the_service_keeps_beside_the_keywords_has_types_too() -> None:
    """Numbers come bare, sizes as texts, and `NA` where there is none."""
    columns: dict[str, list[Any]] = {
        "*sunum*": [803708321, 5],
        "*size*": ["1024", "NA"],
        "*online*": ["Y", "NA"],
        "*retain*": ["N/A", "N/A"],
    }
    async with (
        serving_jsoc(series_struct=SERIES, rs_list=record_list([7, 8], **columns)) as service,
        jsoc_of(service) as jsoc,
    ):
        table = await jsoc.query("hmi.m_720s[2016.04.01]", keywords=["*recnum*", *columns])
    assert [row["*recnum*"] for row in table] == [7, 8]
    assert (table["*sunum*"], table["*size*"], table["*online*"]) == ([803708321, 5], [1024, None], ["Y", "NA"])


async def test_records_of_several_series_know_theirs() -> None:
    """A number of a record means nothing without its series, so their names are asked for as well."""
    answer = record_list([1, 1], QUALITY=["0", "0"])
    answer["recinfo"] = [{"name": "hmi.M_720s[2016.04.01_00:00:00_TAI][3]", "online": 1}, {"name": "hmi.V_720s[x][3]"}]
    async with serving_jsoc(series_struct=SERIES, rs_list=answer) as service, jsoc_of(service) as jsoc:
        table = await jsoc.query("hmi.m_720s[2016.04.01],hmi.v_720s[2016.04.01]", keywords="QUALITY")
        assert service.asked[-1]["R"] == "1"
    assert str(table.subset()) == "hmi.M_720s[:#1],hmi.V_720s[:#1]"


@given(cut=st.integers(1, 400), blanks=st.text(alphabet=" \n\t", max_size=3))
async def test_it_does_not_matter_where_the_answer_is_cut(cut: int, blanks: str) -> None:
    """The network cuts where it likes: within names, numbers, escapes and characters of several bytes."""
    answer = record_list([7, 8, 10], **COLUMNS)
    answer["keywords"].append({"name": "ODD", "values": ['a",b', "c\\", "]}{["], "more": {"unknown": [1, {"a": None}]}})
    answer["recinfo"] = [{"name": f"hmi.M_720s[{number}]", "online": 1} for number in range(3)]
    body = json.dumps(answer, ensure_ascii=False).replace(", ", f",{blanks}").encode()
    table = await read(body, wanted(keywords=(*COLUMNS, "ODD"), names=True), cut)
    assert table["ODD"] == ['a",b', "c\\", "]}{["]
    assert {name: table[name] for name in COLUMNS} == COLUMNS
    assert table.names == ("hmi.M_720s[0]", "hmi.M_720s[1]", "hmi.M_720s[2]")


async def test_texts_in_two_encodings_are_both_read() -> None:
    """As in descriptions, so in values: people typed them."""
    body = json.dumps(record_list([1, 2], OBJECT=["@", "%"])).replace("@", "Ångström").encode()
    table = await read(body.replace(b"%", "6173 Å".encode("latin1")), wanted(keywords=("OBJECT",)))
    assert table["OBJECT"] == ["Ångström", "6173 Å"]


async def test_the_order_of_members_does_not_matter() -> None:
    """JSON promises none: values may come before the name of their keyword, and the count first of all."""
    body = {"status": 0, "count": 2, "keywords": [{"values": ["1", "2"], "name": "QUALITY"}]}
    assert (await read(body, wanted(keywords=("QUALITY",))))["QUALITY"] == ["1", "2"]


async def test_a_long_answer_takes_the_memory_of_its_values() -> None:
    """A hundred thousand numbers: 3.2 MB. Their text is another 1.5 MB, and 6 MB as strings: at no time all there."""
    rows = 100_000

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"keywords":[{"name":"EXPTIME","values":['
        for start in range(0, rows, 1000):
            yield ",".join(f'"{number}.123456"' for number in range(start, start + 1000)).encode()
            yield b"," if start + 1000 < rows else b"]"
        yield b'}],"segments":[],"links":[],"count":%d,"status":0}' % rows

    exptime = Members([Keyword("EXPTIME", KeywordType.DOUBLE)], record_type=Keyword)
    info = SeriesInfo(name="su.test", keywords=exptime)
    question = wanted(keywords=("EXPTIME",), typed=True, structures=(info,))
    tracemalloc.start()
    try:
        table = await _Reader(Pull(chunks(), URL), question).table()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table["EXPTIME"][-1] == 99999.123456
    assert peak < 6e6


async def test_records_are_named_by_primary_keys_that_nobody_asked_for() -> None:
    """Instead of by a number, which says nothing to a reader; they are no columns, and texts stay texts."""
    keys = {"T_REC": ["2016.04.01_06:00:00_TAI", "2016.04.01_06:12:00_TAI"], "CAMERA": ["1", "3"]}
    listed = record_list([7, 8], EXPTIME=["1.5", "2.5"], **keys)
    async with serving_jsoc(series_struct=SERIES, rs_list=listed) as service, jsoc_of(service) as jsoc:
        for typed in (True, False):
            table = await jsoc.query("hmi.m_720s[2016.04.01]", keywords="EXPTIME", typed=typed)
            assert service.asked[-1]["key"] == "*recnum*,EXPTIME,T_REC,CAMERA"
            assert table.columns == ("EXPTIME",)
            assert table.names[0].lower() == "hmi.m_720s[2016.04.01_06:00:00_tai][1]"
            assert table[1:].names[0].lower() == "hmi.m_720s[2016.04.01_06:12:00_tai][3]"
        mixed = await jsoc.query("hmi.m_720s[2016.04.01]", keywords="CAMERA, EXPTIME")
        assert service.asked[-1]["key"] == "*recnum*,CAMERA,EXPTIME,T_REC"
        assert mixed[0].name.lower() == "hmi.m_720s[2016.04.01_06:00:00_tai][1]"


async def test_names_of_many_records_take_little_memory() -> None:
    """A hundred thousand names of 24 letters in 3 MB, where a list of them takes 8."""
    count = 100_000

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"status":0,"keywords":[{"name":"T_REC","values":['
        for start in range(0, count, 1000):
            texts = (f'"2016.04.01_06:{at // 60 % 60:02}:{at % 60:02}_TAI"' for at in range(start, start + 1000))
            yield ((b"," if start else b"") + ",".join(texts).encode())
        yield b']}],"count":100000}'

    info = SeriesInfo(name="su.test", primekeys=("T_REC",))
    question = wanted(keywords=("**NONE**",), structures=(info,))
    tracemalloc.start()
    try:
        table = await _Reader(Pull(chunks(), URL), question).table()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table[count - 1].name == "su.test[2016.04.01_06:46:39_TAI]"
    assert peak < 5e6


# Broken answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        (record_list([1, 2], QUALITY=["0"]), r"\$\.keywords\[1\]\.values: expected 2 values.*got 1"),
        (record_list([1], EXPTIME=["0"]), r"\$\.keywords: QUALITY is missing"),
        ({"keywords": [{"values": ["0"]}], "count": 1, "status": 0}, r"\$\.keywords\[0\]\.name: a text is missing"),
        ({"keywords": [{"name": 3}], "count": 1, "status": 0}, r"\$\.keywords\[0\]\.name: expected a text, got 3"),
        ({"keywords": {}, "count": 1, "status": 0}, r"\$\.keywords: expected a list, got '\{"),
        ({"keywords": [[]], "count": 1, "status": 0}, r"\$\.keywords\[0\]: expected an object"),
        ({"keywords": [], "status": 0}, r"\$\.count: a whole number is missing"),
        (
            {"keywords": [{"name": "QUALITY", "values": [[1]]}], "count": 1, "status": 0},
            r"holds \[1\], which is no text \(\$\.keywords\[0\]\.values\[0\]",
        ),
        (b'{"keywords":[{"name":"QUALITY","values":["a" "b"]}]}', r"values: expected a comma or \]"),
        (b'{"keywords":[{"name":"QUALITY","values":[01]}]}', r"values: not JSON"),
        (b'{"count": 0, "status": 0} {}', r"\$: after its end comes '{}'"),
        (b"<html><title>Busy</title></html>", r"\$: not JSON but '<html>"),
    ],
)
async def test_an_answer_that_is_wrong_says_where(answer: Any, where: str) -> None:
    """Whatever a service, a proxy or a disk fault makes of it, no half of it is taken for the whole."""
    with pytest.raises(MalformedAnswer, match=where):
        await read(answer, wanted(keywords=("QUALITY",)), 7)


@pytest.mark.parametrize("end", [0, 1, 30, 60, -2])
async def test_an_answer_that_ends_in_the_middle_is_incomplete(end: int) -> None:
    """It can be asked for again, which a wrong one cannot."""
    body = json.dumps(record_list([1, 2], QUALITY=["0", "0"])).encode()
    with pytest.raises(IncompleteBody, match="the answer ends in the middle"):
        await read(body[:end], wanted(keywords=("QUALITY",)))


async def test_a_value_that_never_ends_is_given_up() -> None:
    """Memory has an end, whatever a broken service sends."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"error": "'
        while True:
            yield b"a" * (1 << 20)

    with pytest.raises(MalformedAnswer, match=r"\$\.error: one value of more than 8 MiB"):
        await _Reader(Pull(chunks(), URL), wanted()).table()


async def test_an_answer_that_was_cut_is_asked_for_again() -> None:
    """The network's faults are not the user's business."""
    whole = json.dumps(record_list([1, 2], QUALITY=["0", "0"])).encode()
    sent = 0

    async def answer(form: dict[str, str]) -> web.StreamResponse:
        nonlocal sent
        sent += 1
        return web.Response(body=whole[:50] if sent == 1 else whole, content_type="application/json")

    async with serving_jsoc(series_struct=SERIES, rs_list=answer) as service, jsoc_of(service) as jsoc:
        assert (await jsoc.query("hmi.m_720s[2016.04.01]", keywords="QUALITY"))["QUALITY"] == [0, 0]
    assert sent == 2


async def test_the_services_own_words_are_raised() -> None:
    """Its database knows best what is wrong with a condition."""
    refusal = {"status": 1, "error": 'column "exptme" does not exist\nLINE 1'}
    async with serving_jsoc(series_struct=SERIES, rs_list=refusal) as service, jsoc_of(service) as jsoc:
        with pytest.raises(
            QueryRefused, match=r"EXPTME < 2.*status 1.*column \"exptme\" does not exist LINE 1"
        ) as caught:
            await jsoc.query("hmi.m_720s[? EXPTME < 2 ?]", keywords="EXPTIME")
    assert caught.value.status == 1


async def test_a_page_of_html_with_an_error_status_is_told_in_one_line() -> None:
    """Too many time ranges in one query end so: with status 500 and a page."""

    async def answer(form: dict[str, str]) -> web.StreamResponse:
        page = "<html><title>500 Internal Server Error</title></html>"
        return web.Response(status=500, text=page, content_type="text/html")

    async with serving_jsoc(series_struct=SERIES, rs_list=answer) as service, jsoc_of(service) as jsoc:
        with pytest.raises(ServerError, match=r"answered 500 \(500 Internal Server Error\)"):
            await jsoc.query("hmi.m_720s[2016.04.01]", keywords="EXPTIME")


async def test_a_deadline_ends_a_query() -> None:
    """A database may think for minutes."""

    async def thinking(form: dict[str, str]) -> web.StreamResponse:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async with serving_jsoc(series_struct=SERIES, rs_list=thinking) as service, jsoc_of(service) as jsoc:
        with pytest.raises(DeadlineExceeded, match=r"querying hmi\.m_720s\[2016\.04\.01\] was not done within 0\.05 s"):
            await jsoc.query("hmi.m_720s[2016.04.01]", keywords="EXPTIME", deadline_s=0.05)


# What is sent ---------------------------------------------------------------------------------------------------------


async def test_what_is_asked_for_is_what_is_sent() -> None:
    """Names once, commas between; the record's number comes along, so that the rows can be exported."""
    async with (
        serving_jsoc(series_struct=SERIES, rs_list=record_list([])) as service,
        jsoc_of(service) as jsoc,
    ):
        await jsoc.query(
            RecordSet.of("hmi.m_720s").during("2016-04-01", "2016-04-02"),
            keywords=["EXPTIME", "quality exptime", "**NONE**"],
            segments="magnetogram",
            prime_keys=True,
            names=True,
            n=-5,
        )
        assert service.asked[-1] == {
            "op": "rs_list",
            "ds": "hmi.m_720s[2016-04-01T00:00:00Z-2016-04-02T00:00:00Z]",
            "key": "*recnum*,T_REC,CAMERA,EXPTIME,quality",
            "seg": "magnetogram",
            "R": "1",
            "n": "-5",
        }
        await jsoc.query("hmi.m_720s[2016.04.01]", segments="magnetogram", prime_keys=True)
        assert service.asked[-1]["key"] == "*recnum*,T_REC,CAMERA"


async def test_a_long_record_set_goes_into_the_body() -> None:
    """An export of ten thousand single rows is no address any more; the service reads both."""
    rows = RecordSet.of("hmi.m_720s").recnums(range(1, 4000, 2))
    async with (
        serving_jsoc(series_struct=SERIES, rs_list=record_list([]), rs_summary={"count": 2000, "status": 0}) as service,
        jsoc_of(service) as jsoc,
    ):
        await jsoc.query(rows, keywords="EXPTIME")
        assert await jsoc.count(rows) == 2000
        assert service.methods == ["GET", "POST", "POST"]
        assert service.asked[-1] == {"op": "rs_summary", "ds": str(rows)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "name keywords, segments or links"),
        ({"keywords": ""}, "keywords: is empty"),
        ({"keywords": []}, "keywords: is empty"),
        ({"keywords": [" , "]}, "keywords: is empty"),
        ({"keywords": ["EXPTIME", 3]}, "keywords: 3 is not a name"),
        ({"keywords": b"EXPTIME"}, "is not a name or a list of names"),
        ({"segments": {"image": 1}}, "is not a name or a list of names"),
        ({"keywords": "EXPTIME", "n": 0}, "n: 0 is not a number of records"),
        ({"keywords": "EXPTIME", "n": True}, "n: True is not a number of records"),
        ({"keywords": "EXPTIME", "n": "5"}, "n: '5' is not a number of records"),
        ({"keywords": "EXPTIME", "deadline_s": 0}, "deadline_s: 0 is not a positive number"),
    ],
)
async def test_arguments_that_make_no_sense_are_refused_before_anything_is_sent(
    arguments: dict[str, Any], message: str
) -> None:
    """The service would answer all of them with something."""
    async with serving_jsoc(series_struct=SERIES) as service, jsoc_of(service) as jsoc:
        with pytest.raises(InvalidInput, match=message):
            await jsoc.query("hmi.m_720s[2016.04.01]", **arguments)
        assert service.asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keywords": "EXPTIM"}, r"hmi\.m_720s has no keyword 'EXPTIM'; did you mean EXPTIME\?"),
        ({"keywords": "T-OBS"}, "has no keyword 'T-OBS'"),
        ({"keywords": "*recnumber*"}, r"did you mean \*recnum\* or \*recdir\*\?"),
        ({"segments": "magnetograms"}, r"has no segment 'magnetograms'; did you mean magnetogram\?"),
        ({"segments": "image"}, "has no segment 'image'; there are magnetogram"),
        ({"links": "MDATUM"}, r"has no link 'MDATUM'; did you mean MDATA\?"),
    ],
)
async def test_a_name_that_the_series_does_not_have_is_refused(arguments: dict[str, Any], message: str) -> None:
    """The service gives a column of error words for a misspelt name, which nobody looks at."""
    async with serving_jsoc(series_struct=SERIES) as service, jsoc_of(service) as jsoc:
        with pytest.raises(InvalidInput, match=message):
            await jsoc.query("hmi.m_720s[2016.04.01]", **arguments)
        assert service.count("rs_list") == 0


@pytest.mark.parametrize("names", ["exptime", "*recnum*, *online*", "**ALL**", "DATAMIN[0]", "T_REC **NONE**"])
async def test_names_that_the_service_knows_are_not_refused(names: str) -> None:
    """In any case, with an index where there is one a segment, and those that are no keywords at all."""
    async with serving_jsoc(series_struct=SERIES, rs_list=record_list([])) as service, jsoc_of(service) as jsoc:
        await jsoc.query("hmi.m_720s[2016.04.01]", keywords=names)
        assert service.count("rs_list") == 1


async def test_names_are_not_checked_when_that_is_not_wanted() -> None:
    """Then the service says what it thinks of them, which is no value."""
    answer = record_list([1], FUTURE=["Invalid KeyLink"])
    async with serving_jsoc(series_struct=SERIES, rs_list=answer) as service, jsoc_of(service) as jsoc:
        table = await jsoc.query("hmi.m_720s[2016.04.01]", keywords="FUTURE", check=False)
    assert table["FUTURE"] == [None]


async def test_everything_is_only_to_be_had_of_one_series() -> None:
    """The service gives one set of columns; those of two series are not the same."""
    async with serving_jsoc(series_struct=SERIES) as service, jsoc_of(service) as jsoc:
        with pytest.raises(InvalidInput, match="is for one series"):
            await jsoc.query("hmi.m_720s[2016.04.01],hmi.v_720s[2016.04.01]", keywords="**ALL**")
        assert service.asked == []


async def test_a_record_set_that_is_none_is_refused_with_the_place() -> None:
    """Before the service is asked, whose answer would not say where."""
    async with serving_jsoc() as service, jsoc_of(service) as jsoc:
        with pytest.raises(RecordSetError) as caught:
            await jsoc.query("hmi.m_720s[2016.04.01", keywords="EXPTIME")
        assert caught.value.position == len("hmi.m_720s[2016.04.01")
        with pytest.raises(InvalidInput, match="ds: None is not a record set"):
            await jsoc.count(None)  # type: ignore[arg-type]
        assert service.asked == []


# The local service ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record_set", "count"),
    [
        ("aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z]", 357),
        ("aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z][? EXPTIME<2.0 AND WAVELNTH=211 ?]", 20),
        ("hmi.v_45s[2013.07.03_08:42_TAI/3m]", 4),
        ("hmi.v_45s[2013.07.03_08:42_TAI/4m]", 5),
    ],
)
async def test_the_published_counts_are_found(record_set: str, count: int) -> None:
    """By counting and by listing: the numbers that tutorials print."""
    async with LocalService() as service, Jsoc(base_url=service.base_url) as jsoc:
        assert await jsoc.count(record_set) == count
        table = await jsoc.query(record_set, keywords="QUALITY", prime_keys=True)
        assert len(table) == count
        assert await jsoc.count(table.subset()) == count


async def test_the_rows_one_keeps_can_be_asked_for_again() -> None:
    """What the gallery example of aiapy says cannot be done: from a table, cut as one likes, to those records alone."""
    flare = "aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z][211]{image}"
    async with LocalService() as service, Jsoc(base_url=service.base_url) as jsoc:
        table = await jsoc.query(flare, keywords="T_OBS, EXPTIME", segments="image", prime_keys=True)
        frame = table.to_pandas()
        short = table[frame.index[frame["EXPTIME"] < 2.0]][::2]
        again = await jsoc.query(short, keywords="T_OBS", prime_keys=True)
        assert await jsoc.count(short) == len(short)
    assert 0 < len(short) < len(table)
    assert again.names == short.names
    assert again["T_OBS"] == short["T_OBS"]
    assert again.record_set.subsets[0].segments == ("image",)


async def test_all_keywords_of_a_record_are_read() -> None:
    """Every type, every format and every missing value that the service writes."""
    async with LocalService() as service, Jsoc(base_url=service.base_url) as jsoc:
        table = await jsoc.query("hmi.v_45s[2013.07.03_08:42_TAI/3m]", keywords="**ALL**", segments="**ALL**")
        info = await jsoc.info("hmi.v_45s")
        assert table.columns[:-1] == tuple(info.keywords)
        assert table[0]["T_REC"] == TaiTime.parse("2013.07.03_08:42:00_TAI")
        assert table[0]["CRLT_OBS"] == pytest.approx(3.14159, abs=1e-4)
        assert table.to_arrow().num_rows == 4


async def test_a_series_that_is_not_there_is_said_so_by_every_verb() -> None:
    """The one mistake that everybody makes."""
    async with LocalService() as service, Jsoc(base_url=service.base_url) as jsoc:
        for asking in (jsoc.info("foo.bar"), jsoc.query("foo.bar[1]", keywords="A"), jsoc.keys("foo.bar")):
            with pytest.raises(NoSuchSeries, match=r"there is no series 'foo\.bar'"):
                await asking
        with pytest.raises(QueryRefused):
            await jsoc.count("foo.bar[1]")
