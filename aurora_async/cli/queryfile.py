"""Query files: read off the loop, of bounded size, with errors that say which file and what is wrong with it."""

from __future__ import annotations

import asyncio
import stat
import sys
import threading
from collections.abc import Callable

import aiofiles
import anyio

from aurora_async.aurorax.models import Query
from aurora_async.aurorax.wire import Kind, read_query
from aurora_async.errors import InvalidInput, InvalidQuery

__all__ = ["MAX_BYTES", "in_daemon_thread", "read_query_file", "read_query_text"]

MAX_BYTES = 4 * 1024 * 1024
"""Largest query read: a thousand times what a large one has, and what a service accepts at most."""


async def read_query_file(name: str, kind: Kind) -> Query:
    """Read a query of `kind` from the file `name`, or from stdin for `-`.

    Raises:
        InvalidQuery: `field` begins with the name of the file.
        InvalidInput: There is no such file, or it cannot be a query.
    """
    text = await read_query_text(name)
    shown = _shown(name)
    try:
        return read_query(text, kind)
    except InvalidQuery as error:
        place = shown if error.field == "query" else f"{shown}: {error.field}"
        raise InvalidQuery(place, error.reason) from error
    except RecursionError:
        raise InvalidQuery(shown, "is nested too deeply for a query") from None


async def read_query_text(name: str) -> str:
    """Read a text that may be a query from the file `name`, or from stdin for `-`."""
    shown = _shown(name)
    try:
        data = await _read(name)
    except OSError as error:
        raise InvalidInput(shown, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except InvalidInput:
        raise
    except ValueError as error:  # a NUL byte in the name
        raise InvalidInput(shown, f"cannot be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise InvalidInput(shown, f"is larger than {MAX_BYTES >> 20} MiB; a query is a small JSON document")
    if not data.strip():
        raise InvalidInput(shown, "is empty; a query is a JSON document")
    try:
        # A byte order mark, as Windows' editors write, is not part of the text.
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(shown, f"is not a text in UTF-8 (byte {error.start}); a query is a JSON document") from None


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


async def _read(name: str) -> bytes:
    if name == "-":
        if sys.stdin is None:
            return b""
        return await in_daemon_thread(lambda: _read_bounded(sys.stdin.fileno()))
    path = anyio.Path(name)
    mode = (await path.stat()).st_mode
    if stat.S_ISDIR(mode):
        raise InvalidInput(name, "is a folder; give a JSON file")
    if not stat.S_ISREG(mode):
        return await in_daemon_thread(lambda: _read_bounded(name))  # `<(…)`: a pipe, as slow as its writer
    async with aiofiles.open(name, "rb") as file:
        return await file.read(MAX_BYTES + 1)


def _read_bounded(source: str | int) -> bytes:
    # Unbuffered: a buffer's lock, held by a thread that still waits, would crash the interpreter at its end.
    with open(source, "rb", buffering=0, closefd=isinstance(source, str)) as file:
        data = b""
        while len(data) <= MAX_BYTES and (piece := file.read(1 << 16)):
            data += piece
        return data


async def in_daemon_thread(read: Callable[[], bytes]) -> bytes:
    """Read what may never come, in a thread that neither Ctrl-C nor the end of the program waits for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def tell(data: bytes | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(data or b"")

    def work() -> None:
        data, failure = None, None
        try:
            data = read()
        except BaseException as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, data, failure)

    threading.Thread(target=work, name="read query", daemon=True).start()
    return await future
