"""The service's JSON as it really comes: numbers as texts, two encodings, broken error messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.scripted_jsoc import keyword, structure

from aurora_async.errors import MalformedAnswer
from aurora_async.jsoc import AddressCheckFailed, KeywordType, NoSuchSeries, PrimeKey, QueryRefused, SeriesName
from aurora_async.jsoc.wire import (
    ExportRow,
    decode_address,
    decode_count,
    decode_pending,
    decode_series,
    decode_status,
    decode_structure,
)

FACTS = Path(__file__).parent.parent / "facts"
URL = "http://jsoc.example.org/cgi-bin/ajax/jsoc_info"


def facts(name: str) -> Any:
    """Answers of the live service; their files say who published them."""
    return json.loads((FACTS / name).read_text())


def body(document: Any) -> bytes:
    """As the service writes it, with a line break at the end."""
    return json.dumps(document).encode() + b"\n"


# Structures -----------------------------------------------------------------------------------------------------------


def test_the_published_structure_is_read() -> None:
    """The answer for hmi.M_720s, as the service's own documentation shows it."""
    info = decode_structure(body(facts("jsoc_hmi_m_720s_series_struct.json")["body"]), URL, "hmi.m_720s")
    assert info.name == "hmi.M_720s"  # in the service's own spelling, which only the names of records show
    assert (info.retention_days, info.staging_retention_days, info.unitsize, info.archive) == (10000, 3, 32, 1)
    assert info.prime_key_info == (PrimeKey("T_REC", True, 720.0), PrimeKey("CAMERA", False, None))
    assert info.keywords["magnetogram_bzero"].type is KeywordType.DOUBLE
    assert info.segments["magnetogram"].dims == "4096x4096"
    assert info.interval is not None
    assert info.interval.max_recnum == 642240


def test_a_series_without_prime_keys_has_none() -> None:
    """The service writes `[null]` for an empty list."""
    info = decode_structure(body(structure(primekeys=[None], dbindex=[None])), URL, "aia.response")
    assert (info.primekeys, info.dbindex) == ((), ())


def test_an_empty_series_has_no_first_record() -> None:
    """Its interval reads `NA`."""
    nothing = dict.fromkeys(("FirstRecord", "FirstRecnum", "LastRecord", "LastRecnum"), "NA") | {"MaxRecnum": 0}
    info = decode_structure(body(structure(Interval=nothing)), URL, "hmi.m_720s")
    assert info.interval is not None
    assert (info.interval.first_record, info.interval.last_recnum, info.interval.max_recnum) == (None, None, 0)
    assert info.name == "hmi.m_720s"


def test_what_the_service_may_leave_out_is_none() -> None:
    """Other DRMS sites run older versions, which tell less."""
    document = {"keywords": [], "segments": [], "links": [], "status": "0"}
    info = decode_structure(body(document), URL, "su.test")
    assert (info.name, info.note, info.interval, info.retention_days) == ("su.test", "", None, None)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"keywords": None}, r"\$\.keywords"),
        ({"keywords": [keyword("A", "int"), keyword("B", "quaternion")]}, r"\$\.keywords\[1\]\.type: expected one of"),
        ({"keywords": ["A"]}, r"\$\.keywords\[0\]: expected an object, got 'A'"),
        ({"segments": [{"type": "int"}]}, r"\$\.segments\[0\]\.name: a text is missing"),
        ({"status": "soon"}, r"\$\.status: expected a number, got 'soon'"),
        ({"retention": 1.5}, r"\$\.retention: expected a whole number, got 1.5"),
        ({"Interval": {"MaxRecnum": []}}, r"\$\.Interval\.MaxRecnum"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: dict[str, Any], where: str) -> None:
    """Of four hundred keywords the message names the one."""
    with pytest.raises(MalformedAnswer, match=where):
        decode_structure(body(structure(**change)), URL, "hmi.m_720s")


