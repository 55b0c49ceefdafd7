"""`jsoc_info` and the listings over HTTP: bodies as the service sends them, whichever way it is asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.definitions import defined_names
from aurora_async.server.jsoc.records import Record

if TYPE_CHECKING:
    from conftest import Serve

FACTS = Path(__file__).parents[2] / "facts"
ADDRESS = "demo@example.com"
RECORDED = json.loads((FACTS / "jsoc_recorded_rs_list.json").read_text())["answers"][:2]
STRUCTURE = json.loads((FACTS / "jsoc_hmi_m_720s_series_struct.json").read_text())["body"]
RECORDS = json.loads((FACTS / "jsoc_records.json").read_text())
THREE_MINUTES = "hmi.v_45s[2013.07.03_08:42_TAI/3m]"


def without_runtime(document: dict[str, Any]) -> dict[str, Any]:
    assert document.pop("runtime", 0.0) >= 0
    return document


# Listings -------------------------------------------------------------------------------------------------------------


async def test_series_are_listed_by_a_pattern_in_both_ways(serve: Serve) -> None:
    """The public listing has prime keys; that of the official client has internal series as well."""
    async with serve() as jsoc:
        plain = await jsoc.cgi("show_series", filter=r"HMI\.m_720s$")
        assert plain == {
            "status": 0,
            "names": [
                {
                    "name": "hmi.M_720s",
                    "primekeys": "T_REC, CAMERA",
                    "note": "magnetograms with a cadence of 720 seconds.",
                }
            ],
            "n": 1,
        }
        for listing in RECORDS["listings"]:
            wrapped = await jsoc.cgi("showextseries", dbhost="hmidb2", filter=listing["filter"])
            assert wrapped == {"errMsg": "", "seriesList": listing["names"]}
        described = await jsoc.cgi("showextseries", dbhost="hmidb2", filter="^aia.lev1$", info="1")
        assert described["seriesList"] == [{"aia.lev1": {"description": "AIA Level 1"}}]


async def test_a_pattern_may_be_inverted_and_has_named_classes(serve: Serve) -> None:
    """POSIX patterns, which Python's are not in everything."""
    async with serve() as jsoc:
        everything = (await jsoc.cgi("show_series"))["n"]
        digits = (await jsoc.cgi("show_series", filter="[[:digit:]]{3}s"))["n"]
        others = (await jsoc.cgi("show_series", filter="NOT [[:digit:]]{3}s"))["n"]
        assert 0 < digits < everything == digits + others
        assert await jsoc.cgi("show_series", filter="nosuch") == {"status": 0, "names": [], "n": 0}


@pytest.mark.parametrize(
    "pattern", ["(", "[", "*", "(a+)+$", "((a*)*)*", "(.|.)*x", ".*.*.*.*.*x", "x" * 400, "[[.hyphen.]]"]
)
async def test_a_pattern_that_is_none_or_may_run_for_ever_is_refused(serve: Serve, pattern: str) -> None:
    """As valid JSON, which the real service fails to send."""
    async with serve() as jsoc:
        plain = await jsoc.cgi("show_series", filter=pattern)
        assert plain == {"status": 1, "errmsg": "Series filter format error"}
        wrapped = await jsoc.cgi("showextseries", filter=pattern)
        assert wrapped["errMsg"] and wrapped["seriesList"] == []


async def test_a_verbose_listing_tells_how_series_are_stored(serve: Serve) -> None:
    """As texts, between prime keys and note."""
    async with serve() as jsoc:
        (series,) = (await jsoc.cgi("show_series", filter="^hmi.M_720s$", v="1"))["names"]
        assert list(series) == ["name", "primekeys", "archive", "retention", "tapegroup", "unitsize", "owner", "note"]
        assert series["unitsize"] == "32"


# Structure ------------------------------------------------------------------------------------------------------------


