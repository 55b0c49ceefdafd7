"""JSON that comes in pieces: cut anywhere it is the same, and no text in it makes reading slow."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_async.errors import IncompleteBody, MalformedAnswer
from aurora_async.jsoc._pull import Pull

SCALARS = st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(st.sampled_from('a"\\[]{}:,é\n'))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text('k"\\}', max_size=3), inner))


async def read(body: bytes, cut: int) -> Any:
    """Read one value that comes in pieces of `cut` bytes."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), cut):
            yield body[start : start + cut]

    pull = Pull(chunks(), "http://x/")
    value = await pull.value("$")
    await pull.end()
    return value


@given(value=VALUES, cut=st.integers(1, 40), indent=st.none() | st.integers(0, 1))
async def test_where_it_is_cut_changes_nothing(value: Any, cut: int, indent: int | None) -> None:
    """Also behind a backslash, or within a text with brackets in it."""
    body = json.dumps(value, indent=indent, ensure_ascii=False).encode() + b"\n"
    assert await read(body, cut) == value


@pytest.mark.parametrize(
    "body",
    [b'"%s"' % (b"x" * (2 << 20)), b'["%s"]' % (b"x" * (2 << 20)), b"[%s0]" % (b"0," * (1 << 20))],
    ids=["text", "text in a list", "list"],
)
async def test_a_long_value_is_looked_through_once(body: bytes) -> None:
    """Each piece began at the start again: half a minute, in which nothing else ran."""
    started = time.process_time()
    assert await read(body, 1024) == json.loads(body)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("body", [b'"a', b'"a\\', b'"a\\"', b"[1", b'{"a":"', b"12"])
async def test_what_ends_in_the_middle_is_told(body: bytes) -> None:
    """More was to come, wherever it ends; behind a number, too."""
    with pytest.raises(IncompleteBody):
        await read(body, 1)


@pytest.mark.parametrize("body", [b":1 ", b"}", b"01 ", b"nul\n", b'1"2"\n'])
async def test_what_is_no_value_is_told(body: bytes) -> None:
    """At once."""
    with pytest.raises(MalformedAnswer):
        await read(body, 1)


async def test_no_value_is_longer_than_memory_allows() -> None:
    """Eight megabytes are a thousand times what any keyword has."""
    with pytest.raises(MalformedAnswer, match="one value of more than 8 MiB"):
        await read(b'"%s"' % (b"x" * (9 << 20)), 1 << 16)
