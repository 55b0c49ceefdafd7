"""Bodies to files and to records: the same content in every form, and an error for anything less than all of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import Text, answer

from aurora_async.errors import IncompleteBody, InvalidInput, MalformedAnswer, ResultMissing, WrongContent
from aurora_async.transfer import Format, blocks, download, records
from aurora_async.transfer.sink import Saved

ROOT = Path(__file__).parents[2]
forms = sys.modules["aurora_async.transfer._forms"]


def conjunctions(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Records in no order, some of the same start."""
    rng = random.Random(seed)
    return [
        {
            "start": f"2020-01-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:00:00",
            "number": number,
            "min_distance": rng.uniform(0, 500),
            "events": [{"start": "2020", "place": "Fort \u201cé\u201d / Smith\\"}] * rng.randint(0, 4),
        }
        for number in range(count)
    ]


def as_the_official_command_line(found: list[Any], sort_key: str) -> bytes:
    """pyaurorax 1.22 `cli/search/helpers.py`: sorted by the key, then `json.dump(data, fp, indent=2)`."""
    return json.dumps(sorted(found, key=lambda record: record[sort_key]), indent=2).encode()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FORMS: list[Format] = ["body", "json", "jsonl"]


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, windows, runs and pieces so small that a short body needs many of each."""
    monkeypatch.setattr(forms, "_WINDOW_BYTES", 3000)
    monkeypatch.setattr(forms, "_RUNS_BYTES", 3000)
    monkeypatch.setattr(forms, "_RUN_BYTES", 100)
    monkeypatch.setattr(forms, "_MERGED_BYTES", 2000)


async def saved_as(text: bytes, folder: Path, format: Format, **settings: Any) -> tuple[bytes, Saved]:
    saved = await download(Text(text), folder / "file", format=format, **settings)
    assert names(folder) == ["file"]
    written = saved.path.read_bytes()
    assert saved.bytes == len(written)
    assert saved.sha256 == hashlib.sha256(written).hexdigest()
    return written, saved


@pytest.mark.parametrize("layout", [{}, {"separators": (",", ":")}, {"indent": 4}, {"ensure_ascii": False}])
async def test_forms_of_an_unordered_result(tmp_path: Path, layout: dict[str, Any]) -> None:
    """The three forms, byte for byte, whatever the layout of the server."""
    found = conjunctions(2000)
    text = answer(found, **layout)
    written, saved = await saved_as(text, tmp_path, "body", expected_records=2000)
    assert written == text
    assert saved.records == 2000
    written, saved = await saved_as(text, tmp_path, "json", sort_key="start")
    assert written == as_the_official_command_line(found, "start")
    assert saved.records == 2000
    written, saved = await saved_as(text, tmp_path, "jsonl")
    compact = {"separators": (",", ":"), "ensure_ascii": layout.get("ensure_ascii", True)}
    assert written.decode() == "".join(json.dumps(record, **compact) + "\n" for record in found)
    assert saved.records == 2000


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("kind", ["random", "reversed", "ordered", "equal", "late", "once"])
async def test_sorting_on_disk_is_stable(tmp_path: Path, kind: str) -> None:
    """Many runs, also when one record is larger than what is read of a run at once."""
    found = conjunctions(1500)
    if kind == "equal":
        found = [record | {"start": "2020"} for record in found]
    elif kind != "random":
        found.sort(key=lambda record: str(record["start"]), reverse=kind == "reversed")
    if kind == "late":
        found.append(found[0] | {"long": "x" * 50_000})
    if kind == "once":
        found[700:702] = found[701:699:-1]
    written, _ = await saved_as(answer(found), tmp_path, "json", sort_key="start")
    assert written == as_the_official_command_line(found, "start")


async def test_without_the_key_a_record_comes_last(tmp_path: Path) -> None:
    """A response format may leave the key out; the result is worth saving all the same."""
    found = [{"a": 1}, {"start": None}, {"start": "2"}, {"a": 2}, {"start": "1"}]
    written, _ = await saved_as(answer(found), tmp_path, "json", sort_key="start")
    assert json.loads(written) == [{"start": "1"}, {"start": "2"}, {"a": 1}, {"start": None}, {"a": 2}]
    for wrong in ([{"start": "1"}, {"start": 5}], [{"start": "1"}, 7]):
        with pytest.raises(MalformedAnswer) as caught:
            await download(Text(answer(wrong)), tmp_path / "other", format="json", sort_key="start")
        assert caught.value.where.startswith("$.result[1]")


@pytest.mark.parametrize("format", FORMS)
@pytest.mark.parametrize("text", [b'{"result":[]}', b" [ ] "])
async def test_an_empty_result(tmp_path: Path, format: Format, text: bytes) -> None:
    """Nothing found is a result."""
    written, saved = await saved_as(text, tmp_path, format, expected_records=0)
    assert written == {"body": text, "json": b"[]", "jsonl": b""}[format]
    assert saved.records == 0


numbers = (
    st.sampled_from(
        ["284.42085025713", "1.0", "-0.0", "0", "-0", "1E5", "1e-07", "0.10", "123456789012345678901234567890", "1e400"]
    )
    | st.sampled_from(["2.50e+10", "5e-324", "0.1000000000000000055511151231257827", "9007199254740993"])
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(numbers, max_size=5), st.sampled_from(FORMS))
def test_numbers_keep_the_spelling_of_the_server(spelled: list[str], format: Format) -> None:
    """A measured value is copied, never computed: no form decodes it."""
    text = ('{"result":[' + ",".join(f'{{"v": {number}}}' for number in spelled) + "]}").encode()
    with tempfile.TemporaryDirectory() as folder:
        written, _ = asyncio.run(saved_as(text, Path(folder), format))
    kept = [part.split(b":")[1].split(b"}")[0].strip().decode() for part in written.split(b'"v"')[1:]]
    assert kept == spelled


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["\\", '"', "/", "\x7f", "\x80", "é", "\U0001f30c", "\b\f\n\r\t\0\x1f", ",\n  {", "\u2028"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
record_lists = st.lists(st.fixed_dictionaries({"start": texts}, optional={"v": values, "\u00e9": values}), max_size=8)


@settings(max_examples=60, deadline=None)
@given(record_lists, st.sampled_from([None, 1]), st.booleans(), st.booleans())
def test_json_is_that_of_json_dump(found: list[Any], indent: int | None, ascii_only: bool, odd: bool) -> None:
    """Byte for byte what the official command line writes, for any strings, escapes and nesting."""
    text = json.dumps({"result": found}, indent=indent, ensure_ascii=ascii_only)
    if odd:  # other spellings of the same strings
        text = text.replace("/", "\\/").replace("\\n", "\\u000a").replace("\\u00e9", "\\u00E9")
    with tempfile.TemporaryDirectory() as folder:
        written, _ = asyncio.run(saved_as(text.encode(), Path(folder), "json", sort_key="start"))
        assert written == as_the_official_command_line(found, "start")
        written, _ = asyncio.run(saved_as(text.encode(), Path(folder), "jsonl"))
    assert json.dumps([json.loads(line) for line in written.splitlines()]) == json.dumps(found)
    assert written.count(b"\n") == len(found)


# --- What goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMS)
async def test_nothing_is_saved_of_a_wrong_body(tmp_path: Path, format: Format) -> None:
    """Torn, of another count or length, an error document, not JSON: a clear error each, and no file."""
    found = conjunctions(300)
    text = answer(found)
    target = tmp_path / "file"

    async def refused(error: type[Exception], body: Text, expected_records: int | None = None) -> Any:
        with pytest.raises(error) as caught:
            await download(body, target, format=format, expected_records=expected_records)
        assert names(tmp_path) == []
        assert body.closed
        return caught.value

    error = await refused(WrongContent, Text(text), 299)
    assert (error.expected, error.found, error.target) == (299, 300, target)
    assert "300" in str(error)
    assert "299" in str(error)
    error = await refused(IncompleteBody, Text(text[:-1]))
    assert error.target == target
    await refused(IncompleteBody, Text(text[:5000]))
    await refused(IncompleteBody, Text(b""))
    await refused(IncompleteBody, Text(text, length=len(text) + 1))
    await refused(WrongContent, Text(text, length=len(text) - 1))
    await refused(MalformedAnswer, Text(text + b"x"))
    await refused(MalformedAnswer, Text(b"<html>busy</html>"))
    error = await refused(ResultMissing, Text(b'{"error": {"error_code": "NotFound", "error_message": "gone"}}'), 5)
    assert error.rest["error"]["error_code"] == "NotFound"


async def test_a_form_that_does_not_exist_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """Likewise a sort key where nothing is sorted."""
    body = Text(answer([]))
    for format, sort_key in (("xml", None), ("body", "start"), ("jsonl", "start")):
        with pytest.raises(InvalidInput):
            await download(body, tmp_path / "file", format=format, sort_key=sort_key)  # type: ignore[arg-type]
    assert body.yielded == 0


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("native", [True, False], ids=["task.cancel", "cancel scope"])
@pytest.mark.parametrize("steps", [*range(0, 60, 3), 80, 120, 200])
async def test_a_cancelled_download_leaves_nothing(tmp_path: Path, steps: int, native: bool) -> None:
    """Also while it is sorted: neither of its two part files stays."""
    found = conjunctions(400)
    target = tmp_path / "file"
    scope = anyio.CancelScope()

    async def work() -> None:
        with scope:
            await download(Text(answer(found)), target, format="json", sort_key="start")

    task = asyncio.create_task(work())
    for _ in range(steps):
        await asyncio.sleep(0.0002 if steps > 30 else 0)
    if native:
        task.cancel()
    else:
        scope.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert names(tmp_path) in ([], ["file"])
    if target.exists():
        assert target.read_bytes() == as_the_official_command_line(found, "start")


# --- Streams ------------------------------------------------------------------------------------------------


@attrs.frozen
class Conjunction:
    start: str
    number: int


async def test_records_come_in_order_as_objects() -> None:
    """Typed or plain, one by one or in blocks."""
    found = conjunctions(1000)
    typed = [record async for record in records(Text(answer(found)), Conjunction, expected_records=1000)]
    assert typed == [Conjunction(record["start"], record["number"]) for record in found]
    assert [record async for record in records(Text(answer(found)))] == found
    grouped = [block.records async for block in blocks(Text(answer(found)))]
    assert [record for group in grouped for record in group] == found
    assert len(grouped) > 3


async def test_a_stream_does_not_read_ahead_and_can_be_left() -> None:
    """Back-pressure is the caller's pace; leaving early closes the iteration over the body at once."""
    body = Text(answer(conjunctions(20_000)))
    async with contextlib.aclosing(records(body, Conjunction)) as stream:
        assert (await anext(stream)).number == 0
        await asyncio.sleep(0.01)
        assert body.yielded <= 2
        assert not body.closed
    assert body.closed