async def test_a_structure_has_its_published_members_in_order(serve: Serve) -> None:
    """All that is printed of `hmi.M_720s`, except how far the series had come by then."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("jsoc_info", op="series_struct", ds="hmi.m_720s")
    assert list(answer) == list(STRUCTURE)
    printed = {name: value for name, value in STRUCTURE.items() if name not in ("keywords", "Interval", "runtime")}
    assert {name: answer[name] for name in printed} == printed
    assert answer["keywords"][:2] == STRUCTURE["keywords"]
    assert list(answer["Interval"]) == list(STRUCTURE["Interval"])
    for name in ("FirstRecord", "FirstRecnum"):
        assert answer["Interval"][name] == STRUCTURE["Interval"][name]


@pytest.mark.parametrize(
    ("series", "constants"),
    [
        ("hmi.M_720s", {"BUNIT": "Gauss", "CONTENT": "MAGNETOGRAM"}),
        ("hmi.ic_45s", {"BUNIT": "DN/s", "CONTENT": "CONTINUUM INTENSITY"}),
        ("hmi.sharp_720s", {"CONTENT": "HARP"}),
    ],
)
async def test_the_default_of_a_constant_is_its_value(serve: Serve, series: str, constants: dict[str, str]) -> None:
    """No record has a value of its own there, so that clients may read it from the structure."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("jsoc_info", op="series_struct", ds=series)
    rows = {row["name"]: row for row in answer["keywords"]}
    assert {name: (rows[name]["recscope"], rows[name]["defval"]) for name in constants} == {
        name: ("constant", value) for name, value in constants.items()
    }


def test_structure_and_records_agree_on_constants() -> None:
    """Of every series, with the values that are computed as well."""
    catalog = Catalog()
    for name in defined_names():
        series = catalog.series(name)
        assert series is not None
        position = next(series.positions.among([None] * len(series.keys)), None)
        if position is None:
            continue
        record = Record(catalog, series, position)
        constants = [one for one in series.keywords if one.recscope == "constant" and one.linkinfo is None]
        assert {one.name: one.default_value for one in constants} == {
            one.name: record.value_of(one) for one in constants
        }, name


async def test_an_inherited_keyword_has_the_type_of_where_it_comes_from(serve: Serve) -> None:
    """And says so between its name and its type."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("jsoc_info", op="series_struct", ds="aia.lev1_euv_12s[2014.01.01]{image}")
    rows = {row["name"]: row for row in answer["keywords"]}
    assert list(rows["EXPTIME"]) == ["name", "linkinfo", "type", "recscope", "defval", "units", "note"]
    assert rows["EXPTIME"] == {
        "name": "EXPTIME",
        "linkinfo": "lev1->EXPTIME",
        "type": "double",
        "recscope": "variable",
        "defval": "nan",
        "units": "sec",
        "note": "Exposure duration: mean shutter open time",
    }
    assert rows["T_REC"]["recscope"] == "ts_slot" and "linkinfo" not in rows["T_REC"]
    assert [rows[f"T_REC_{helper}"]["defval"] for helper in ("step", "round")] == ["12.0", "12"]
    assert answer["links"] == [{"name": "lev1", "target": "aia.lev1", "kind": "STATIC", "note": "Level 1 record"}]


async def test_a_series_of_which_only_the_name_is_known_is_empty(serve: Serve) -> None:
    """It has neither keys nor records, and says so as the service does of an empty series."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("jsoc_info", op="series_struct", ds="hmi.tdkernels")
        assert (answer["primekeys"], answer["dbindex"], answer["keywords"]) == ([None], [None], [])
        assert answer["Interval"]["FirstRecord"] == "NA" and answer["Interval"]["MaxRecnum"] == 0
        counted = await jsoc.cgi("jsoc_info", op="rs_summary", ds="hmi.tdkernels[]")
        assert counted["status"] == 1 and "neither its structure nor its records" in counted["error"]


# Counting and listing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: str(recorded["request"]["ds"]))
@pytest.mark.parametrize("post", [False, True], ids=["get", "post"])
async def test_recorded_answers_come_out_as_they_were(serve: Serve, recorded: dict[str, Any], post: bool) -> None:
    """Member by member, in their order, whether asked by GET or by a form."""
    async with serve() as jsoc:
        answer = without_runtime(await jsoc.cgi("jsoc_info", post=post, **recorded["request"]))
    body = without_runtime(dict(recorded["body"]))
    assert json.dumps(answer) == json.dumps(body)


async def test_a_count_heeds_the_limit(serve: Serve) -> None:
    """And ignores segments."""
    async with serve() as jsoc:
        for n, count in (("0", 4), ("3", 3), ("-3", 3), ("9", 4)):
            answer = await jsoc.cgi("jsoc_info", op="rs_summary", ds=f"{THREE_MINUTES}{{Dopplergram}}", n=n)
            assert without_runtime(answer) == {"count": count, "status": 0}


