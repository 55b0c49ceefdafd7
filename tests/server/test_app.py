"""Starting, stopping, and what answers before any endpoint does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aurora_async.errors import InvalidInput
from aurora_async.server.app import LocalService, ServiceSettings

SERVE = """
import asyncio, sys
from pathlib import Path
from aurora_async.server.app import ServiceSettings, serve
settings = ServiceSettings(data_dir=Path(sys.argv[1]), workers=int(sys.argv[2]), server_time_s=float(sys.argv[3]))
asyncio.run(serve(settings, on_ready=lambda service: print(service.base_url, flush=True)))
"""


async def test_the_front_page_says_what_this_is(serve: Any) -> None:
    """`aurora-cli --test-connectivity` wants a 200 here; a person wants to know what answered."""
    async with serve() as client, client.session.get(f"{client.base_url}/") as answer:
        text = await answer.text()
        assert answer.status == 200
        assert answer.content_type == "text/html"
    assert "this is none of\nthem" in text
    assert '<meta name="viewport"' in text
    assert "<td>hmi.V_45s</td><td>T_REC, CAMERA</td>" in text
    assert "Swarm A" in text and client.base_url in text
    assert f'cgi_baseurl="{client.base_url}/cgi-bin/ajax/"' in text and "demo@example.com" in text
    assert f"IMAP_DATA_ACCESS_URL={client.base_url}/imap" in text and "one of the keys imap-demo-key and" in text
    assert "<td>mag</td><td>l1d</td><td>burst-dsrf</td>" in text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NotFound"),
        ("GET", "/api/v1/ephemeris", 404, "NotFound"),
        ("GET", "/api/v1/ephemeris/requests/", 404, "NotFound"),
        ("GET", "/api/v1/ephemeris/search", 405, "Other"),
        ("PUT", "/api/v1/data_sources", 405, "Other"),
    ],
)
async def test_unknown_paths_and_methods_are_error_documents(
    serve: Any, method: str, path: str, status: int, code: str
) -> None:
    """PyAuroraX reads `error_message` from any JSON answer, and shows raw HTML otherwise."""
    async with serve() as client:
        found, _, document = await client.call(method, path)
    assert (found, document["error_code"]) == (status, code)
    assert document["error_message"]


async def test_a_body_too_large_is_413(serve: Any) -> None:
    """Nobody can fill the memory of the service with one POST."""
    async with serve(max_body_bytes=2048) as client:
        status, _, document = await client.call("POST", "/api/v1/ephemeris/search", data=b"[" + b" " * 4000 + b"]")
    assert (status, document["error_code"]) == (413, "Other")


async def test_a_temporary_folder_goes_with_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without `data_dir` nothing stays behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    async with LocalService(ServiceSettings(workers=0)):
        assert list(tmp_path.glob("aurora-async-*/service.sqlite"))
    assert not list(tmp_path.glob("*"))


async def test_a_taken_port_is_said(serve: Any) -> None:
    """The second `aurora-async serve` on one port ends with one line."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        service = serve(port=other.getsockname()[1])
        with pytest.raises(InvalidInput, match="choose another port"):
            await service.__aenter__()


async def test_two_services_do_not_share_a_folder(serve: Any, tmp_path: Path) -> None:
    """They would run the same searches and overwrite each other's status."""
    async with serve(data_dir=tmp_path):
        with pytest.raises(InvalidInput, match="in use by another service"):
            async with serve(data_dir=tmp_path):
                pass
    async with serve(data_dir=tmp_path):
        pass


