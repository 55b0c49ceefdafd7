"""Whatever the answer, however it arrives: the same records as `json.loads`, or an error."""

from __future__ import annotations

import gc
import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_async.errors import IncompleteBody, MalformedAnswer, ResultMissing
from aurora_async.transfer import RecordCounter, RecordCutter
from aurora_async.transfer import cutter as cutter_module

# What JSON can say and both sides agree on: no lone surrogates, no numbers beyond a double.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["},{", '"},{"', "]}", "\\", '\\"', "[[{{", "},", "]", '{"result":[1]}', "\u2028é\U0001f30c", "\x7f"]
)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts | st.sampled_from(["start", "a"]), values, max_size=4)
record_lists = st.lists(values, max_size=12) | st.lists(objects, max_size=12)
blanks = st.text(" \t\r\n", max_size=3)


def write(value: Any, blank: Iterator[str]) -> str:
    """JSON with white space wherever the grammar allows it."""
    before, after = next(blank), next(blank)
    if isinstance(value, dict):
        inside = ",".join(
            f"{next(blank)}{json.dumps(key)}{next(blank)}:{write(inner, blank)}" for key, inner in value.items()
        )
        return f"{before}{{{inside or next(blank)}}}{after}"
    if isinstance(value, list):
        return f"{before}[{','.join(write(inner, blank) for inner in value) or next(blank)}]{after}"
    return before + json.dumps(value, ensure_ascii=len(before) % 2 == 0) + after


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, list[Any], dict[str, Any]]:
    """Text of an answer, its records, and its other keys."""
    found = draw(record_lists)
    rng = random.Random(draw(st.integers(0, 2**32)))
    pool = draw(st.lists(blanks, min_size=1, max_size=5))
    blank = iter(lambda: rng.choice(pool), None)
    bom = draw(st.sampled_from(["", "\ufeff"]))
    if draw(st.booleans()):
        return (bom + write(found, blank)).encode(), found, {}
    rest = draw(st.dictionaries(texts.filter(lambda key: key != "result"), values, max_size=3))
    at = draw(st.integers(0, len(rest)))
    keys = list(rest)
    whole = {key: rest[key] for key in keys[:at]} | {"result": found} | {key: rest[key] for key in keys[at:]}
    return (bom + write(whole, blank)).encode(), found, rest


