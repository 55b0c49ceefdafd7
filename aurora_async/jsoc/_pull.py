"""A JSON document read from left to right while it arrives, in the memory of what is asked of it.

The decoder works on whole values and on runs of the elements of a list; where those end is found by searches that run
in C.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio.lowlevel
import msgspec

from aurora_async.errors import IncompleteBody, MalformedAnswer
from aurora_async.jsoc.wire import readable

__all__ = ["Pull"]

_MOST_BYTES = 8 << 20
"""The longest value that is read in one piece; a list whose elements are asked for one by one may be longer."""

# Possessive throughout (`*+`, `++`): nothing is ever tried twice, so no input makes them slow. The first three match
# also where a chunk ends in the middle, and the search goes on from there.
_STRETCH = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_PLAIN = re.compile(rb'[^\s,:"{}\[\]]*+')
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'[\[{](?:[^"{}\[\]]++|' + _STRING + rb")*+[\]}]"
_BETWEEN = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + b"|" + _FLAT + rb")*+", re.DOTALL)
_FLAT_OBJECT = rb'\{(?:[^"{}\[\]]++|' + _STRING + rb")*+\}"
_ELEMENTS = re.compile(rb"(?:\s*+(?:" + _STRING + rb'|[^\s,:"{}\[\]]++|' + _FLAT_OBJECT + rb")\s*+,)++", re.DOTALL)
_NOT_BLANK = re.compile(rb"\S")


class Pull:
    """Reads one document; `where` in errors is told by whoever reads, `url` is that of the answer."""

    def __init__(self, chunks: AsyncIterator[bytes], url: str) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._at = 0
        self._begun = False
        self.url = url

    async def members(self, where: str) -> AsyncIterator[str]:
        """Yield the keys of an object; whoever iterates reads the value of each before he goes on."""
        await self._take(b"{", where, "an object")
        if await self._peek() == b"}":
            await self._take(b"}", where, "")
            return
        while True:
            key = await self.value(where)
            if not isinstance(key, str):
                raise self.malformed(where, f"expected the name of a member, got {str(key)[:60]!r}")
            await self._take(b":", f"{where}.{key}", "a colon")
            yield key
            if await self._take(b",}", where, "a comma or }") == b"}":
                return

    async def elements(self, where: str) -> AsyncIterator[str]:
        """Yield the place of each element of a list; whoever iterates reads it before he goes on."""
        await self._take(b"[", where, "a list")
        if await self._peek() == b"]":
            await self._take(b"]", where, "")
            return
        index = 0
        while True:
            yield f"{where}[{index}]"
            index += 1
            if await self._take(b",]", where, "a comma or ]") == b"]":
                return

    async def runs(self, where: str) -> AsyncIterator[list[Any]]:
        """Yield the elements of a list as they arrive, many at a time."""
        await self._take(b"[", where, "a list")
        if await self._peek() == b"]":
            await self._take(b"]", where, "")
            return
        while True:
            run = _ELEMENTS.match(self._buffer, self._at)
            if run is not None:
                self._at = run.end()
                yield self._decoded(b"[" + run[0][:-1] + b"]", where)
                # Long answers arrive faster than they are read: others have their turn in between.
                await anyio.lowlevel.checkpoint()
                continue
            # The last one, one that is cut by the end of a chunk, or one with others inside.
            yield [await self.value(where)]
            if await self._take(b",]", where, "a comma or ]") == b"]":
                return

    async def value(self, where: str) -> Any:
        """Return the next value, whatever it is."""
        first = await self._peek()
        if first in (b"{", b"["):
            length = await self._closing(where)
        elif first == b'"':
            length = await self._text_end(0, where)
        else:
            length, _ = await self._pass(_PLAIN, 0, where)
        start, self._at = self._at, self._at + length
        return self._decoded(self._buffer[start : self._at], where)

    async def end(self) -> None:
        """Make sure that nothing follows."""
        while not _NOT_BLANK.search(self._buffer, self._at):
            chunk = await anext(self._chunks, b"")
            if not chunk:
                return
            self._buffer, self._at = chunk, 0
        raise self.malformed("$", f"after its end comes {self._shown()}")

    def malformed(self, where: str, reason: str) -> MalformedAnswer:
        """The error for an answer that is not what was expected at this place."""
        return MalformedAnswer(self.url, where, reason)

    # All of these count from where the value begins, since what is before it is dropped.

    async def _closing(self, where: str) -> int:
        depth, passed = 1, 1
        while True:
            passed, mark = await self._pass(_BETWEEN, passed, where)
            if mark == b'"':  # a text that was cut
                passed = await self._text_end(passed, where)
                continue
            passed += 1
            depth += 1 if mark in (b"{", b"[") else -1
            if depth == 0:
                return passed

    async def _text_end(self, begin: int, where: str) -> int:
        passed, mark = await self._pass(_STRETCH, begin + 1, where)
        while mark != b'"':  # a backslash, and what it stands before has not come yet
            await self._more(where)
            passed, mark = await self._pass(_STRETCH, passed, where)
        return passed + 1

    async def _pass(self, pattern: re.Pattern[bytes], passed: int, where: str) -> tuple[int, bytes]:
        """Go on as far as the pattern goes; return how far that is, and what stops it."""
        while True:
            found = pattern.match(self._buffer, self._at + passed)
            assert found is not None, "it matches nothing, too"
            passed = found.end() - self._at
            if mark := self._buffer[found.end() : found.end() + 1]:
                return passed, mark
            await self._more(where)

    async def _peek(self) -> bytes:
        while (found := _NOT_BLANK.search(self._buffer, self._at)) is None:
            await self._more("$")
        self._at = found.start()
        return found[0]

    async def _take(self, marks: bytes, where: str, wanted: str) -> bytes:
        found = await self._peek()
        if found not in marks:
            if not self._begun:
                self._buffer += await anext(self._chunks, b"")
                raise self.malformed("$", f"not JSON but {self._shown()}")
            raise self.malformed(where, f"expected {wanted}, got {self._shown()}")
        self._begun = True
        self._at += 1
        return found

    async def _more(self, where: str) -> None:
        if len(self._buffer) - self._at > _MOST_BYTES:
            raise self.malformed(where, f"one value of more than {_MOST_BYTES >> 20} MiB")
        chunk = await anext(self._chunks, b"")
        if not chunk:
            raise IncompleteBody(self.url, None, f"the answer ends in the middle, at {where}")
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0

    def _decoded(self, text: bytes, where: str) -> Any:
        try:
            return msgspec.json.decode(readable(text))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self.malformed(where, f"not JSON: {error}") from error

    def _shown(self) -> str:
        return repr(" ".join(self._buffer[self._at : self._at + 80].decode(errors="replace").split()))
