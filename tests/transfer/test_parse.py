"""A small body in memory is understood as one that is cut while it comes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import integers, sampled_from

from aurora_async.aurorax.models import Ephemeris
from aurora_async.errors import AuroraError
from aurora_async.transfer import parse
from aurora_async.transfer.cutter import RecordCutter

RECORD = (
    b'{"data_source":{"identifier":3,"program":"swarm","platform":"swarma","instrument_type":"footprint",'
    b'"source_type":"leo","display_name":"Swarm A"},"epoch":"2020-01-01T00:00:00",'
    b'"location_geo":{"lat":1.0,"lon":2.0},"metadata":{"a":"}]"}}'
)
BODIES = [
    b'{"result":[%b,%b]}' % (RECORD, RECORD),
    b' {"result": [%b ] , "more": 1}\n' % RECORD,
    b'{"result":[]}',
    b'{"result":[],"result":[]}',
    b'{"result":[%b],"x":[1]}' % RECORD,
    b'{"result":{"a":[]}}',
    b'{"result":null}',
    b'{"resul":[]}',
    b'{"error":"NotFound"}',
    b"[%b]" % RECORD,
    b"[]",
    b"[1]",
    b"",
]


@given(
    body=sampled_from(BODIES), at=integers(0, 400), instead=sampled_from([None, b"", b"]", b"}", b",", b"\xff", b"1"])
)
@settings(max_examples=600)
def test_what_is_parsed_at_once_is_what_is_cut(body: bytes, at: int, instead: bytes | None) -> None:
    """The same records, or the same error, whatever is wrong with the text."""
    if instead is not None:
        body = body[:at] + instead + body[at + 1 :]
    for record_type in (Ephemeris, None):
        assert outcome(parse, body, record_type) == outcome(cut, body, record_type)


def cut(text: bytes, record_type: Any, *, url: str) -> list[Any]:
    cutter: RecordCutter[Any] = RecordCutter(record_type, url=url)
    return cutter.feed(text) + cutter.finish()


def outcome(read: Any, body: bytes, record_type: Any) -> object:
    try:
        return read(body, record_type, url="here")
    except AuroraError as error:
        return type(error), str(error)