@pytest.mark.parametrize("text", ["series not found", " jsoc_info: series not found.", "Series 'foo' does not exist"])
def test_a_series_that_is_not_there_has_an_error_of_its_own(text: str) -> None:
    """It is the most common mistake, and the wording differs from one version of the service to the next."""
    with pytest.raises(NoSuchSeries, match=r"there is no series 'foo\.bar'.*series\(\) lists"):
        decode_structure(body({"status": 1, "error": text}), URL, "foo.bar")


def test_descriptions_in_two_encodings_are_both_read() -> None:
    """The service stores what people typed: some of it in latin1, some in UTF-8, both in one answer."""
    text = json.dumps(structure(keyword("A", "float", note="@"), keyword("B", "float", note="%")))
    mixed = text.replace("@", "Ångström").encode().replace(b"%", "6173 Å".encode("latin1"))
    info = decode_structure(mixed, URL, "hmi.v_avg120")
    assert (info.keywords["A"].note, info.keywords["B"].note) == ("Ångström", "6173 Å")


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><h1>Service down</h1>", b"", b'{"status": 0,', b"[1, 2]"])
def test_what_is_no_answer_is_refused_with_its_beginning(page: bytes) -> None:
    """A page of a proxy, or nothing at all, with status 200: the reader must see what came."""
    with pytest.raises(MalformedAnswer, match=r"malformed at \$") as caught:
        decode_structure(page, URL, "hmi.m_720s")
    assert "Service down" in str(caught.value) or not page.startswith(b"<")


# Lists ----------------------------------------------------------------------------------------------------------------


def test_the_plain_list_tells_prime_keys_and_notes() -> None:
    """`show_series`; the keys are one text with commas."""
    listed = {
        "status": 0,
        "names": [{"name": "hmi.M_720s", "primekeys": "T_REC, CAMERA", "note": "magnetograms"}],
        "n": 1,
    }
    assert decode_series(body(listed), URL, "") == [SeriesName("hmi.M_720s", "magnetograms", ("T_REC", "CAMERA"))]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("aia.lev1", SeriesName("aia.lev1")),
        ({"aia.lev1": {"description": "AIA Level 1"}}, SeriesName("aia.lev1", "AIA Level 1")),
    ],
)
def test_the_merged_list_tells_names_or_descriptions(item: object, expected: SeriesName) -> None:
    """`showextseries`, without and with `info=1`."""
    assert decode_series(body({"errMsg": "", "seriesList": [item]}), URL, "") == [expected]


@pytest.mark.parametrize(
    "answer",
    [
        b'{"errMsg": "bad regular expression", "seriesList": []}\n',
        b'{"status":1,"errmsg":"bad regular expression"}\n',
        b'{"status":1,"errmsg":bad regular expression}\n',  # unquoted, as its source has it
        b'{"status":1, "errmsg": bad  regular\nexpression',
        b'"status":1,"errmsg":bad regular expression}\n',  # and without the brace that an empty namespace loses
    ],
)
def test_a_list_that_fails_says_why(answer: bytes) -> None:
    """An empty list would mean that there is no such series; and the service's message is not even valid JSON."""
    with pytest.raises(QueryRefused, match="bad regular expression") as caught:
        decode_series(answer, URL, "hmi[")
    assert (caught.value.asked, caught.value.status) == ("hmi[", 1)


def test_a_count_is_read() -> None:
    """The published answer."""
    summary = facts("jsoc_recorded_rs_list.json")["answers"][2]["body"]
    assert decode_count(body(summary), URL, "hmi.m_720s") == 1


# Addresses ------------------------------------------------------------------------------------------------------------


def test_an_address_status_is_read() -> None:
    """Newer versions add a number that nobody needs."""
    answer = {"status": 2, "msg": "Email address is valid and registered.", "user_id": 17}
    assert decode_address(body(answer), URL, "me@example.com").is_registered


