"""What does keeping 10,000 queries in a folder cost: memory, time, and how much of it goes to the journal?

The service is a stand-in in a process of its own that accepts whatever comes and has every result at once, so that the
batch itself is what takes the time. Each query becomes a file of ten records. `journal % CPU` is what the writer's
thread computes, against the CPU time of the whole process; `journal % wall` is how long it is at work, waiting for the
disk included: other queries go on meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measure import print_table, report, run_subject

MODULE = "benchmarks.batch"


async def service(port: int = 0) -> None:
    """Accept every search, and answer each look and each fetch at once."""
    import json

    from aiohttp import web

    source = {"identifier": 3, "program": "swarm", "platform": "swarma"}
    at = "2020-01-01T00:00:00"
    location = {"lat": 51.5, "lon": -114.1}
    record = {"data_source": source, "epoch": at, "location_geo": location, "nbtrace": location, "metadata": {}}
    data = json.dumps({"result": [record] * 10}).encode()
    result = {"data_uri": "there", "result_count": 10, "file_size": len(data), "completed_timestamp": at}
    result |= {"error_condition": False, "result_file_deleted_timestamp": None}

    async def answer(request: web.BaseRequest) -> web.Response:
        path = request.path
        if request.method == "POST":
            request_id = json.loads(await request.read())["request_id"]
            return web.Response(
                status=202, headers={"Location": f"{path.removesuffix('/search')}/requests/{request_id}"}
            )
        if path.endswith("/data"):
            return web.Response(body=data, content_type="application/json")
        asked = {"request_id": path.rpartition("/")[2], "query": {}, "requested": at}
        status = {"search_request": asked, "logs": [], "search_result": result}
        return web.Response(body=json.dumps(status).encode(), content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def stand_in() -> Iterator[str]:
    """Run the service in a process of its own; gives its base URL."""
    command = [sys.executable, "-m", MODULE, "--subject", "service"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def timed(spent: dict[str, float]) -> Callable[[], None]:
    """Have the writer's threads tell how long they commit."""
    from aurora_async.database import Database

    commit = Database._commit

    def counted(self: Database, batch: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            return commit(self, batch)
        finally:
            spent["wall_s"] += time.perf_counter() - wall
            spent["cpu_s"] += time.thread_time() - cpu
            spent["commits"] += 1
            spent["changes"] += len(batch)

    Database._commit = counted  # type: ignore[method-assign]
    return lambda: setattr(Database, "_commit", commit)


async def ours(base_url: str, count: int, at_once: int) -> Mapping[str, Any]:
    """Plan, run, and open once more."""
    from aurora_async import AuroraX, EphemerisQuery

    start = datetime(2020, 1, 1)
    spans = [
        (start + timedelta(minutes=10 * number), start + timedelta(minutes=10 * number + 9)) for number in range(count)
    ]
    folder = Path(tempfile.mkdtemp(prefix="aurora_async-batch-"))
    spent = {"wall_s": 0.0, "cpu_s": 0.0, "commits": 0.0, "changes": 0.0}
    timed(spent)
    clock, cpu = time.perf_counter, time.process_time
    try:
        async with AuroraX(base_url=base_url) as client:
            queries = [EphemerisQuery(start=first, end=last, platforms="swarma") for first, last in spans]
            began = clock()
            async with client.batch(folder, queries) as batch:
                planned_s = clock() - began
                spent.update(wall_s=0.0, cpu_s=0.0)
                began, cpu_began = clock(), cpu()
                async for entry in batch.run(at_once=at_once):
                    assert entry.records == 10
                run_s, run_cpu_s = clock() - began, cpu() - cpu_began
            began = clock()
            async with client.batch(folder, queries) as batch:
                status = await batch.finish()
                assert status.done == count and status.requests == count
            again_s = clock() - began
    finally:
        shutil.rmtree(folder)
    return {
        "plan_s": planned_s,
        "run_s": run_s,
        "again_s": again_s,
        "journal_cpu": spent["cpu_s"] / run_cpu_s,
        "journal_wall": spent["wall_s"] / run_s,
        "changes_a_commit": spent["changes"] / spent["commits"],
    }


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the batch against the stand-in; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=100)
    options = parser.parse_args(argv)
    if options.subject == "service":
        asyncio.run(service())
        return []
    if options.subject:
        report(lambda: ours(options.base_url, options.count, options.at_once))
        return []
    numbers = "--count", str(options.count), "--at-once", str(options.at_once)
    with stand_in() as base_url:
        facts = run_subject(MODULE, "ours", "--base-url", base_url, *numbers)
    rows = [
        {
            "queries": options.count,
            "at once": options.at_once,
            "plan s": facts["plan_s"],
            "run s": facts["run_s"],
            "queries/s": options.count / facts["run_s"],
            "again s": facts["again_s"],
            "peak MB": facts["peak_mb"],
            "journal % CPU": 100 * facts["journal_cpu"],
            "journal % wall": 100 * facts["journal_wall"],
            "changes a commit": facts["changes_a_commit"],
        }
    ]
    print_table((__doc__ or "").splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
