"""On the way to columns each data source is decoded once and no metadata at all: the columns do not show it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async.aurorax.models import Conjunction, DataProduct, Ephemeris
from aurora_async.errors import MalformedAnswer
from aurora_async.transfer import RecordCutter
from aurora_async.transfer import _columnar as columnar_module
from aurora_async.transfer._arrow import arrow_schema, record_batch, text_columns
from aurora_async.transfer._columnar import columnar, columnar_decoder

SOURCES = st.sampled_from(
    [
        {"identifier": 3, "program": "swarm", "metadata": {"a": {"b": [1, " "]}}, "maintainers": ["é", ""]},
        {"identifier": 3, "program": "swarm"},
        {"identifier": 4, "program": None, "stats": {"ephemeris_count": 1, "data_product_count": 2}},
    ]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | st.text(max_size=5)
METADATA = st.none() | st.dictionaries(st.text(max_size=5), VALUES | st.lists(VALUES, max_size=2), max_size=3)
TIMES = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(datetime.isoformat) | st.just(
    datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=1))).isoformat()
)
PLACES = st.none() | st.fixed_dictionaries(dict.fromkeys(("lat", "lon"), st.none() | st.floats(-180, 360)))
RECORDS = st.fixed_dictionaries(
    {"data_source": SOURCES, "epoch": TIMES}
    | dict.fromkeys(("location_geo", "location_gsm", "nbtrace", "sbtrace"), PLACES),
    optional={"metadata": METADATA, "unknown": METADATA},
)


@settings(max_examples=60)
@given(st.lists(RECORDS, max_size=6), st.booleans())
def test_columns_are_those_of_the_plain_way(found: list[dict[str, Any]], compact: bool) -> None:
    """Whatever is shared or left as text; white space between the values of metadata says nothing and is dropped."""
    text = json.dumps(found, separators=(",", ":") if compact else None, ensure_ascii=False).encode()
    plain = msgspec.json.decode(msgspec.json.format(text, indent=-1), type=list[columnar(Ephemeris)])  # type: ignore[misc]
    got = record_batch(columnar_decoder(Ephemeris)(text), Ephemeris)
    got.validate(full=True)
    assert got.equals(record_batch(plain, Ephemeris), check_metadata=True)


GOOD: dict[str, Any] = {
    "data_source": {"identifier": 3},
    "epoch": "2020-01-01T00:00:00",
    "metadata": {},
    **{name: {"lat": 1, "lon": 2} for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")},
}


@pytest.mark.parametrize(
    "broken",
    [
        {"data_source": None},
        {"data_source": {"identifier": "3"}},
        {"data_source": {"identifier": 2**70}},
        {"data_source": {"identifier": 3, "stats": {"ephemeris_count": None}}},
        {"metadata": [1]},
        {"metadata": "{}"},
        {"epoch": None},
        {"nbtrace": {"lat": 1}},
    ],
)
def test_what_is_wrong_is_said_as_the_plain_way_says_it(broken: dict[str, Any]) -> None:
    """Which value of which record, though it was the fast way that stumbled."""
    documents = [GOOD] * 3 + [GOOD | broken, GOOD]
    told = []
    for decode in (columnar_decoder(Ephemeris), msgspec.json.Decoder(list[columnar(Ephemeris)]).decode):  # type: ignore[misc]
        cutter: RecordCutter[Any] = RecordCutter(decode=decode, block_bytes=900)
        with pytest.raises(MalformedAnswer) as caught:
            cutter.feed(json.dumps({"result": documents}).encode())
            cutter.finish()
        told.append((caught.value.where, str(caught.value)))
    assert told[0] == told[1]
    assert told[0][0].startswith("$.result[3].")


def test_data_sources_are_shared_and_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million records of one data source make one object; an answer in which none repeats fills no memory."""
    decode = columnar_decoder(Ephemeris)
    one, other = decode(json.dumps([GOOD] * 2).encode())
    assert one.data_source is other.data_source is decode(json.dumps([GOOD]).encode())[0].data_source
    monkeypatch.setattr(columnar_module, "_MOST_KNOWN", 4)
    known = columnar_module._Known(dict[str, int])
    for number in range(20):
        assert known[b'{"a":%d}' % number] is known[b'{"a":%d}' % number]
        assert len(known) <= 4


def test_only_columns_of_text_get_a_dictionary() -> None:
    """The paths are those that Parquet knows: a wrong one would silently leave a column without."""
    assert text_columns(arrow_schema(DataProduct))[:3] == ["data_source.program", "data_source.platform",
                                                           "data_source.instrument_type"]  # fmt: skip
    assert "url" in text_columns(arrow_schema(DataProduct))
    assert text_columns(arrow_schema(Conjunction)) == ["conjunction_type"]


def test_times_keep_their_instant() -> None:
    """In one block some have a zone and some none."""
    epochs = ["2020-01-01T06:00:00", "2020-01-01T07:30:00+01:30", "1969-12-31T23:59:59.999999Z"]
    text = json.dumps([GOOD | {"epoch": epoch} for epoch in epochs]).encode()
    batch = record_batch(columnar_decoder(Ephemeris)(text), Ephemeris)
    instant = datetime(2020, 1, 1, 6, tzinfo=UTC)
    assert batch.column("epoch").to_pylist() == [
        instant,
        instant,
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]
