"""How fast does a file of a gigabyte come in against curl, and how much memory does it take?

A bare server in a process of its own sends one file of the wanted size, with Content-Length and an ETag, from memory.
curl writes and is done; ours also computes the SHA-256, and has the file on the disk (fsync) before it has its name. So
there is a third subject: curl with `sha256sum` and `sync` behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import print_table, report, run_subject

MODULE = "benchmarks.fetch"
SUBJECTS = ("curl", "curl, sha256sum, sync", "ours")
_PIECE = 1 << 20


async def serve(size: int) -> None:
    """Send the file to whoever asks, and print the port. No HTTP library: the server must not be the slow one."""
    piece = bytes(range(256)) * (_PIECE // 256)
    head = f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "1"\r\nConnection: close\r\n\r\n'.encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for at in range(0, size, _PIECE):
            writer.write(piece[: size - at])
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def ours(url: str, target: Path) -> Mapping[str, Any]:
    """Fetch it, as applications do."""
    from aurora_async import fetch

    started = time.perf_counter()
    fetched = await fetch(url, target)
    return {"took_s": time.perf_counter() - started, "bytes": fetched.bytes}


async def curl(url: str, target: Path, then: str) -> Mapping[str, Any]:
    """Fetch it with curl, and do what is to follow."""
    path = shlex.quote(str(target))
    started = time.perf_counter()
    process = await asyncio.create_subprocess_shell(f"curl -sf -o {path} {url}" + then.format(path))
    await process.wait()
    return {"took_s": time.perf_counter() - started, "bytes": await asyncio.to_thread(os.path.getsize, target)}


async def subject(name: str, url: str) -> Mapping[str, Any]:
    """Run a subject in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "file"
        if name == "ours":
            return await ours(url, target)
        return await curl(url, target, "" if name == "curl" else " && sha256sum {0} > {0}.sha256 && sync {0}")


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Run the subjects against one server; return the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject")
    parser.add_argument("--url", default="")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    size = options.megabytes * 1_000_000
    if options.subject == "serve":
        asyncio.run(serve(size))
        return []
    if options.subject:
        report(lambda: subject(options.subject, options.url))
        return []
    command = [sys.executable, "-m", MODULE, "--subject", "serve", "--megabytes", str(options.megabytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/file"
        try:
            # In turns, the best of each: what else the machine does hits all of them alike.
            rounds = [[run_subject(MODULE, name, "--url", url) for name in SUBJECTS] for _ in range(options.rounds)]
        finally:
            server.terminate()
    best = [min((facts[at] for facts in rounds), key=lambda one: one["took_s"]) for at in range(len(SUBJECTS))]
    assert {facts["bytes"] for facts in best} == {size}
    rows = [
        {
            "subject": name,
            "MB": options.megabytes,
            "seconds": facts["took_s"],
            "MB/s": options.megabytes / facts["took_s"],
            "x curl": best[0]["took_s"] / facts["took_s"],
            "s CPU": facts["cpu_s"] if name == "ours" else "",
            "peak MB": facts["peak_mb"] if name == "ours" else "",
        }
        for name, facts in zip(SUBJECTS, best, strict=True)
    ]
    print_table(__doc__.splitlines()[0], rows)
    return rows


if __name__ == "__main__":
    main()