async def test_the_answer_of_no_record_is_short(serve: Serve) -> None:
    """No keywords, no segments, no links: three members."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("jsoc_info", op="rs_list", ds="hmi.v_45s[1999.01.01]", key="T_REC", R="1")
        assert without_runtime(answer) == {"count": 0, "status": 0}


async def test_unknown_names_have_special_values_and_keep_their_case(serve: Serve) -> None:
    """Lookup has no case, the answer has that of the question."""
    async with serve() as jsoc:
        answer = await jsoc.cgi(
            "jsoc_info",
            op="rs_list",
            ds="hmi.B_720s[2013.07.03_08:42_TAI/12m]",
            key="foo,t_rec",
            seg="baz,FIELD",
            link="bar,mdata",
        )
    assert answer["keywords"] == [
        {"name": "foo", "values": ["Invalid KeyLink"]},
        {"name": "t_rec", "values": ["2013.07.03_08:48:00_TAI"]},
    ]
    segments = [(row["name"], row["values"][0], row["dims"]) for row in answer["segments"]]
    assert segments[0] == ("baz", "InvalidSegName", ["NA"])
    assert segments[1][0] == "FIELD" and segments[1][2] == ["4096x4096"]
    assert answer["links"] == [
        {"name": "bar", "values": ["Invalid_Link"]},
        {"name": "mdata", "values": ["hmi.ME_720s_fd10[2013.07.03_08:48:00_TAI]"]},
    ]


async def test_pseudo_keywords_tell_of_storage_and_numbers_are_bare(serve: Serve) -> None:
    """Only `*recnum*` and `*sunum*` are numbers, everything else is a text."""
    names = ["recnum", "sunum", "size", "online", "retain", "archive", "recdir", "dirmtime", "logdir", "spec"]
    async with serve() as jsoc:
        answer = await jsoc.cgi(
            "jsoc_info",
            op="rs_list",
            ds="hmi.v_45s[2016.04.01_TAI]",
            key=",".join(f"*{name}*" for name in names),
            R="1",
        )
    assert next(iter(answer)) == "recinfo"
    assert answer["recinfo"] == [{"name": "hmi.V_45s[2016.04.01_00:00:00_TAI][2]", "online": 1}]
    values = {row["name"].strip("*"): row["values"][0] for row in answer["keywords"]}
    assert values["sunum"] == 803708321 and isinstance(values["recnum"], int)
    assert values["recdir"] == "/SUM58/D803708321/S00008"
    assert int(values["size"]) > 1e6
    assert (values["online"], values["archive"], values["logdir"]) == ("Y", "Y", "NO LOG")
    assert values["retain"].count(".") == 2 and values["dirmtime"].endswith("Z")
    assert values["spec"] == "hmi.V_45s[2016.04.01_00:00:00_TAI][2]"


async def test_everything_and_nothing_can_be_asked_for(serve: Serve) -> None:
    """`**ALL**` is all names in the order of the series, aliases included."""
    async with serve() as jsoc:
        structure = await jsoc.cgi("jsoc_info", op="series_struct", ds="hmi.v_45s")
        answer = await jsoc.cgi(
            "jsoc_info", op="rs_list", ds=THREE_MINUTES, key="**all**", seg="**ALL**", link="**NONE**"
        )
        assert [row["name"] for row in answer["keywords"]] == [row["name"] for row in structure["keywords"]]
        assert [row["name"] for row in answer["segments"]] == ["Dopplergram"]
        assert answer["links"] == []
        values = {row["name"]: row["values"][0] for row in answer["keywords"]}
        assert values["QUALITY"] == "0x00000000" and values["DATE-OBS"] == values["DATE__OBS"]
        both = await jsoc.cgi("jsoc_info", op="rs_list", ds=f"{THREE_MINUTES},hmi.m_45s[$]", key="**ALL**")
        assert both["status"] == 1


async def test_several_series_can_be_listed_together(serve: Serve) -> None:
    """Each record has its own series' values."""
    async with serve() as jsoc:
        ds = "hmi.v_45s[2014.01.01_TAI],hmi.m_45s[2014.01.01_TAI]"
        answer = await jsoc.cgi("jsoc_info", op="rs_list", ds=ds, key="CONTENT", seg="Dopplergram", n="-2")
    assert answer["keywords"][0]["values"] == ["DOPPLERGRAM", "MAGNETOGRAM"]
    assert answer["segments"][0]["values"][1] == "InvalidSegName"