def chunked(text: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut a text into chunks of these sizes, over and over."""
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        yield text[at : at + size]
        at, turn = at + size, turn + 1


def cut(text: bytes, sizes: list[int], record_type: Any = None, **settings: Any) -> tuple[list[Any], RecordCutter[Any]]:
    """Feed a text in chunks; return all records and the cutter."""
    cutter: RecordCutter[Any] = RecordCutter(record_type, **settings)
    found = [record for chunk in chunked(text, sizes) for record in cutter.feed(chunk)]
    return found + cutter.finish(), cutter


def same(left: object, right: object) -> bool:
    """Equal in value and in type: 1 is not 1.0 is not True."""
    return json.dumps(left) == json.dumps(right)


chunk_sizes = st.lists(st.integers(1, 64), min_size=1, max_size=5)
block_sizes = st.sampled_from([1, 7, 40, 300, 128 * 1024])


@settings(max_examples=80)
@given(documents(), chunk_sizes, block_sizes)
def test_records_and_rest_are_those_of_json_loads(
    document: tuple[bytes, list[Any], dict[str, Any]], sizes: list[int], block_bytes: int
) -> None:
    """Any JSON, any white space, any chunks, blocks so small that each border is searched for."""
    text, found, rest = document
    records, cutter = cut(text, sizes, block_bytes=block_bytes)
    assert same(records, found)
    assert same(cutter.rest, rest)
    assert cutter.count == len(found)
    assert cutter.buffered_bytes == 0


@settings(max_examples=40)
@given(documents(), chunk_sizes, block_sizes)
def test_raw_records_are_the_text_the_server_sent(
    document: tuple[bytes, list[Any], dict[str, Any]], sizes: list[int], block_bytes: int
) -> None:
    """Raw mode loses nothing, so forms can be made from it without decoding numbers."""
    text, found, _ = document
    raws, _ = cut(text, sizes, msgspec.Raw, block_bytes=block_bytes)
    assert same([json.loads(bytes(raw)) for raw in raws], found)
    assert all(bytes(raw) in text for raw in raws)


@settings(max_examples=40)
@given(documents(), block_sizes, st.data())
def test_a_torn_document_always_raises(
    document: tuple[bytes, list[Any], dict[str, Any]], block_bytes: int, data: st.DataObject
) -> None:
    """A connection that ends early must never look like a shorter result."""
    text = document[0].rstrip()
    torn = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises((IncompleteBody, MalformedAnswer)):
        cut(torn, [17], block_bytes=block_bytes)


@pytest.mark.parametrize("record_type", [None, msgspec.Raw])
@pytest.mark.parametrize("block_bytes", [20, 128 * 1024])
def test_torn_at_every_byte_of_a_real_record(record_type: Any, block_bytes: int) -> None:
    """Every single byte, for the shape the service sends: always `IncompleteBody`, never a wrong guess of the kind."""
    record = '{"start":"2020-01-01T00:00:00","d":[{"id":3},{"id":44}],"min":284.42085025713,"t":"a},{\\"}é"}'
    text = ('{"a":{"b":[1]},"result":[' + ", ".join([record] * 3) + '],"z":"1"}').encode()
    for at in range(len(text)):
        with pytest.raises(IncompleteBody):
            cut(text[:at], [9], record_type, block_bytes=block_bytes)
    assert len(cut(text, [9], record_type, block_bytes=block_bytes)[0]) == 3


@pytest.mark.parametrize(
    "text",
    [
        '{"result":[1,]}',
        '{"result":[,1]}',
        '{"result":[1,,2]}',
        '{"result":[,]}',
        '{"result":[1 2]}',
        '{"result":[1}]',
        '{"result":[{"a":1]}}',
        '{"result":[1]]',
        '{"result":[1]} x',
        '{"result":[1]}{"result":[1]}',
        '[1] "',
        '{"result":[1],}',
        '{"result":[1],"a"}',
        '{"result":[1],"a":}',
        '{"result":[1],"a":tru}',
        '{"result":[1],"result":[2]}',
        '{"result":[1] "a":2}',
        '{"result":[NaN]}',
        '{"result":[01]}',
        '{"result":["a\nb"]}',
        '{"result":[{"a":1,}]}',
        "{,}",
        "{1:2}",
        '{"a" 1}',
        "<html>Bad gateway</html>",
        "null",
        '"result"',
        '{"result":null}',
        '{"result":{"a":1}}',
        '{"result":5}',
        "\x00",
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("block_bytes", [1, 128 * 1024])
def test_what_is_not_json_or_not_an_answer_is_refused(text: str, size: int, block_bytes: int) -> None:
    """Trailing garbage, missing values, a second result: each is a server (or proxy) that went wrong."""
    with pytest.raises(MalformedAnswer):
        cut(text.encode(), [size], block_bytes=block_bytes)


@pytest.mark.parametrize("record_type", [None, msgspec.Raw])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3(", b"\xed\xa0\x80"])
def test_text_that_is_not_utf8_is_refused(record_type: Any, bad: bytes) -> None:
    """Also where nobody looks into strings."""
    with pytest.raises(MalformedAnswer) as caught:
        cut(b'{"result":["ok","' + bad + b'"]}', [5], record_type)
    assert caught.value.where == "$.result[1]"


def test_a_document_without_result_is_handed_to_the_caller() -> None:
    """The real service says so, with status 200, that the file of a result has been deleted."""
    text = b'{"error": {"error_code": "NotFound", "error_message": "File not found"}}'
    with pytest.raises(ResultMissing) as caught:
        cut(text, [3], url="https://example.org/data")
    assert caught.value.rest == json.loads(text)
    assert "NotFound" in str(caught.value)
    with pytest.raises(ResultMissing):
        cut(b"{}", [1])


def test_the_key_may_be_spelled_with_escapes() -> None:
    """A key is its value, not its spelling."""
    assert cut(b'{"\\u0072esult":[7]}', [1])[0] == [7]


@attrs.frozen
class Place:
    lat: float | None
    lon: float | None


@attrs.frozen
class Ephemeris:
    epoch: datetime
    place: Place
    metadata: dict[str, Any]
    checked: bool = False

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "checked", True)


def ephemeris(minute: int, **changes: Any) -> dict[str, Any]:
    place = {"lat": minute / 7, "lon": None, "height": 1}
    epoch = f"2020-01-01T{minute // 60 % 24:02d}:{minute % 60:02d}:00"
    return {"epoch": epoch, "place": place, "metadata": {"n": minute}, "unknown": [{}, {}]} | changes


def test_records_become_attrs_objects() -> None:
    """Unknown fields are tolerated, and `__attrs_post_init__` runs."""
    text = json.dumps({"result": [ephemeris(minute) for minute in range(500)]}).encode()
    found, _ = cut(text, [1000], Ephemeris)
    assert len(found) == 500
    assert found[61] == Ephemeris(datetime(2020, 1, 1, 1, 1), Place(61 / 7, None), {"n": 61})
    assert all(record.checked for record in found)


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ({"epoch": 5}, ".epoch"),
        ({"epoch": "yesterday"}, ".epoch"),
        ({"place": {"lat": "x", "lon": 1}}, ".place.lat"),
        ({"place": {"lat": 1}}, ".place"),
        ({"place": None}, ".place"),
        ({"metadata": []}, ".metadata"),
    ],
)
@pytest.mark.parametrize("index", [0, 3, 900])
@pytest.mark.parametrize("bare", [False, True])
def test_a_wrong_field_is_named_with_its_place_in_the_whole_document(
    broken: dict[str, Any], where: str, index: int, bare: bool
) -> None:
    """The index counts from the beginning of the answer, not of the block."""
    found = [ephemeris(minute) for minute in range(1000)]
    found[index] = ephemeris(index, **broken)
    text = json.dumps(found if bare else {"result": found}).encode()
    with pytest.raises(MalformedAnswer) as caught:
        cut(text, [65536], Ephemeris, url="https://example.org/data")
    assert caught.value.where == ("$" if bare else "$.result") + f"[{index}]{where}"
    assert caught.value.url == "https://example.org/data"


def test_a_missing_field_and_a_broken_record_are_named() -> None:
    """Syntax errors have no path of their own; the index of the record is found for them."""
    good = json.dumps(ephemeris(1))
    with pytest.raises(MalformedAnswer, match="missing required field `epoch`") as caught:
        cut(f'{{"result":[{good},{{"metadata":{{}}}}]}}'.encode(), [100], Ephemeris)
    assert caught.value.where == "$.result[1]"
    with pytest.raises(MalformedAnswer) as caught:
        cut(f'{{"result":[{good},{good},{{"a":1x}},{good}]}}'.encode(), [100], block_bytes=100)
    assert caught.value.where == "$.result[2]"


def test_a_fixed_length_list_does_not_mislead_a_guess() -> None:
    """A wrong guess may end in a type error instead of a syntax error; it must not be reported."""

    @attrs.frozen
    class Pair:
        ends: tuple[dict[str, int], dict[str, int]]

    text = json.dumps({"result": [{"ends": [{"a": 1}, {"a": 2}]}] * 400}).encode()
    for block_bytes in range(60, 120):
        assert len(cut(text, [block_bytes], Pair, block_bytes=block_bytes)[0]) == 400


def test_a_record_beyond_the_bound_is_refused_and_one_within_is_not() -> None:
    """The bound is what keeps memory constant when a server sends one endless record."""
    limits: dict[str, Any] = {"max_record_bytes": 200_000, "block_bytes": 10_000}
    fits = json.dumps({"result": [{"a": 1}, {"text": "x" * 190_000}, {"b": 2}]}).encode()
    assert len(cut(fits, [4096], **limits)[0]) == 3
    too_long = json.dumps({"result": [{"a": 1}, {"text": "x" * 1_000_000}, {"b": 2}]}).encode()
    cutter: RecordCutter[Any] = RecordCutter(**limits)
    with pytest.raises(MalformedAnswer, match="longer than 200000 bytes") as caught:
        for chunk in chunked(too_long, [4096]):
            cutter.feed(chunk)
            assert cutter.buffered_bytes <= 220_000
    assert caught.value.where == "$.result[1]"


def test_much_beside_the_result_is_refused() -> None:
    """The rest is kept in memory, so it is bounded too."""
    rest = {f"key{number}": "x" * 1000 for number in range(100)}
    assert len(cut(json.dumps(rest | {"result": []}).encode(), [999])[1].rest) == 100
    much: list[dict[str, Any]] = [rest | {"result": []}, {"result": []} | rest]
    for document in (*much, {"a": "x" * 100_000}, {"a": [[1]] * 30_000}):
        with pytest.raises(MalformedAnswer, match="beside the records"):
            cut(json.dumps(document).encode(), [999], max_rest_bytes=50_000, block_bytes=1000)


def test_endless_white_space_takes_no_memory() -> None:
    """White space is no content, wherever it stands."""
    cutter: RecordCutter[Any] = RecordCutter()
    for start in (b"", b"{", b'"result":[', b"]", b"}"):
        found = cutter.feed(start)
        for _ in range(30):
            found += cutter.feed(b" \n" * 50_000)
            assert cutter.buffered_bytes < 1_000_000
        assert found == []
    assert cutter.finish() == []


def test_records_nested_too_deeply_are_refused() -> None:
    """A stack overflow is an attack, not a crash."""
    for record_type in (None, msgspec.Raw):
        with pytest.raises(MalformedAnswer, match="nested too deeply"):
            cut(b'{"result":[' + b"[" * 20_000 + b"]" * 20_000 + b"]}", [5000], record_type)
    with pytest.raises(MalformedAnswer):
        cut(b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b',"result":[]}', [5000])


MiB = 1024 * 1024
hostile: dict[str, list[Any]] = {
    "borders in strings": [{"a": "},{" * (4 * MiB)}],
    "learned borders in strings": [{"a": 1}, {"a": 1}] * 700 + [{"b": '}},{"a"},{"a"' * 500_000}] + [{"a": 1}],
    "braces in strings": [{"a": "{"}, {"a": "},{"}, {"a": "}}}},"}] * 40_000,
    "escaped quotes": [{"a": '\\"},{"' * 1_500_000}],
    "commas in strings": ["," * (5 * MiB), ",,", ","] * 2,
    "lists of lists": [[[1, 2], [3, "],["]]] * 60_000,
    "deep and wide": [{"a": [{"b": [{"c": 1}] * 30}] * 30}] * 140,
    "one flat giant": [{f"k{number}": "},{" for number in range(80_000)}],
    "mixed": [1, {"a": 1}, [1], "},{", None] * 50_000,
    "giants in a row": [{"a": [{"b": 1}] * 50_000}] * 3,
}


@pytest.mark.parametrize("name", hostile)
def test_no_document_makes_the_cutter_slow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: every byte is decoded and scanned at most a few times, whatever the answer is made of."""
    scanned = 0
    scan = cutter_module._scan

    def counted(text: bytes | bytearray, *args: Any, **options: Any) -> tuple[int, int]:
        nonlocal scanned
        scanned += len(text)
        return scan(text, *args, **options)

    monkeypatch.setattr(cutter_module, "_scan", counted)
    found = hostile[name]
    text = json.dumps({"result": found}, separators=(",", ":")).encode()
    assert len(text) > 800_000
    cutter: RecordCutter[Any] = RecordCutter(msgspec.Raw)
    count = sum(len(cutter.feed(chunk)) for chunk in chunked(text, [65536])) + len(cutter.finish())
    assert count == len(found)
    assert cutter.decoded_bytes <= 6 * len(text)
    assert scanned <= 3 * len(text)
    assert cutter.decodes <= 6 * (len(text) / (40 * 1024) + 10)


def test_an_unclosed_string_is_not_searched_again_and_again() -> None:
    """The scanner starts over only when the buffer has doubled."""
    cutter: RecordCutter[Any] = RecordCutter()
    cutter.feed(b'{"result":[{"a":"')
    for _ in range(160):
        cutter.feed(b'},{\\"' * 13_000)
    assert cutter.decodes < 40
    with pytest.raises(IncompleteBody):
        cutter.finish()


@pytest.mark.parametrize("indent", [None, 0, 1, 2, 4])
@pytest.mark.parametrize("nested", [False, True])
def test_real_layouts_are_cut_at_the_first_guess(indent: int | None, nested: bool) -> None:
    """Speed: one decode a block, whether the server's JSON is compact or laid out, flat or nested."""
    if nested:
        events = [{"kind": "nbtrace", "start": "a", "min": 0.5}, {"kind": "nbtrace", "start": "b", "min": None}]
        found = [{"kind": "nbtrace", "start": str(n), "events": events * (1 + n % 3)} for n in range(2500)]
    else:
        found = [ephemeris(minute) for minute in range(2500)]
    text = json.dumps({"result": found}, indent=indent).encode()
    records, cutter = cut(text, [65536])
    assert records == found
    assert cutter.decoded_bytes < 1.05 * len(text) + 128 * 1024


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool) -> None:
    """Its pauses are off while a block is decoded, and never longer, whatever happens there."""
    (gc.enable if enabled else gc.disable)()
    try:
        cut(json.dumps({"result": [{}] * 100}).encode(), [10])
        assert gc.isenabled() is enabled
        with pytest.raises(MalformedAnswer):
            cut(b'{"result":[tru]}', [10])
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_memoryviews_and_bytearrays_are_chunks_too() -> None:
    """The chunk is copied: its owner may reuse the memory at once."""
    chunk = bytearray(b'{"result":[1,2')
    cutter: RecordCutter[Any] = RecordCutter()
    found = cutter.feed(memoryview(chunk))
    chunk[:] = b"x" * len(chunk)
    assert found + cutter.feed(b"]}") + cutter.finish() == [1, 2]


@settings(max_examples=30)
@given(documents(), chunk_sizes)
def test_the_counter_counts(document: tuple[bytes, list[Any], dict[str, Any]], sizes: list[int]) -> None:
    """The cheap check of a download comes to the same number."""
    text, found, rest = document
    counter = RecordCounter()
    for chunk in chunked(text, sizes):
        counter.feed(chunk)
    counter.finish()
    assert counter.records == len(found)
    assert same(counter.rest, rest)
