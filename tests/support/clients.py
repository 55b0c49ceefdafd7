"""Clients for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from aurora_async import AuroraX

ClientAs = Callable[[str | None], AuroraX]
"""Makes a client that asks as `user`, `maintainer`, `owner` or `administrator`, or as nobody (None)."""


ClientT = TypeVar("ClientT")


@asynccontextmanager
async def held_open(client: AbstractAsyncContextManager[ClientT]) -> AsyncIterator[ClientT]:
    """Open a client in a task of its own, since a fixture is torn down in another task than it was set up in."""
    opened: asyncio.Future[ClientT] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        async with client as entered:
            opened.set_result(entered)
            await over.wait()

    task = asyncio.create_task(hold())
    await asyncio.wait((task, opened), return_when=asyncio.FIRST_COMPLETED)
    try:
        if opened.done():
            yield opened.result()
    finally:
        over.set()
        await task  # also what went wrong at the opening
