"""Sixteen downloads at once, killed in the middle and started again: no byte of a finished file comes twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.processes import ENVIRON
from support.scripted_imap import ScriptedImap, body_of, mag_key, serving_imap

MOST_BYTES = 150_000_000
SIZES = (*[20_000] * 15, 5_000_000)

# A run prints what came of it, and the most memory that it ever had: not `ru_maxrss`, which begins with its parent's.
RUN = """
import asyncio, json, sys
from pathlib import Path
from aurora_async.imap import ImapConfig
from aurora_async.imap.downloads import download_files
from aurora_async.http import Session

async def run(url, folder):
    config = ImapConfig(base_url=url, data_dir=folder, trust_environment=False)
    async with Session(config) as session:
        download = await download_files(session, config, json.load(sys.stdin), at_once=16)
    memory = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    print(json.dumps({"ok": download.ok, "fetched": download.fetched_bytes, "memory": memory}))

asyncio.run(run(*sys.argv[1:]))
"""


async def started(archive: ScriptedImap, folder: Path, keys: list[str]) -> asyncio.subprocess.Process:
    """Begin to download in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, archive.base_url, str(folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=ENVIRON,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(keys).encode())
    process.stdin.close()
    return process


async def result_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Wait for a run, and return what it printed."""
    said, _ = await process.communicate()
    assert process.returncode == 0
    return dict(json.loads(said))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_what_was_finished_when_it_was_killed_is_not_fetched_again(tmp_path: Path) -> None:
    """All files are there in the end, byte for byte, and the memory does not grow with them."""
    keys = [mag_key(day) for day in range(1, 209)]
    async with serving_imap() as archive:
        for number, key in enumerate(keys):
            archive.add([key], SIZES[number % len(SIZES)], listed=False)
        process = await started(archive, tmp_path, keys)
        while len(archive.requests("get")) < len(keys) // 2:
            await asyncio.sleep(0.005)
            assert process.returncode is None
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        finished = [key for key in keys if (tmp_path / key).exists()]
        assert len(keys) // 4 < len(finished) < len(keys)
        assert all((tmp_path / key).read_bytes() == archive.objects[key] for key in finished)
        done = await result_of(await started(archive, tmp_path, keys))
    sent: Counter[str] = Counter()
    for one in archive.requests("get"):
        sent[one.path.partition("?")[0].removeprefix("/bucket/")] += one.sent
    assert {key: sent[key] for key in finished} == {key: len(archive.objects[key]) for key in finished}
    assert done["ok"]
    assert done["fetched"] <= sum(len(archive.objects[key]) for key in keys if key not in finished)
    assert done["memory"] < MOST_BYTES
    # A claim that was half written when the process died names nobody, and stays until its lease would be over.
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".new"]
    found = {path.relative_to(tmp_path).as_posix(): path for path in left}
    assert sorted(found) == sorted(keys)
    assert all(path.read_bytes() == body_of(key, len(archive.objects[key])) for key, path in found.items())
