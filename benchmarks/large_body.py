"""How fast does a result of gigabytes come in, and how much memory does it take?

A bare service in a process of its own answers one ephemeris request with a body of the wanted size: 1,440 records of a
spacecraft-day, over and over, with Content-Length and uncompressed. The disk is that of the temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import print_table, report, run_subject

MODULE = "benchmarks.large_body"
SUBJECTS = ("download body", "download json", "stream typed")


def block_of_records() -> bytes:
    """One day of ephemeris as the service writes it, without the list's brackets."""
    source = {
        "identifier": 3,
        "program": "swarm",
        "platform": "swarma",
        "instrument_type": "footprint",
        "source_type": "leo",
        "display_name": "Swarm A",
    }
    records = [
        {
            "data_source": source,
            "epoch": f"2019-01-01T{minute // 60:02d}:{minute % 60:02d}:00",
            "location_geo": {"lat": -17.019026 + minute / 97, "lon": -136.0207 + minute / 31},
            "location_gsm": {"lat": 3.25 + minute / 89, "lon": 101.5 - minute / 41},
            "nbtrace": {"lat": 14.933351 + minute / 71, "lon": -130.16835 + minute / 37},
            "sbtrace": {"lat": None, "lon": None},
            "metadata": {
                "radial_distance": 6819.1090046469235,
                "nbtrace_region": "low latitude",
                "sbtrace_region": "low latitude",
                "spacecraft_region": "dayside plasmasphere",
                "state": "definitive",
            },
        }
        for minute in range(1440)
    ]
    return json.dumps(records, separators=(",", ":")).encode()[1:-1]


async def serve(size: int) -> None:
    """Speak just enough of the protocol for one kind of request, and print the port."""
    from aiohttp import web

    block = block_of_records()
    blocks = max(size // len(block), 1)
    count = 1440 * blocks
    length = len(b'{"result":[') + blocks * len(block) + (blocks - 1) + len(b"]}")

    async def submit(request: web.Request) -> web.Response:
        request_id = (await request.json())["request_id"]
        return web.Response(status=202, headers={"Location": f"http://{request.host}/requests/{request_id}"})

    async def status(request: web.Request) -> web.Response:
        document = {
            "search_request": {"request_id": request.match_info["id"]},
            "logs": [],
            "search_result": {"data_uri": "x", "result_count": count, "file_size": length, "error_condition": False},
        }
        return web.json_response(document)

    async def data(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(length), "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"result":[')
        for number in range(blocks):
            await response.write(block if number == 0 else b"," + block)
        await response.write(b"]}")
        return response

    application = web.Application()
    application.router.add_post("/api/v1/ephemeris/search", submit)
    application.router.add_get("/api/v1/ephemeris/requests/{id}", status)
    application.router.add_get("/api/v1/ephemeris/requests/{id}/data", data)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def _request(base_url: str) -> AsyncIterator[Any]:
    from aurora_async import AuroraX, EphemerisQuery

    query = EphemerisQuery(start="2019-01-01", end="2019-01-31", programs="swarm")
    async with AuroraX(base_url=base_url, synchronous=False) as client:
        yield await client.ephemeris.submit(query)


async def ours(base_url: str, subject: str) -> Mapping[str, Any]:
    """Fetch the body in one of our ways; tells the longest time the event loop was not served."""
    longest_s = 0.0

    async def watch() -> None:
        nonlocal longest_s
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, loop.time() - before - 0.001)

    records = 0
    async with _request(base_url) as request:
        await request.wait()
        watcher = asyncio.create_task(watch())
        started = asyncio.get_running_loop().time()
        if subject == "stream typed":
            async for _ in request.stream():
                records += 1
        else:
            with tempfile.TemporaryDirectory() as folder:
                saved = await request.download(Path(folder) / "out", format=subject.split()[1])
                records = saved.records
        took_s = asyncio.get_running_loop().time() - started
        watcher.cancel()
    return {"took_s": took_s, "records": records, "blocked_ms": 1000 * longest_s}


async def curl(base_url: str) -> Mapping[str, Any]:
    """The yardstick: the same body to the same disk by curl."""
    url = f"{base_url}/api/v1/ephemeris/requests/{uuid.uuid4()}/data"
    with tempfile.TemporaryDirectory() as folder:
        command = ["curl", "-s", "-o", str(Path(folder) / "out"), "-w", "%{time_total}", url]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        printed, _ = await process.communicate()
    return {"took_s": float(printed), "records": 0, "blocked_ms": 0.0}


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects against one service; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--megabytes", type=int, default=2000)
    options = parser.parse_args(argv)
    size = options.megabytes * 1_000_000
    if options.subject == "serve":
        asyncio.run(serve(size))
        return []
    if options.subject:
        base_url, subject = options.base_url, options.subject
        report(lambda: curl(base_url) if subject == "curl" else ours(base_url, subject))
        return []
    rows = []
    command = [sys.executable, "-m", MODULE, "--subject", "serve", "--megabytes", str(options.megabytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        try:
            for subject in ("curl", *SUBJECTS):
                facts = run_subject(MODULE, subject, "--base-url", base_url)
                rows.append(
                    {
                        "subject": subject,
                        "MB": options.megabytes,
                        "seconds": facts["took_s"],
                        "MB/s": options.megabytes / facts["took_s"],
                        "x curl": rows[0]["seconds"] / facts["took_s"] if rows else 1.0,
                        "peak MB": 0.0 if subject == "curl" else facts["peak_mb"],
                        "loop blocked ms": facts["blocked_ms"],
                        "records": facts["records"],
                    }
                )
        finally:
            server.terminate()
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
