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

# Possessive throughout (`*+`, `++`): nothing is ever tried twice, so no input makes them slow.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXT = re.compile(_STRING, re.DOTALL)
_PLAIN = re.compile(rb'[^\s,:"{}\[\]]++(?=[\s,}\]])')
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+[{}\[\]]", re.DOTALL)
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
            end = await self._closing(where)
        else:
            pattern = _TEXT if first == b'"' else _PLAIN
            while (match := pattern.match(self._buffer, self._at)) is None:
                await self._more(where)
            end = match.end()
        start, self._at = self._at, end
        return self._decoded(self._buffer[start:end], where)

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

    async def _closing(self, where: str) -> int:
        depth, passed = 0, 0
        while True:
            bracket = _BRACKET.match(self._buffer, self._at + passed)
            if bracket is None:
                await self._more(where)
                continue
            passed = bracket.end() - self._at
            depth += 1 if bracket[0][-1:] in (b"{", b"[") else -1
            if depth == 0:
                return bracket.end()

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