async def test_floats_can_be_had_to_the_last_digit(serve: Serve) -> None:
    """In decimal and in hexadecimal, which are the same number."""
    async with serve() as jsoc:
        asked = {"op": "rs_list", "ds": "hmi.v_45s[2014.06.01_TAI]", "key": "OBS_VR,TELESCOP,foo"}
        (full, name, unknown), (hexadecimal, *_), (plain, *_) = [
            [row["values"][0] for row in (await jsoc.cgi("jsoc_info", **asked, **how))["keywords"]]
            for how in ({"M": "1"}, {"B": "1"}, {})
        ]
    assert float(full) == float.fromhex(hexadecimal)
    assert plain == f"{float(full):f}" != full
    assert (name, unknown) == ("SDO/HMI", "Invalid KeyLink")


async def test_files_on_tape_have_no_directory(serve: Serve) -> None:
    """The records are there, their files have to be asked for."""
    async with serve(offline=("HMI.v_45s",)) as jsoc:
        answer = await jsoc.cgi("jsoc_info", op="rs_list", ds=THREE_MINUTES, key="*online*", seg="Dopplergram", R="1")
        assert {row["online"] for row in answer["recinfo"]} == {0}
        assert set(answer["keywords"][0]["values"]) == {"N"}
        assert set(answer["segments"][0]["values"]) == {"NoDataDirectory"}


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"op": "series_struct", "ds": "foo"}, " jsoc_info: series not found."),
        ({"op": "rs_list", "ds": "foo", "key": "T_REC"}, "series not found"),
        ({"op": "rs_summary", "ds": "hmi.v_45s["}, "invalid record-set specification `hmi.v_45s[`"),
        ({"op": "rs_list", "ds": f"{THREE_MINUTES}[? FOO=1 ?]", "key": "T_REC"}, "no such column: FOO"),
        ({"op": "rs_list", "ds": THREE_MINUTES, "key": "T_REC", "n": "many"}, "n: `many`"),
        ({"op": "rs_list", "ds": THREE_MINUTES, "key": "T_REC", "f": "1"}, "FITS names"),
        ({"op": "rs_list", "ds": "hmi.v_45s[]", "key": "T_REC"}, "too many records"),
        ({"op": "rs_list", "ds": "hmi.v_45s[2014.01.01_TAI/20d]", "key": "**ALL**"}, "too many values"),
        ({"op": "rs_flush", "ds": "hmi.v_45s"}, "`rs_flush` is not known"),
        ({"ds": "hmi.v_45s"}, "Bad QUERY_STRING"),
        ({"op": "rs_list"}, "Bad QUERY_STRING"),
    ],
)
async def test_what_cannot_be_answered_has_status_1_and_a_reason(
    serve: Serve, asked: dict[str, str], error: str
) -> None:
    """Two members, and HTTP 200."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("jsoc_info", **asked)
    assert list(answer) == ["status", "error"]
    assert answer["status"] == 1 and error in answer["error"]


async def test_runtime_can_be_left_out(serve: Serve) -> None:
    """For answers that are to be compared."""
    async with serve() as jsoc:
        assert await jsoc.cgi("jsoc_info", op="rs_summary", ds=THREE_MINUTES, r="1") == {"count": 4, "status": 0}


async def test_a_long_answer_is_sent_in_pieces_while_others_are_served(serve: Serve) -> None:
    """A list of a week's records takes a while; a status is answered meanwhile."""
    async with serve() as jsoc:
        asked = {"op": "rs_list", "ds": "hmi.v_45s[2014.01.01_TAI/7d]", "key": "T_REC,*recnum*"}
        long = asyncio.create_task(jsoc.cgi("jsoc_info", **asked))
        quick = await jsoc.cgi("jsoc_info", op="rs_summary", ds=THREE_MINUTES)
        assert quick["count"] == 4 and not long.done()
        answer = await long
    assert answer["count"] == 13_440
    assert [len(row["values"]) for row in answer["keywords"]] == [13_440] * 2
    assert answer["keywords"][0]["values"][-1] == "2014.01.07_23:59:15_TAI"


