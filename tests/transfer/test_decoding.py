"""Decoded a block at a time, records are what their constructors make of the same JSON, one by one."""

from __future__ import annotations

import copy
import gc
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async.aurorax.models import Conjunction, DataProduct, DataSource, Ephemeris, Location, PairConjunction
from aurora_async.errors import InvalidInput, MalformedAnswer
from aurora_async.transfer import RecordCutter
from aurora_async.transfer.decoding import as_utc, converted, decoder, light

TIMES = st.sampled_from(
    ["2020-01-01T06:00:00", "2020-01-01T06:00:00.25", "2020-01-01T06:00:00Z", "2020-01-01T07:30:00+01:30"]
)
NUMBERS = st.floats(-180, 360) | st.none()
PLACES = st.fixed_dictionaries({"lat": NUMBERS, "lon": NUMBERS})
SOURCES = st.fixed_dictionaries(
    {"identifier": st.integers(-3, 3)},
    optional={"program": st.sampled_from(["swarm", None]), "metadata": st.dictionaries(st.text(), st.integers())},
)
METADATA = st.none() | st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=2)
EPHEMERIS = st.fixed_dictionaries(
    {"data_source": SOURCES, "epoch": TIMES}
    | {name: st.none() | PLACES for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")},
    optional={"metadata": METADATA},
)
PRODUCTS = st.fixed_dictionaries(
    {"data_source": SOURCES, "data_product_type": st.text(), "start": TIMES, "end": TIMES, "url": st.text()}
)
SPANS: dict[Any, Any] = {
    "conjunction_type": st.just("nbtrace"),
    "start": TIMES,
    "end": TIMES,
    "min_distance": st.floats(0, 9),
    "max_distance": st.floats(0, 9),
}
PAIRS = st.fixed_dictionaries({**SPANS, "e1_source": SOURCES, "e2_source": SOURCES})
CONJUNCTIONS = st.fixed_dictionaries(
    {
        **SPANS,
        "data_sources": st.lists(SOURCES, max_size=2),
        "closest_epoch": TIMES,
        "farthest_epoch": TIMES,
        "events": st.lists(PAIRS, max_size=3),
    }
)
INNER: dict[str, Callable[[Any], Any]] = {
    "data_source": lambda fields: DataSource(**fields),
    "e1_source": lambda fields: DataSource(**fields),
    "e2_source": lambda fields: DataSource(**fields),
    "data_sources": lambda found: [DataSource(**fields) for fields in found],
    "events": lambda found: [constructed(PairConjunction, fields) for fields in found],
    **dict.fromkeys(("start", "end", "epoch", "closest_epoch", "farthest_epoch"), datetime.fromisoformat),
    **dict.fromkeys(
        ("location_geo", "location_gsm", "nbtrace", "sbtrace"),
        lambda fields: None if fields is None else Location(**fields),
    ),
}


def constructed(kind: type[Any], fields: dict[str, Any]) -> Any:
    """The plain way: what somebody gets who calls the constructor with what `json.loads` gave."""
    return kind(**{name: INNER.get(name, lambda value: value)(value) for name, value in fields.items()})


@settings(max_examples=60)
@given(
    st.one_of(
        st.tuples(st.just(Ephemeris), st.lists(EPHEMERIS, max_size=5)),
        st.tuples(st.just(DataProduct), st.lists(PRODUCTS, max_size=5)),
        st.tuples(st.just(Conjunction), st.lists(CONJUNCTIONS, max_size=4)),
    )
)
def test_records_are_what_their_constructors_make(case: tuple[type[Any], list[dict[str, Any]]]) -> None:
    """Null places, times with and without a zone, mixed in one block: no difference, not even in the zone's object."""
    kind, documents = case
    found = decoder(kind)(json.dumps(documents).encode())
    assert found == [constructed(kind, fields) for fields in documents]
    assert found == [converted(fields, kind) for fields in documents]
    for record in found:
        for one in (record, *getattr(record, "events", ())):
            assert type(one) in (kind, PairConjunction)
            for value in attrs.asdict(one, recurse=False).values():
                assert not isinstance(value, datetime) or value.tzinfo is UTC


BEFORE_TIME = "0001-01-01T00:00:00+14:00"


@pytest.mark.parametrize(
    ("kind", "field", "broken", "where"),
    [
        (Ephemeris, "epoch", BEFORE_TIME, ".epoch"),
        (Ephemeris, "epoch", "yesterday", ".epoch"),
        (Ephemeris, "nbtrace", {"lat": "x", "lon": 1}, ".nbtrace.lat"),
        (Conjunction, "closest_epoch", BEFORE_TIME, ".closest_epoch"),
        (Conjunction, "events", [{}, {"end": BEFORE_TIME}], ".events[1].end"),
    ],
)
def test_what_cannot_be_converted_is_named_as_what_cannot_be_decoded(
    kind: type[Any], field: str, broken: Any, where: str
) -> None:
    """Whoever reads the error does not care in which of the two steps it was found."""
    source = {"identifier": 3}
    span: dict[str, Any] = {"conjunction_type": "a", "min_distance": 1, "max_distance": 1}
    span |= dict.fromkeys(("start", "end", "closest_epoch", "farthest_epoch"), "2020-01-01T00:00:00")
    pair = span | {"e1_source": source, "e2_source": source}
    places = {name: {"lat": 1, "lon": 2} for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")}
    good: dict[str, Any] = {
        Ephemeris: {"data_source": source, "epoch": "2020-01-01T00:00:00Z", **places},
        Conjunction: span | {"data_sources": [], "events": [pair]},
    }[kind]
    if field == "events":
        broken = [pair | changes for changes in broken]
    documents = [good] * 3 + [good | {field: broken}] + [good] * 2
    with pytest.raises(msgspec.ValidationError) as plain:
        decoder(kind)(json.dumps(documents).encode())
    assert str(plain.value).endswith(f" - at `$[3]{where}`")
    with pytest.raises(msgspec.ValidationError) as one:
        converted(documents[3], kind)
    assert str(one.value).endswith(f" - at `${where}`")
    cutter = RecordCutter(kind, block_bytes=900)
    with pytest.raises(MalformedAnswer) as told:
        cutter.feed(json.dumps({"result": documents}).encode())
        cutter.finish()
    assert told.value.where == f"$.result[3]{where}"


def test_a_light_class_is_to_its_users_one_of_attrs() -> None:
    """Frozen, compared by its fields, copied, pickled and evolved; a constructor converts what its fields say."""
    source = DataSource(identifier=3, program="swarm")
    place = Location(1.5, 2)
    naive = datetime(2020, 1, 1, 6)
    record = Ephemeris(
        data_source=source, epoch=naive, location_geo=place, location_gsm=place, nbtrace=place, sbtrace=place
    )
    assert record.epoch == naive.replace(tzinfo=UTC)
    assert attrs.evolve(record, epoch=datetime(2021, 1, 1)).epoch == datetime(2021, 1, 1, tzinfo=UTC)
    assert attrs.evolve(record, sbtrace=None).sbtrace == Location(None, None)
    assert pickle.loads(pickle.dumps(record)) == copy.deepcopy(record) == copy.copy(record) == record
    assert hash(place) == hash(Location(1.5, 2))
    assert attrs.asdict(place) == {"lat": 1.5, "lon": 2} and repr(place) == "Location(lat=1.5, lon=2)"
    with pytest.raises(AttributeError):
        record.epoch = naive  # type: ignore[misc]
    with pytest.raises(TypeError, match="epoch"):
        Ephemeris(data_source=source)  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="outside the years"):
        as_utc(datetime.fromisoformat(BEFORE_TIME))


def test_a_light_class_is_not_made_where_something_would_be_lost() -> None:
    """What attrs would do and a structure does not is told when the class is made, not found out later."""
    with pytest.raises(TypeError, match="validators"):

        @light
        class Checked:
            lat: float = attrs.field(validator=attrs.validators.ge(0))

    with pytest.raises(TypeError, match="repr"):

        @light
        class Hidden:
            key: str = attrs.field(repr=False)


def test_the_garbage_collector_has_little_to_look_at() -> None:
    """Why blocks may be large: of all that a record is made of, only its metadata is an object that gc counts."""
    text: dict[str, Any] = {"data_source": {"identifier": 3}, "epoch": "2020-01-01T00:00:00", "metadata": {"a": 1}}
    text |= {name: {"lat": 1, "lon": 2} for name in ("location_geo", "location_gsm", "nbtrace", "sbtrace")}
    (record,) = decoder(Ephemeris)(json.dumps([text]).encode())
    assert not any(map(gc.is_tracked, (record, record.data_source, record.nbtrace, record.metadata)))
