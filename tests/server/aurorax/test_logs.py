"""The texts of the service, to the letter where they are printed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.aurorax.wire import KINDS, decode_query
from aurora_async.server.aurorax import logs
from aurora_async.server.aurorax.find import Counters
from aurora_async.server.aurorax.logs import (
    Line,
    cancelled_line,
    cartesian_product_count,
    conjunction_end_lines,
    conjunction_found_lines,
    conjunction_start_lines,
    conjunction_type_lines,
    describe,
    failed_line,
    normalised_query,
    record_end_lines,
    record_query_lines,
    record_start_lines,
    status_timestamp,
)

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "facts" / "aurorax_log_texts.json").read_text(encoding="utf-8")
)
STATUS = {status["kind"]: status for status in FACTS["statuses"]}

# Data sources in the order of the printed log line (June 2024).
STATIONS = [64, 65, 66, 71, 73, *range(44, 63)]
SWARM = [3, 29, 30]


def normal(document: dict[str, Any], kind: str) -> dict[str, Any]:
    return normalised_query(document, decode_query(document, KINDS[kind]))


def printed(kind: str) -> list[Line]:
    return [Line(entry["level"], entry["summary"]) for entry in STATUS[kind]["logs"]]


def test_a_conjunction_search_logs_the_thirteen_printed_entries() -> None:
    """THEMIS-ASI and Swarm, 2020-01-01, as the service answered in June 2024."""
    request = STATUS["conjunction"]["search_request"]
    document = normal(request["query"], "conjunctions")
    lines = [
        *conjunction_start_lines(request["request_id"]),
        *conjunction_type_lines("nbtrace", document),
        *conjunction_found_lines(Counters(92, 49, 49, 72), [STATIONS, SWARM]),
        *conjunction_end_lines(376747, 0.33, 49),
    ]
    assert lines == printed("conjunction")


def test_an_ephemeris_search_logs_the_seven_printed_entries() -> None:
    """Swarm A, 2019-01-01."""
    request = STATUS["ephemeris"]["search_request"]
    document = normal(request["query"], "ephemeris")
    lines = [
        *record_start_lines("ephemeris", request["request_id"], document),
        *record_query_lines(0.02),
        *record_end_lines(1440, 0.42, 8333523, 0.45),
    ]
    assert lines == printed("ephemeris")


def test_a_data_product_search_logs_the_seven_printed_entries() -> None:
    """TREx RGB, five days of February 2020."""
    request = STATUS["data_product"]["search_request"]
    document = normal(request["query"], "data_products")
    lines = [
        *record_start_lines("data_products", request["request_id"], document),
        *record_query_lines(0.26),
        *record_end_lines(820, 0.12, 2107015, 0.4),
    ]
    assert lines == printed("data_product")


@pytest.mark.parametrize("fact", FACTS["descriptions"], ids=lambda fact: f"{fact['kind']}-{fact['query']['start'][:4]}")
def test_descriptions_are_the_printed_ones(fact: dict[str, Any]) -> None:
    """Blanks, a dangling AND and dropped seconds included."""
    assert describe(fact["kind"], normal(fact["query"], fact["kind"])) == fact["text"]


@pytest.mark.parametrize("kind", ["conjunctions", "ephemeris", "data_products"])
def test_a_query_in_normal_form_is_the_printed_one(kind: str) -> None:
    """The three printed queries are in normal form already, and stay as they are."""
    query = STATUS[logs.REQUEST_TYPES[kind]]["search_request"]["query"]
    assert normal(query, kind) == query


def test_what_a_query_leaves_unsaid_is_filled_in() -> None:
    """Lists empty, filters null, `{}` a filter without expressions, a lost identifier null."""
    sent = {
        "start": "2020-01-01T00:00:00.000Z",
        "end": "2020-01-01T06:59:59.000Z",
        "ground": [{"programs": ["themis-asi"]}],
        "space": [{"programs": ["swarm"], "ephemeris_metadata_filters": {}, "hemisphere": ["northern"]}],
        "max_distances": {"ground1-space1": 500},
    }
    assert normal(sent, "conjunctions") == {
        "request_id": None,
        "start": "2020-01-01T00:00:00",
        "end": "2020-01-01T06:59:59",
        "ground": [
            {"programs": ["themis-asi"], "platforms": [], "instrument_types": [], "ephemeris_metadata_filters": None}
        ],
        "space": [
            {
                "programs": ["swarm"],
                "platforms": [],
                "instrument_types": [],
                "hemisphere": ["northern"],
                "ephemeris_metadata_filters": {"logical_operator": "AND", "expressions": []},
            }
        ],
        "events": [],
        "adhoc": [],
        "conjunction_types": [],
        "max_distances": {"ground1-space1": 500},
        "epoch_search_precision": 60,
    }


EVERYTHING = {
    "request_id": "d8845453-e1ed-47c9-b5ac-0a87e2b6ea90",
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T23:59:59",
    "ground": [
        {
            "programs": ["themis-asi"],
            "ephemeris_metadata_filters": {
                "logical_operator": "or",
                "expressions": [
                    {"key": "calgary_apa_ml_v1", "operator": "in", "values": ["classified as APA"]},
                    {"key": "calgary_apa_ml_v1_confidence", "operator": ">=", "values": ["95"]},
                    {"key": "x", "operator": "between", "values": [1, 2.5]},
                ],
            },
        },
        {"programs": [], "instrument_types": ["RGB ASI"]},
    ],
    "space": [{"programs": ["swarm"], "hemisphere": ["northern"]}],
    "events": [{"platforms": ["toshi"]}],
    "adhoc": [{"locations": [{"lat": 51.05, "lon": -114.07}, {"lat": 60, "lon": 10}]}],
    "conjunction_types": ["nbtrace", "sbtrace"],
    "max_distances": {"ground1-space1": 500, "adhoc1-space1": 300.5, "ground1-ground2": None},
    "subminute_precision": True,
}


def test_everything_a_query_can_say_is_described() -> None:
    """No wording of these is printed anywhere; ours can be read."""
    assert describe("conjunctions", normal(EVERYTHING, "conjunctions")) == (
        "Find conjunctions of type (nbtrace, sbtrace) with epoch precision of 30 seconds between data sources of "
        "ground1=(program in (themis-asi) filtered by metadata (calgary_apa_ml_v1 in (classified as APA) OR "
        "calgary_apa_ml_v1_confidence >= 95 OR x between 1 and 2.5)) AND ground2=(instrument_type in (RGB ASI)) AND "
        "space1=(program in (swarm) AND hemisphere in (northern)) AND "
        "events1=(program in (events) AND platform in (toshi)) AND "
        "adhoc1=(location in ((51.05, -114.07), (60, 10))) "
        "WHERE epochs are between 2020-01-01T00:00:00 AND 2020-01-01T23:59:59 UTC HAVING max distances between "
        "location points of ground1-space1=500 km, adhoc1-space1=300.5 km, ground1-ground2=no limit."
    )


def test_each_limited_pair_is_a_query_of_the_database() -> None:
    """One pair and one type in the printed search; several are counted and listed."""
    lines = conjunction_type_lines("sbtrace", normal(EVERYTHING, "conjunctions"), types=2)
    assert lines[1].summary.startswith("Querying the database 2 times for this overall combination")
    assert lines[1].summary.endswith("This log message will repeat 2 times during this search.")
    assert lines[3].summary == (
        "Querying database for criteria combination [(location in ((51.05, -114.07), (60, 10))), "
        "(program in (swarm) AND hemisphere in (northern))]"
    )
    assert len(lines) == 4


def test_a_normal_form_says_the_same_and_is_its_own_normal_form() -> None:
    """A search that is submitted again from its status asks the same."""
    form = normal(EVERYTHING, "conjunctions")
    assert form["request_id"] == EVERYTHING["request_id"]
    assert form["epoch_search_precision"] == 30
    assert form["ground"][0]["ephemeris_metadata_filters"]["logical_operator"] == "OR"
    assert normal(form, "conjunctions") == form
    assert decode_query(form, KINDS["conjunctions"]) == decode_query(EVERYTHING, KINDS["conjunctions"])


def test_filters_of_2021_and_single_values_become_whole_ones() -> None:
    """A bare list of expressions, an operator in capitals and a value without a list are understood."""
    sent = {
        "start": "2020-01-01",
        "end": "2020-01-02",
        "data_sources": {
            "programs": ["swarm"],
            "ephemeris_metadata_filters": [{"key": "state", "operator": "NOT IN", "values": "definitive"}],
        },
    }
    form = normal(sent, "ephemeris")
    assert form["end"] == "2020-01-02T23:59:59"
    assert form["data_sources"]["ephemeris_metadata_filters"] == {
        "logical_operator": "AND",
        "expressions": [{"key": "state", "operator": "not in", "values": ["definitive"]}],
    }
    text = describe("ephemeris", form)
    assert "ephemeris_metadata_filters [state not in (definitive)])  AND epoch between 2020-01-01T00:00 and" in text


def test_what_was_sent_is_not_changed() -> None:
    """The document belongs to the caller."""
    before = json.dumps(EVERYTHING)
    form = normal(EVERYTHING, "conjunctions")
    form["ground"][0]["programs"].append("x")
    form["max_distances"]["y"] = 1
    assert json.dumps(EVERYTHING) == before


@pytest.mark.parametrize("moment", ["41452", "634", "390293", "000001", "1"])
def test_status_timestamps_drop_trailing_zeros(moment: str) -> None:
    """`.41452` and `.634` are printed."""
    text = f"2024-06-18T01:56:33.{moment}"
    assert status_timestamp(datetime.fromisoformat(f"{text[:20]}{moment.ljust(6, '0')}+00:00")) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_status_timestamps_are_what_they_were(moment: datetime) -> None:
    """Nothing is lost, and whole seconds keep their zeros."""
    text = status_timestamp(moment)
    assert not text.endswith(".")
    assert datetime.fromisoformat((f"{text}.000000" if "." not in text else text.ljust(26, "0")) + "+00:00") == moment


def test_status_timestamps_are_in_utc() -> None:
    """No zone is written, so there is only one."""
    moment = datetime(2024, 6, 18, 1, 0, tzinfo=timezone(timedelta(hours=-6)))
    assert status_timestamp(moment) == "2024-06-18T07:00:00"


def test_the_cartesian_product_counts_tuples() -> None:
    """24 stations and 3 spacecraft are 72; an empty block leaves nothing."""
    assert cartesian_product_count([24, 3]) == 72
    assert cartesian_product_count([24, 0, 3]) == 0


def test_a_log_line_lists_no_more_combinations_than_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten blocks of thirty sources would be 10^14; a source is not combined with itself."""
    monkeypatch.setattr(logs, "MAX_COMBINATIONS", 2)
    line = conjunction_found_lines(Counters(0, 0, 0, 4), [[1, 2], [1, 2]])[2]
    assert line.summary.endswith("combinations: [[1, 2], [2, 1]]")
    line = conjunction_found_lines(Counters(0, 0, 0, 0), [range(1000)] * 10)[2]
    assert line.summary.endswith("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2, 3, 4, 5, 6, 7, 8, 10], ...]")


def test_a_bad_end_is_an_error_that_clients_recognise() -> None:
    """Our client tells a cancelled search from a failed one by the word."""
    assert cancelled_line().level == failed_line("x").level == "error"
    assert "cancel" in cancelled_line().summary
    assert failed_line("no ephemeris").summary == "Search failed: no ephemeris"
