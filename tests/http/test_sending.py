"""Files as bodies of requests: streamed, sent anew at each try, never half, never a mix of two."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import psutil
import pytest
from aiohttp import web

from aurora_async.config import Config, Retries, Timeouts
from aurora_async.errors import Forbidden, InvalidInput, ReadTimeout, TransferError
from aurora_async.http import FileBody, Session

Serve = Callable[..., Awaitable[str]]
NO_TYPE = {"Content-Type": ""}


def session(base_url: str, *, read_s: float = 5.0, attempts: int = 3) -> Session:
    retries = Retries(attempts=attempts, first_s=0.001, ceiling_s=0.002)
    config = Config(base_url=base_url, api_key="secret", retries=retries, timeouts=Timeouts(read_s=read_s))
    return Session(config, rng=random.Random(0))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "imap_mag_l1a_sci_20260101_v001.0001.cdf"
    path.write_bytes(random.Random(1).randbytes(3_000_001))
    return path


class TestSending:
    async def test_all_bytes_arrive_with_their_length_and_no_type(self, serve: Serve, file: Path) -> None:
        """An object store wants to know the length first, and a signature may cover the type."""
        seen: list[tuple[bytes, str | None, str | None]] = []

        async def handler(request: web.Request) -> web.Response:
            headers = request.headers
            seen.append((await request.read(), headers.get("Content-Length"), headers.get("Content-Type")))
            assert "Transfer-Encoding" not in headers
            return web.Response()

        base_url = await serve(handler)
        async with session(base_url) as one:
            await one.exchange("PUT", "/object", body=await FileBody.of(file), headers=NO_TYPE, lane="body")
        assert seen == [(file.read_bytes(), "3000001", "")]

    async def test_an_empty_file_is_sent_as_such(self, serve: Serve, tmp_path: Path) -> None:
        """Nothing is a content too."""
        empty = tmp_path / "empty"
        empty.touch()
        lengths: list[str | None] = []

        async def handler(request: web.Request) -> web.Response:
            lengths.append(request.headers.get("Content-Length"))
            assert await request.read() == b""
            return web.Response()

        base_url = await serve(handler)
        async with session(base_url) as one:
            await one.exchange("PUT", "/object", body=await FileBody.of(empty), headers=NO_TYPE)
        assert lengths == ["0"]

    async def test_another_try_sends_it_from_its_beginning(self, serve: Serve, file: Path) -> None:
        """A PUT may be repeated, and half of the first try must not be missing from the second."""
        bodies: list[bytes] = []

        async def handler(request: web.Request) -> web.Response:
            bodies.append(await request.read())
            return web.Response(status=200 if len(bodies) == 2 else 503)

        base_url = await serve(handler)
        async with session(base_url) as one:
            await one.exchange("PUT", "/object", body=await FileBody.of(file), headers=NO_TYPE)
        assert bodies == [file.read_bytes()] * 2

    async def test_memory_does_not_grow_with_the_file(self, serve: Serve, tmp_path: Path) -> None:
        """Files of gigabytes are delivered from laptops."""
        large = tmp_path / "large"
        with large.open("wb") as opened:
            opened.truncate(300_000_000)
        process = psutil.Process()
        most, got = 0, 0

        async def handler(request: web.Request) -> web.Response:
            nonlocal most, got
            async for chunk in request.content.iter_any():
                got += len(chunk)
                most = max(most, process.memory_info().rss)
            return web.Response()

        base_url = await serve(handler)
        async with session(base_url) as one:
            before = process.memory_info().rss
            await one.exchange("PUT", "/object", body=await FileBody.of(large), headers=NO_TYPE)
        assert got == 300_000_000
        assert most - before < 60_000_000

    async def test_a_slow_service_is_no_silent_one(self, serve: Serve, file: Path) -> None:
        """The limit is on silence, not on the whole: a thin line takes its time."""

        async def handler(request: web.Request) -> web.Response:
            while await request.content.read(500_000):
                await asyncio.sleep(0.03)
            return web.Response()

        file.write_bytes(bytes(30_000_000))
        base_url = await serve(handler)
        async with session(base_url, read_s=1.0) as one:
            began = anyio.current_time()
            await one.exchange("PUT", "/object", body=await FileBody.of(file), headers=NO_TYPE)
        assert anyio.current_time() - began > 1.5

    async def test_a_service_that_takes_no_more_is_given_up(self, serve_raw: Serve, tmp_path: Path) -> None:
        """Or an upload hangs for ever, as it does where no limit is set."""
        large = tmp_path / "large"
        with large.open("wb") as opened:
            opened.truncate(100_000_000)

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(30)

        base_url = await serve_raw(script)
        async with session(base_url, read_s=0.3, attempts=1) as one:
            with pytest.raises(ReadTimeout, match=r"of 100000000 bytes were taken, then none for 0\.3 s"):
                await one.exchange("PUT", "/object", body=await FileBody.of(large), headers=NO_TYPE)

    @pytest.mark.parametrize("change", ["longer", "shorter", "other"])
    async def test_a_file_that_changes_on_the_way_is_never_delivered(
        self, serve: Serve, file: Path, change: str
    ) -> None:
        """What arrives is what was looked at, or nothing: not the beginning of one file and the end of another."""
        whole: list[int] = []
        begun = asyncio.Event()
        goes_on = asyncio.Event()

        async def handler(request: web.Request) -> web.Response:
            body = await request.content.readexactly(1000)
            begun.set()
            await goes_on.wait()
            whole.append(len(body + await request.read()))
            return web.Response()

        def changed() -> None:
            if change == "longer":
                with file.open("ab") as opened:
                    opened.write(b"more")
            elif change == "shorter":
                os.truncate(file, 2_000_000)
            else:
                file.write_bytes(random.Random(2).randbytes(3_000_001))
                os.utime(file, (1, 1))

        base_url = await serve(handler)
        large = file.read_bytes() * 20  # more than what sockets hold
        file.write_bytes(large)
        body = await FileBody.of(file)
        async with session(base_url) as one, anyio.create_task_group() as tasks:

            async def change_it() -> None:
                await begun.wait()
                changed()
                goes_on.set()

            tasks.start_soon(change_it)
            with pytest.raises(TransferError, match="it changed while it was sent"):
                await one.exchange("PUT", "/object", body=body, headers=NO_TYPE)
        assert whole == []

    async def test_a_refusal_before_its_end_is_told_as_such(self, serve_raw: Serve, file: Path) -> None:
        """An expired link is answered at once; that the rest could not be sent is not the news."""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nConnection: close\r\n\r\nexpired")
            await writer.drain()
            await reader.read()

        base_url = await serve_raw(script)
        async with session(base_url) as one:
            with pytest.raises(Forbidden, match="expired"):
                await one.exchange("PUT", "/object", body=await FileBody.of(file), headers=NO_TYPE)

    async def test_cancelling_leaves_no_file_open(self, serve: Serve, file: Path) -> None:
        """An application that gives up a thousand uploads must not run out of descriptors."""
        begun = asyncio.Event()

        async def handler(request: web.Request) -> web.Response:
            begun.set()
            await asyncio.sleep(30)
            return web.Response()

        base_url = await serve(handler)
        file.write_bytes(bytes(50_000_000))
        async with session(base_url) as one:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:

                    async def cancel() -> None:
                        await begun.wait()
                        scope.cancel()

                    tasks.start_soon(cancel)
                    await one.exchange("PUT", "/object", body=await FileBody.of(file), headers=NO_TYPE)
        assert scope.cancelled_caught
        with anyio.fail_after(5):
            while any(opened.path == str(file) for opened in psutil.Process().open_files()):
                await anyio.sleep(0.01)

    async def test_what_is_no_file_is_refused_before_anything_is_sent(self, tmp_path: Path) -> None:
        """One clear error."""
        with pytest.raises(InvalidInput, match=r"missing\.cdf cannot be read: No such file"):
            await FileBody.of(tmp_path / "missing.cdf")
        with pytest.raises(InvalidInput, match="is not a file"):
            await FileBody.of(tmp_path)


class TestPresignedLinks:
    """They carry their credential; stores refuse a second one, and nobody else's log should have it."""

    @pytest.mark.parametrize("name", ["X-Amz-Signature", "x-amz-signature", "sig", "Signature"])
    @pytest.mark.parametrize("is_redirected", [True, False])
    async def test_no_credential_goes_there_even_at_home(self, serve: Serve, is_redirected: bool, name: str) -> None:
        """Neither the key, nor the service's own credential, nor what the caller sent along."""
        seen: list[dict[str, str]] = []

        async def handler(request: web.Request) -> web.Response:
            if request.path == "/download":
                raise web.HTTPFound(f"/object?X-Amz-Expires=60&{name}=abc")
            seen.append(dict(request.headers))
            return web.Response()

        base_url = await serve(handler)
        target = "/download" if is_redirected else f"/object?{name}=abc"
        async with session(base_url) as one:
            one.add_credential(base_url, {"Authorization": "Bearer token"})
            headers = {"x-api-key": "other"} if is_redirected else None
            await one.exchange("GET", target, headers=headers)
            await one.exchange("GET", "/plain")
        signed, plain = ({name.lower() for name in headers} for headers in seen)
        assert not signed & {"x-aurorax-api-key", "x-api-key", "authorization", "cookie"}
        assert plain >= {"x-aurorax-api-key", "authorization"}


async def test_a_service_that_quotes_the_key_does_not_spread_it(serve: Serve) -> None:
    """Errors are logged, printed and mailed to the people of the service."""

    async def handler(request: web.Request) -> web.Response:
        said = f"{request.headers['x-aurorax-api-key']} and {request.headers['Authorization']} may not do this"
        return web.Response(status=403, text=said)

    base_url = await serve(handler)
    async with session(base_url) as one:
        with pytest.raises(Forbidden) as refusal:
            await one.exchange("GET", "/", headers={"Authorization": "Bearer token-0123"})
    assert refusal.value.detail == "*** and Bearer *** may not do this"
    assert b"token-0123" not in refusal.value.body
