"""Columns that are filled block by block hold what they hold when all comes at once."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.documents import RECORDS

from aurora_async.aurorax import Conjunction, DataProduct, Ephemeris
from aurora_async.errors import InvalidInput
from aurora_async.transfer import _growing as growing_module
from aurora_async.transfer._arrow import Columns, record_batch
from aurora_async.transfer._columnar import columnar_decoder
from aurora_async.transfer.tables import table


@pytest.mark.parametrize("record_type", [Conjunction, DataProduct, Ephemeris])
@settings(max_examples=30)
@given(data=st.data())
def test_blocks_add_up(record_type: type[Any], data: st.DataObject) -> None:
    """Wherever it is cut: gaps keep their places, and a data source that was forgotten meanwhile is learned again."""
    found = data.draw(st.lists(RECORDS[record_type], min_size=1, max_size=6))
    decode = columnar_decoder(record_type)
    sizes = data.draw(st.lists(st.integers(0, 3), max_size=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing_module, "_MOST_KNOWN", 1)
        columns, left = Columns(record_type), found
        for size in (*sizes, len(found)):
            columns.extend(decode(json.dumps(left[:size]).encode()))
            left = left[size:]
        grown = columns.finish()
    grown.validate(full=True)
    assert grown.equals(record_batch(decode(json.dumps(found).encode()), record_type), check_metadata=True)


@attrs.frozen
class Source:
    """Unlike a place, one without a name is not the same as none."""

    name: str


@table(inline=("source",))
@attrs.frozen
class Row:
    """A column of each kind."""

    source: Source | None = None
    moment: datetime | date | None = None
    flag: bool | None = None
    count: int | None = None
    number: float | None = None
    text: str | None = None
    texts: list[str] | None = None
    anything: Any = None


def test_what_goes_in_comes_out() -> None:
    """Whatever the kind, and wherever the gaps are: pyarrow reads the buffers as the values that were put in."""
    moment = datetime(2020, 1, 1, 1, 2, 3, 4, tzinfo=UTC)
    full = Row(Source("a"), moment, True, -(2**63), 0.5, "é,\0", ["", "ü"], {"a": [1]})
    rows = [full, Row(), Row(), full, Row(moment=date(1969, 12, 31), texts=[])]
    columns = Columns(Row)
    for block in ([], rows[:1], rows[1:3], rows[3:]):
        columns.extend(block)
    batch = columns.finish()
    batch.validate(full=True)
    wanted = {
        "source": [{"name": "a"}, None, None, {"name": "a"}, None],
        "moment": [moment, None, None, moment, datetime(1969, 12, 31, tzinfo=UTC)],
        "flag": [True, None, None, True, None],
        "count": [-(2**63), None, None, -(2**63), None],
        "number": [0.5, None, None, 0.5, None],
        "text": ["é,\0", None, None, "é,\0", None],
        "texts": [["", "ü"], None, None, ["", "ü"], []],
        "anything": ['{"a":[1]}', None, None, '{"a":[1]}', None],
    }
    assert {name: batch.column(name).to_pylist() for name in wanted} == wanted


@pytest.mark.parametrize(
    "wrong",
    [{"count": 2**63}, {"count": 0.5}, {"number": "a"}, {"moment": "2020"}, {"flag": "yes"}, {"text": "\ud800"}],
)
def test_what_does_not_fit_is_refused_beside_gaps_too(wrong: dict[str, Any]) -> None:
    """A gap is no excuse: the column that the value was for is named."""
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        record_batch([Row(), Row(**wrong)], Row)