async def test_a_stream_says_what_is_missing_at_its_end() -> None:
    """The records until then are right, and the end is not silent."""
    found = conjunctions(1000)
    text = answer(found)
    for body, expected, error in (
        (Text(text), 999, WrongContent),
        (Text(text[:-5]), None, IncompleteBody),
        (Text(text, length=len(text) + 5), None, IncompleteBody),
        (Text(b'{"error":{}}'), None, ResultMissing),
    ):
        seen: list[Any] = []
        with pytest.raises(error):
            async for record in records(body, expected_records=expected):
                seen.append(record)
        assert seen == found[: len(seen)]
        assert body.closed


@pytest.mark.parametrize("shape", ["many", "giant"])
async def test_a_stream_shares_the_loop(shape: Literal["many", "giant"]) -> None:
    """Others get their turn between two blocks, and while one huge record is looked at."""
    found: list[Any] = conjunctions(5000) if shape == "many" else [{"v": [{"a": 1.5}] * 120_000}]
    turns = 0
    done = False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    @attrs.define
    class AtOnce(Text):
        async def chunks(self, size: int = 0, /) -> AsyncIterator[bytes]:
            yield self.text  # the socket was faster: everything is here already

    text = answer(found)
    task = asyncio.create_task(others())
    assert len([record async for record in records(AtOnce(text))]) == len(found)
    done = True
    await task
    assert turns >= len(text) // (128 * 1024)


