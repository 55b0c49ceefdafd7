"""CSV files: the columns of a DataFrame, known before the first record, and cells that any reader reads the same."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import Text, answer
from support.documents import RECORDS

from aurora_async.aurorax import Conjunction, DataProduct, Ephemeris
from aurora_async.errors import MalformedAnswer
from aurora_async.transfer import TableForm, download, narrowed
from aurora_async.transfer.tables import Records

KINDS = [Conjunction, DataProduct, Ephemeris]
SOURCE = {"identifier": 3, "program": "swarm", "platform": "swarma"}
CONJUNCTION = {
    "conjunction_type": "nbtrace",
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T00:01:30.5",
    "min_distance": 0.1,
    "max_distance": 2e-7,
    "closest_epoch": "2020-01-01T00:00:00",
    "farthest_epoch": "2020-01-01T02:00:00+02:00",
    "data_sources": [SOURCE, SOURCE | {"platform": 'say "b", c'}],
    "events": [],
}


async def text_of(found: list[Any], table: TableForm) -> str:
    """The CSV file of these records."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "file.csv"
        saved = await download(Text(answer(found)), target, format="csv", table=table, expected_records=len(found))
        assert saved.records == len(found)
        return target.read_bytes().decode()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def cell(value: Any) -> str:
    """What a value of a DataFrame is in a CSV file, but for JSON."""
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime().replace(tzinfo=None).isoformat() + "Z"
    return str(value)


@pytest.mark.parametrize("record_type", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_file_holds_what_to_pandas_gives(record_type: type[Any], data: st.DataObject) -> None:
    """The same columns in the same order, and cells that say the same."""
    found = data.draw(st.lists(RECORDS[record_type], max_size=4))
    records = msgspec.json.decode(json.dumps(found), type=list[record_type])  # type: ignore[valid-type]
    frame = Records(records, record_type=record_type).to_pandas()
    text = asyncio.run(text_of(found, TableForm(record_type)))
    assert next(csv.reader(io.StringIO(text, newline=""))) == list(frame.columns)
    for row, record in zip(rows(text), frame.to_dict("records"), strict=True):
        for name, value in record.items():
            if name == "metadata" and value is not None:
                assert json.loads(row[name]) == value
            else:
                assert row[name] == cell(value)


async def test_a_file_byte_for_byte() -> None:
    """RFC 4180: lines end in CRLF, quotes are doubled; times end in Z, whatever zone they came in."""
    assert await text_of([CONJUNCTION], TableForm(Conjunction)) == (
        "conjunction_type,start,end,"
        "identifier_1,program_1,platform_1,instrument_type_1,source_type_1,display_name_1,"
        "identifier_2,program_2,platform_2,instrument_type_2,source_type_2,display_name_2,"
        "min_distance,max_distance,closest_epoch,farthest_epoch\r\n"
        "nbtrace,2020-01-01T00:00:00Z,2020-01-01T00:01:30.500000Z,"
        '3,swarm,swarma,,,,3,swarm,"say ""b"", c",,,,'
        "0.1,2e-07,2020-01-01T00:00:00Z,2020-01-01T00:00:00Z\r\n"
    )


@pytest.mark.parametrize(("places", "expected"), [(None, 2), (3, 3)])
async def test_nothing_found_has_the_header_of_something(places: int | None, expected: int) -> None:
    """The query says how many data sources a conjunction has; without one there are at least two."""
    text = await text_of([], TableForm(Conjunction, places))
    assert text.count("\r\n") == 1
    assert f"program_{expected}," in text
    assert f"program_{expected + 1}" not in text


async def test_the_first_record_decides_how_many_data_sources_there_are() -> None:
    """Where the query is not known: a later conjunction of the same request has as many, or something is wrong."""
    three = CONJUNCTION | {"data_sources": [SOURCE] * 3}
    found = rows(await text_of([three, CONJUNCTION], TableForm(Conjunction)))
    assert [row["program_3"] for row in found] == ["swarm", ""]
    with pytest.raises(MalformedAnswer, match="3 entries, where the file has columns for 2") as caught:
        await text_of([CONJUNCTION] * 1000 + [three], TableForm(Conjunction))
    assert caught.value.where == "$.result[1000].data_sources"


async def test_a_response_format_has_columns_of_its_own() -> None:
    """Known from its tree: also the pairs of a conjunction, which no other table has, as JSON."""
    wanted = {"start": True, "data_sources": {"program": True}, "events": {"min_distance": True}}
    table = TableForm(narrowed(Conjunction, wanted))
    text = await text_of(
        [{"start": "2020-01-01T00:00:00", "data_sources": [{"program": "a"}, {}], "events": [{"min_distance": 1.5}]}],
        table,
    )
    assert text == ('start,program_1,program_2,events\r\n2020-01-01T00:00:00Z,a,,"[{""min_distance"":1.5}]"\r\n')
