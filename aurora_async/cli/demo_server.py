"""The demo's server: a process of its own, so that server and client use a core each, which ends when we do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

import aurora_async
from aurora_async.cli.exits import PROGRAM, Failed

__all__ = ["local_server"]

_START_S = 30.0
_STOP_S = 5.0
_READY = "listening on "


@asynccontextmanager
async def local_server(*, workers: int | None = None, server_time_s: float = 0.0) -> AsyncIterator[str]:
    """Start the local services on a free loopback port, and give their base URL.

    The process is stopped when the block ends, however it ends. Should this process be killed, the pipe that is the
    other's stdin closes, and it stops by itself.
    """
    command = [
        sys.executable, "-m", "aurora_async", "serve", "--port", "0", "--until-stdin-closes",
        "--server-time", str(server_time_s), *([] if workers is None else ["--workers", str(workers)]),
    ]  # fmt: skip
    root = str(Path(aurora_async.__path__[0]).parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile() as said:
        process = _start(command, said, {**os.environ, "PYTHONPATH": path})
        try:
            yield await _ready(process, said)
        finally:
            _stop(process)


def _start(command: list[str], said: IO[bytes], environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env=environ,
        start_new_session=True,  # Ctrl-C is for us: we cancel what runs there, and stop it then
    )


async def _ready(process: subprocess.Popen[bytes], said: IO[bytes]) -> str:
    assert process.stdout is not None
    line = b""
    with anyio.move_on_after(_START_S) as scope:
        line = await anyio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True)
    text = line.decode(errors="replace").strip()
    if text.startswith(_READY):
        return text.removeprefix(_READY)
    if line:
        raise Failed(f"the local server said {text!r} instead of {_READY!r}")
    if scope.cancelled_caught:
        raise Failed(f"the local server was not ready within {_START_S:g} s")
    _stop(process)  # it closed its stdout, and is about to end
    raise Failed(f"the local server did not start: {_last_line(said) or f'exit code {process.returncode}'}")


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read()[-10_000:].decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix(f"{PROGRAM}: error: ") if lines else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop it, and wait: it has a temporary folder to remove. Blocking is right here, nothing else is left to do."""
    assert process.stdin is not None and process.stdout is not None
    process.terminate()
    try:
        process.wait(_STOP_S)
    except BaseException:
        process.kill()
        process.wait()
    finally:
        process.stdin.close()
        process.stdout.close()