async def test_a_folder_of_a_newer_version_is_refused(serve: Any, tmp_path: Path) -> None:
    """Better no service than one that misreads its database."""
    import sqlite3

    async with serve(data_dir=tmp_path):
        pass
    with sqlite3.connect(tmp_path / "service.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InvalidInput, match="newer aurora_async"):
        async with serve(data_dir=tmp_path):
            pass


async def started(
    folder: Path, *, workers: int = 0, server_time_s: float = 0.0
) -> tuple[asyncio.subprocess.Process, str]:
    """Run a service in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(folder), str(workers), str(server_time_s),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    assert url.startswith("http://"), (await process.communicate())[1].decode()
    return process, url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """A service manager, a container and Ctrl-C all stop it this way, also with a search running."""
    process, url = await started(tmp_path, workers=1)
    query = {
        "start": "2019-01-01T00:00:00", "end": "2019-12-31T00:00:00", "max_distances": {"ground1-space1": 500},
        "ground": [{"programs": ["themis-asi"]}], "space": [{"programs": ["swarm"]}],
    }  # fmt: skip
    path = "/api/v1/conjunctions/search"
    async with aiohttp.ClientSession(url) as session, session.post(path, json=query) as answer:
        assert answer.status == 202
    await asyncio.sleep(0.3)
    process.send_signal(number)
    async with asyncio.timeout(10):
        out, errors = await process.communicate()
    assert (process.returncode, out, errors) == (0, b"", b"")


async def test_killed_it_remembers_everything_acknowledged(tmp_path: Path) -> None:
    """Searches, their results and those still running survive `kill -9`; identifiers stay what they were."""
    process, url = await started(tmp_path, server_time_s=1.0)
    query = {
        "start": "2020-01-01T00:00:00", "end": "2020-01-01T00:09:59", "data_sources": {"platforms": ["gillam"]},
    }  # fmt: skip
    place = {
        "start": "2020-01-01T00:00:00", "end": "2020-01-01T00:30:00", "max_distances": {"ground1-adhoc1": 900},
        "ground": [{"platforms": ["gillam"]}], "adhoc": [{"locations": [{"lat": 56.0, "lon": -94.0}]}],
    }  # fmt: skip
    async with aiohttp.ClientSession() as session:

        async def submit(url: str, kind: str, document: dict[str, Any]) -> str:
            async with session.post(f"{url}/api/v1/{kind}/search", json=document) as answer:
                assert answer.status == 202
                return answer.headers["Location"].removeprefix(url)

        async def ended(url: str, path: str) -> Any:
            async with asyncio.timeout(20):
                while True:
                    async with session.get(f"{url}{path}") as answer:
                        assert answer.status == 200, path
                        status = await answer.json()
                    if status["search_result"]["data_uri"]:
                        return status
                    await asyncio.sleep(0.01)

        async def data(url: str, path: str) -> Any:
            async with session.get(f"{url}{path}/data") as answer:
                return await answer.json()

        done = await submit(url, "ephemeris", query)
        status, records = await ended(url, done), await data(url, done)
        custom = await submit(url, "conjunctions", place)
        await ended(url, custom)
        pair = (await data(url, custom))["result"][0]["data_sources"]
        running = [await submit(url, "ephemeris", query) for _ in range(50)]
        process.kill()
        await process.communicate()

        process, url = await started(tmp_path)
        try:
            assert await ended(url, done) == status
            assert await data(url, done) == records
            for path in running:
                assert (await ended(url, path))["search_result"]["error_condition"] is False
                assert await data(url, path) == records
            again = await submit(url, "conjunctions", place)
            await ended(url, again)
            assert (await data(url, again))["result"][0]["data_sources"] == pair
        finally:
            os.kill(process.pid, signal.SIGTERM)
            await process.communicate()


async def test_killed_it_remembers_every_file_that_it_took(tmp_path: Path) -> None:
    """IMAP's uploads survive `kill -9`, also those that the catalogue had not heard of."""
    key = {"x-api-key": "imap-demo-key"}
    names = [f"imap_mag_l1b_norm-mago_202601{day:02}_v001.0001.cdf" for day in range(1, 21)]
    process, url = await started(tmp_path)
    async with aiohttp.ClientSession() as session:

        async def ask(path: str, method: str = "GET", **how: Any) -> aiohttp.ClientResponse:
            how = {"headers": key, "allow_redirects": False} | how
            async with session.request(method, f"{url}/imap/api-key/{path}", **how) as answer:
                await answer.read()
            return answer

        for name in names:
            link = await (await ask(f"upload/{name}")).json()
            async with session.put(link, data=name.encode()) as answer:
                assert answer.status == 200
        process.kill()
        await process.communicate()

        process, url = await started(tmp_path)
        try:
            async with asyncio.timeout(20):
                while (
                    len(rows := await (await ask("query?instrument=mag&data_level=l1b&start_date=20260101")).json())
                    < 20
                ):
                    await asyncio.sleep(0.01)
            for row in rows:
                link = (await ask(f"download/{row['file_path']}")).headers["Location"]
                async with session.get(link) as answer:
                    assert row["file_path"].endswith("/" + await answer.text())
        finally:
            os.kill(process.pid, signal.SIGTERM)
            await process.communicate()
