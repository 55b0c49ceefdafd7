"""Bodies without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import attrs


@attrs.define
class Text:
    """A body that is all there."""

    text: bytes
    length: int | None = None
    size: int = 10_000
    url: str = "https://example.org/data"
    yielded: int = 0
    closed: bool = False

    async def chunks(self, size: int = 0, /) -> AsyncIterator[bytes]:
        """Yield it in pieces of `self.size`, letting others run before each."""
        try:
            for at in range(0, len(self.text), self.size):
                self.yielded += 1
                await asyncio.sleep(0)
                yield self.text[at : at + self.size]
        finally:
            self.closed = True


def answer(found: list[Any], **layout: Any) -> bytes:
    """The answer of a service whose result has these records."""
    return json.dumps({"result": found}, **layout).encode()