async def test_slashes_are_escaped_on_the_wire(serve: Serve) -> None:
    """As the service does, in short answers and in those that are sent in pieces."""
    async with serve() as jsoc:
        url = f"{jsoc.base_url}/cgi-bin/ajax/jsoc_info"
        parameters = {"op": "rs_list", "ds": THREE_MINUTES, "seg": "Dopplergram"}
        async with jsoc.session.get(url, params=parameters) as answer:
            text = await answer.text()
    assert '"\\/SUM' in text and '"/SUM' not in text


# Ways to ask ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "parameters"),
    [
        ("drms_parserecset", {"spec": "hmi.é[1]"}),
        ("jsoc_info", {"op": "rs_list", "ds": THREE_MINUTES, "key": "é"}),
        ("jsoc_fetch", {"op": "exp_request", "ds": "hmi.é[1]", "notify": ADDRESS}),
    ],
)
async def test_answers_are_ascii_whatever_was_asked(serve: Serve, program: str, parameters: dict[str, Any]) -> None:
    """What is repeated of a request is escaped, in documents and in long lists, which are written in another way."""
    async with serve() as jsoc:
        answer = await jsoc.cgi(program, **parameters)
        assert "\\u00e9" in jsoc.text
        assert "é" in str(answer)


async def test_a_request_sent_as_to_a_proxy_is_answered(serve: Serve) -> None:
    """With `http_proxy` set, programs ask this port for addresses of the real hosts, KIS' among them."""
    async with serve() as jsoc:
        for address, said in (
            ("http://jsoc.stanford.edu/cgi-bin/ajax/showextseries?dbhost=hmidb2&filter=lev1", b"aia.lev1"),
            ("http://drms.leibniz-kis.de/cgi-bin/show_series?filter=lev1", b"aia.lev1"),
            ("http://drms.leibniz-kis.de/cgi-bin/jsoc_info?op=rs_summary&ds=hmi.v_45s%5B%24%5D", b'"count":1'),
            ("http://jsoc.stanford.edu/", b"<html"),
        ):
            async with jsoc.session.get(URL(address, encoded=True), proxy=jsoc.base_url) as answer:
                assert answer.status == 200
                body = await answer.read()
            assert said in body


@pytest.mark.parametrize("name", ["jsocextinfo", "jsoc_info"])
async def test_the_program_with_internal_series_answers_alike(serve: Serve, name: str) -> None:
    """Here all series are in one place."""
    async with serve() as jsoc:
        answer = await jsoc.cgi(name, op="rs_summary", ds=THREE_MINUTES, dbhost="hmidb2", N="1")
        assert answer["count"] == 4


async def test_a_record_set_is_taken_apart_as_recorded(serve: Serve) -> None:
    """By the program for that; a text that is none has no parts."""
    recorded = json.loads((FACTS / "jsoc_recorded_export_answers.json").read_text())
    (fact,) = (answer for answer in recorded["answers"] if "drms_parserecset" in answer["kind"])
    async with serve() as jsoc:
        answer = await jsoc.cgi("drms_parserecset", spec=fact["body"]["spec"])
        assert json.dumps(answer) == json.dumps(fact["body"])
        wrong = await jsoc.cgi("drms_parserecset", spec="hmi.m_720s[")
        assert wrong["subsets"] is None and wrong["errMsg"]
        two = await jsoc.cgi("drms_parserecset", spec="hmi.m_720s[2018.3.2]{magnetogram},hmi.v_720s")
        assert [part["segments"] for part in two["subsets"]] == ["{magnetogram}", None]


async def test_parts_of_a_structure_can_be_had_by_name(serve: Serve) -> None:
    """`series_info` gives what it is asked for."""
    async with serve() as jsoc:
        answer = await jsoc.cgi("series_info", series="hmi.m_720s", atts="unitsize", keys="T_REC,foo", segs="**ALL**")
        assert answer["attributes"] == {"unitsize": 32}
        assert [row["name"] for row in answer["keywords"]] == ["T_REC"]
        assert [row["name"] for row in answer["segments"]] == ["magnetogram"]
        assert (await jsoc.cgi("series_info", series="foo"))["errMsg"]