@pytest.mark.parametrize("status", [-1, -3, -4, -5, -6, -7, 99])
def test_a_fault_of_the_service_is_no_verdict_on_the_address(status: int) -> None:
    """A database that is down does not make somebody unknown."""
    with pytest.raises(AddressCheckFailed, match="no luck; try again later"):
        decode_address(body({"status": status, "msg": "no luck"}), URL, "me@example.com")


def test_the_exports_that_are_pending_are_named() -> None:
    """The service names them in the middle of a sentence; its status is a text here."""
    text = "me@example.com has 2 pending export requests (JSOC_20140325_334, JSOC_20201101_198_IN)."
    found = decode_pending(body({"status": "2", "msg": text}), URL, "me@example.com")
    assert (found.is_pending, found.request_ids) == (True, ("JSOC_20140325_334", "JSOC_20201101_198_IN"))


# Exports --------------------------------------------------------------------------------------------------------------


def recorded(number: int) -> bytes:
    """An answer to an export request that was published."""
    return body(facts("jsoc_recorded_export_answers.json")["answers"][number]["body"])


def test_an_export_that_was_accepted_is_read() -> None:
    """Recorded in 2014."""
    answer = decode_status(recorded(0), URL)
    assert (answer.status, answer.request_id, answer.wait_s) == (2, "JSOC_20140325_334", 10)
    assert (answer.records, answer.files, answer.size_mb) == (4241, None, 64080)


def test_an_export_that_is_too_large_has_no_identifier() -> None:
    """It says VOID, and counts the records where others count the files."""
    answer = decode_status(recorded(1), URL)
    assert (answer.status, answer.request_id, answer.records, answer.size_mb) == (3, None, 12850, 194300)
    assert answer.error == "Request exceeds max byte limit of 100000MB"


def test_a_list_of_files_is_read() -> None:
    """Nulls stand where others write empty texts."""
    answer = decode_status(recorded(3), URL)
    assert (answer.request_id, answer.dir, len(answer.data)) == (None, None, 8)
    assert answer.data[0] == ExportRow(
        "hmi.M_720s[2017.12.03_00:00:00_TAI][3]{magnetogram}", "hmi.M_720s.555172.magnetogram.fits"
    )


def test_a_finished_export_has_texts_for_numbers() -> None:
    """Every value of the index that the service copies is a text, some with blanks around."""
    index = {
        "reqid": "JSOC_20240919_001",
        "method": "url",
        "protocol": "mpg",
        "wait": "",
        "count": " 2",
        "size": "1.25",
        "status": "0 ",
        "dir": "/SUM12/D1234567890/S00000",
        "movie name": "hmi.m_720s.mpg",
        "data": [{"record": "movie of the following data", "filename": "hmi.m_720s.mpg"}, {"filename": None}],
    }
    answer = decode_status(body(index), URL)
    assert (answer.status, answer.request_id, answer.files, answer.size_mb) == (0, "JSOC_20240919_001", 2, 1.25)
    assert (answer.wait_s, answer.movie, answer.tarfile) == (None, "hmi.m_720s.mpg", None)
    assert answer.data[1] == ExportRow("", "")


def test_a_refusal_may_hold_nothing_but_its_reason() -> None:
    """No method, no protocol, no identifier."""
    answer = decode_status(body({"status": 4, "error": "Bad record-set query 'x'."}), URL)
    assert (answer.status, answer.error, answer.method, answer.data) == (4, "Bad record-set query 'x'.", None, ())


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"requestid": "JSOC_1"}, r"\$\.status: a whole number is missing"),
        ({"status": 0, "data": {"record": "x"}}, r"\$\.data: expected a list"),
        ({"status": 0, "data": [{"record": "x"}, {"record": ["y"]}]}, r"\$\.data\[1\]\.record: expected a text"),
        ({"status": 2, "wait": "soon"}, r"\$\.wait: expected a number, got 'soon'"),
    ],
)
def test_a_wrong_field_of_a_status_is_named(document: dict[str, Any], where: str) -> None:
    """A wait for a status without a status would never end."""
    with pytest.raises(MalformedAnswer, match=where):
        decode_status(body(document), URL)