# --- Memory -------------------------------------------------------------------------------------------------

MEASURE = """
import asyncio, resource, sys, tempfile
from pathlib import Path
from aurora_async.transfer import download, records

kind, megabytes = sys.argv[1], int(sys.argv[2])
place = '{"lat":14.933351,"lon":-130.16835}'
rows = []
for n in range(2000):
    epoch = f"2020-01-01T{(n * 7919 % 1440) // 60:02d}:{n * 7919 % 60:02d}:00" if kind == "sorted" else "2020"
    meta = '{"state":"definitive","text":"' + "x" * 400 + '"}'
    rows.append(f'{{"epoch":"{epoch}","n":{n},"geo":{place},"gsm":{place},"meta":{meta}}}')
chunk = (",".join(rows) + ",").encode()
times = megabytes * 1_000_000 // len(chunk)

# Not ru_maxrss: that of a new process begins with the memory of the one that started it.
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1_000_000

def note():
    global most
    most = max(most, resident())

class Body:
    url = "u"
    length = None
    async def chunks(self, size):
        yield b'{"result":['
        for number in range(times):
            note()
            for at in range(0, len(chunk), size):
                yield chunk[at:at + size]
        yield b'{"epoch":"2021"}]}'

async def main():
    global most
    before = most = resident()
    if kind == "records":
        count = 0
        async for _ in records(Body()):
            count += 1
            if count % 10_000 == 0:
                note()
    else:
        async def watch():
            while True:
                note()
                await asyncio.sleep(0.01)
        watching = asyncio.create_task(watch())
        with tempfile.TemporaryDirectory(dir=sys.argv[3]) as folder:
            sort_key = "epoch" if kind == "sorted" else None
            format = "json" if kind == "sorted" else kind
            count = (await download(Body(), Path(folder) / "f", format=format, sort_key=sort_key)).records
    assert count == times * 2000 + 1
    note()
    print(before, most)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(("kind", "megabytes"), [("records", 300), ("body", 120), ("jsonl", 60), ("sorted", 30)])
def test_memory_does_not_grow_with_the_body(tmp_path: Path, kind: str, megabytes: int) -> None:
    """Measured by the system, in a process of its own."""
    call = [sys.executable, "-c", MEASURE, kind, str(megabytes), str(tmp_path)]
    outcome = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 0, outcome.stderr
    before, after = map(int, outcome.stdout.split())
    assert 0 < before < after < 150
    assert after - before < (35 if kind == "sorted" else 20), (before, after)
