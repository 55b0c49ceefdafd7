"""Killed between any two system calls, where an old file is replaced, and where a transfer is gone on with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.files import FileServer, content, serving_file

DATA = content(300_000)

# One process that forks: each child is killed at another call, and followed by one that is not.
KILLER = """
import asyncio, itertools, os, sys
from pathlib import Path
from aurora_async.config import Config, Retries
from aurora_async.processes import host
from aurora_async.transfer.fetch import FetchOptions, fetch
from aurora_async.transfer.leases import Claim
from aurora_async.transfer.versions import Version

url, folder, way, data = sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]).read_bytes()
target = folder / "x"
config = Config(trust_environment=False, retries=Retries(attempts=1))
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.truncate", "os.link"}


def forked(work):
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{error!r}\\n")
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run():
    asyncio.run(fetch(url, target, config=config, options=FetchOptions(exists="replace" if way == "old" else "check")))


def killed_at(number):
    count = itertools.count()

    def look(event, arguments):
        about = str(arguments[0]) if arguments else ""
        if event in CHANGES or (event == "open" and str(folder) in about and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if next(count) == number:
                os._exit(9)

    def counted(call):
        def counting(*arguments):
            if next(count) == number:
                os._exit(9)
            return call(*arguments)
        return counting

    os.write, os.fsync = counted(os.write), counted(os.fsync)
    sys.addaudithook(look)
    run()


def leave_half():
    ours = Claim(target, 30, f"{host()}/4194999/dead")  # above the highest number that Linux gives
    assert ours.take()
    half = len(data) // 2
    ours.part.write_bytes(data[:half])
    ours.note(Version(etag='"v1"', validator='"v1"', length=len(data)), half)


for number in range(500):
    if way == "old":
        target.write_bytes(b"old")
    else:
        target.unlink(missing_ok=True)
        leave_half()
    code = forked(lambda: killed_at(number))
    assert target.read_bytes() in (b"old", data) if way == "old" else not target.exists() or target.read_bytes() == data
    assert forked(run) == 0, number
    assert target.read_bytes() == data, number
    assert [path.name for path in folder.iterdir()] == ["x"], (number, list(folder.rglob("*")))
    if code == 0:
        print(number)
        break
    assert code == 9, (number, code)
"""


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """A server of one file."""
    async with serving_file(DATA) as running:
        yield running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("way", ["old", "left"])
async def test_whatever_call_it_is_killed_at_the_next_run_ends_well(
    server: FileServer, tmp_path: Path, way: str
) -> None:
    """The old file, or the new one whole, or none; then the right bytes under the name, and nothing beside it."""
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "folder").mkdir()
    arguments = [sys.executable, "-c", KILLER, server.url, str(tmp_path / "folder"), way, str(tmp_path / "data")]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = await asyncio.to_thread(
        subprocess.run, arguments, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
