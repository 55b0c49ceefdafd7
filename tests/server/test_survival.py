"""What the service has acknowledged is there after `kill -9`: real processes, killed the moment they have answered."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

ADMIN = {"x-aurorax-api-key": "admin"}
PATH = "/api/v1/data_sources"
NAMES = {"program": "mine", "platform": "balloon", "instrument_type": "camera"}


class Service:
    """`aurora-async serve` in a process of its own, over the same folder each time."""

    def __init__(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self._process = process
        self._session = session

    async def call(self, method: str, path: str, body: Any = None, headers: Any = ADMIN) -> tuple[int, Any, Any]:
        """Return status, headers and JSON of an answer."""
        async with self._session.request(method, path, json=body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.json() if await answer.read() else None

    async def search(self, kind: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the records that a search finds."""
        _, headers, _ = await self.call("POST", f"/api/v1/{kind}/search", query)
        path = URL(headers["Location"]).path
        async with asyncio.timeout(20):
            while (await self.call("GET", path))[2]["search_result"]["data_uri"] is None:
                await asyncio.sleep(0.01)
        records: list[dict[str, Any]] = (await self.call("GET", f"{path}/data"))[2]["result"]
        return records

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Service]:
    """Run the service, and kill it at the end if that has not been done before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aurora_async", "serve", "--port", "0", "--data-dir", str(folder), "--workers", "0",
        "--api-key", "admin:Administrator", "--account", "me@example.org:pass:word:Owner",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    try:
        async with aiohttp.ClientSession(line.removeprefix("listening on ").strip()) as session:
            yield Service(process, session)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_changes_of_data_sources_and_logins_survive(tmp_path: Path) -> None:
    """Added, changed, removed, and still logged in."""
    source = NAMES | {"source_type": "leo", "display_name": "Balloon"}
    async with serving(tmp_path) as service:
        login = {"email_address": "me@example.org", "password": "pass:word"}
        token = {"Authorization": (await service.call("POST", "/api/v1/authenticate", login))[1]["Authorization"]}
        _, _, kept = await service.call("POST", PATH, source, token)
        _, _, gone = await service.call("POST", PATH, source | {"platform": "other"}, token)
        assert (await service.call("DELETE", f"{PATH}/{gone['identifier']}", headers=token))[0] == 200
        change = {"metadata": {"height": 30}}
        status, _, changed = await service.call("PATCH", f"{PATH}/{kept['identifier']}", change, token)
        service.kill()
    assert status == 200 and changed["owner"] == "me@example.org"
    async with serving(tmp_path) as service:
        found = await service.call("GET", f"{PATH}?program=mine&format=full_record", headers=token)
        assert (found[0], found[2]) == (200, [changed])


async def test_uploads_and_deletions_survive(tmp_path: Path) -> None:
    """Found by the first search after the restart; what was deleted stays away."""
    query = {"start": "2020-01-01T00:00:00", "end": "2020-01-02T23:59:59", "data_sources": {"programs": ["mine"]}}
    records = [NAMES | {"epoch": f"2020-01-01T{n // 60:02}:{n % 60:02}:00"} for n in range(1000)]
    times = {"start": "2020-01-01T00:00:00", "end": "2020-01-01T23:59:00", "data_product_type": "keogram"}
    products = [NAMES | times | {"url": f"https://example.org/{n}"} for n in range(10)]
    async with serving(tmp_path) as service:
        source = NAMES | {"source_type": "leo", "display_name": "Balloon"}
        path = f"{PATH}/{(await service.call('POST', PATH, source))[2]['identifier']}"
        assert (await service.call("POST", f"{path}/data_products", products))[0] == 202
        assert (await service.call("POST", f"{path}/ephemeris", records))[0] == 202
        service.kill()
    async with serving(tmp_path) as service:
        assert len(await service.search("ephemeris", query)) == 1000
        assert len(await service.search("data_products", query)) == 10
        span = NAMES | {"start": "2020-01-01T00:00:00", "end": "2020-01-01T08:19:59"}
        assert (await service.call("DELETE", f"{path}/data_products", NAMES | {"urls": [products[3]["url"]]}))[0] == 200
        assert (await service.call("DELETE", f"{path}/ephemeris", span))[0] == 202
        service.kill()
    async with serving(tmp_path) as service:
        left = await service.search("ephemeris", query)
        assert [record["epoch"] for record in left] == [record["epoch"] for record in records[500:]]
        urls = {record["url"] for record in await service.search("data_products", query)}
        assert urls == {record["url"] for record in products} - {products[3]["url"]}
        assert len((await service.call("GET", f"{path}/ephemeris/delete_jobs"))[2]) == 1


async def test_maintenance_mode_survives(tmp_path: Path) -> None:
    """An administrator who switched it on relies on it: a restart must not open the service to changes."""
    switch = "/api/v1/utils/admin/maintenance"
    for wanted in (True, False):
        async with serving(tmp_path) as service:
            assert (await service.call("PUT", switch, {"maintenance": wanted}))[0] == 200
            service.kill()
        async with serving(tmp_path) as service:
            assert (await service.call("GET", switch))[2] == {"maintenance": wanted}
            assert (await service.call("POST", PATH, {}))[0] == (503 if wanted else 400)


async def test_exports_survive(tmp_path: Path) -> None:
    """What was done has its files, what was accepted is made after the restart, and no id is given twice."""
    fetch = "/cgi-bin/ajax/jsoc_fetch"

    async def ask(service: Service, **parameters: str) -> Any:
        return (await service.call("GET", str(URL(fetch).with_query(parameters)), headers={}))[2]

    async def export(service: Service, name: str) -> str:
        sent = {"op": "exp_request", "ds": "hmi.m_720s[2017.12.03_TAI/1h]{magnetogram}", "notify": "demo@example.com"}
        return str((await ask(service, **sent, method="url-tar", filenamefmt=f"{name}.{{recnum}}"))["requestid"])

    async def ended(service: Service, request_id: str) -> Any:
        async with asyncio.timeout(20):
            while int((answer := await ask(service, op="exp_status", requestid=request_id))["status"]) in (1, 2):
                await asyncio.sleep(0.01)
        return answer

    async with serving(tmp_path) as service:
        done = await ended(service, await export(service, "done"))
        accepted = [await export(service, f"accepted{number}") for number in range(3)]
        service.kill()
    async with serving(tmp_path) as service:
        assert await ask(service, op="exp_status", requestid=done["requestid"]) == done
        answers = [await ended(service, request_id) for request_id in accepted]
        assert [(answer["status"], answer["count"]) for answer in answers] == [("0", "5")] * 3
        for answer in (done, *answers):
            assert (await service.call("HEAD", answer["tarfile"]))[0] == 200
        assert await export(service, "another") not in {done["requestid"], *accepted}
