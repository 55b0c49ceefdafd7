"""How fast does a large body come to the disk, and what does it take meanwhile?

A stand-in sends a result of records with Content-Length, in chunks, over TLS, or compressed. Like is compared with
like: `fetch` without a digest with curl and others, which write and are done (though ours has the file on the disk, by
fsync, before it has its name); `fetch` with its SHA-256, and `download`, which also counts the records, with curl that
has `sha256sum` and `sync` behind it. The disk is that of the temporary folder.
"""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import standins
from benchmarks.measure import Bench, Facts, Outcome, Span, Subject, figure, run_tool, watched_loop
from benchmarks.table import Row, Target

__all__ = ["ask", "by_aiohttp", "by_parfive", "by_tool", "downloaded", "fetched"]

DATA = "api/v1/ephemeris/requests/00000000-0000-4000-8000-000000000000/data"

WRITE = "curl -sSf -o {file} {url}"
INFLATE = "curl -sSf --compressed -o {file} {url}"
TOOLS: Mapping[str, tuple[str, str]] = {
    "curl": ("curl", WRITE),
    "wget": ("wget", "wget -q -O {file} {url}"),
    "aria2c": ("aria2c", "aria2c -q -d {folder} -o file {url}"),
}
CHECKED = "curl, sha256sum, sync"
CHECK = WRITE + " && sha256sum {file} > {file}.sha256 && sync {file}"


def ask(bench: Bench) -> list[Row]:
    """Ask for each coding, then for what else is done on the way."""
    large, smaller = bench.size(2_000_000_000, 5_000_000), bench.size(1_000_000_000, 5_000_000)
    with tempfile.TemporaryDirectory() as folder, standins.bodies() as plain:
        authority = Path(folder) / "authority.pem"
        with standins.bodies(authority) as tls:
            sized = f"{plain}/plain/{large}"
            identity = bench.by_turns(
                {
                    "written": Subject(fetched, (sized, False)),
                    **{
                        name: Subject(by_tool, (sized, command), needs=tool, rounds=None if name == "curl" else 1)
                        for name, (tool, command) in TOOLS.items()
                    },
                    "aiohttp, aiofiles": Subject(by_aiohttp, (sized,), needs="aiohttp", rounds=1),
                    "parfive": Subject(by_parfive, (sized,), needs="parfive", rounds=1),
                },
                settled=True,
            )
            checked = bench.by_turns(
                {
                    "fetch": Subject(fetched, (sized, True)),
                    "download": Subject(downloaded, (sized,)),
                    CHECKED: Subject(by_tool, (sized, CHECK), needs="curl"),
                },
                settled=True,
            )
            trusted = {"SSL_CERT_FILE": str(authority), "CURL_CA_BUNDLE": str(authority)}
            codings: Mapping[str, tuple[str, str, Mapping[str, str], Target]] = {
                "in chunks": (f"{plain}/chunked/{smaller}", WRITE, {}, Target("≥", 1.0, "curl")),
                "TLS": (f"{tls}/plain/{smaller}", WRITE, trusted, Target("≥", 0.8, "curl")),
                "gzip": (f"{plain}/gzip/{smaller}", INFLATE, {}, Target("≥", 1.1, "curl")),
            }
            coded = {
                name: bench.by_turns(
                    {
                        f"{name}, ours": Subject(fetched, (url, False), variables=variables),
                        f"{name}, curl": Subject(by_tool, (url, command), needs="curl", variables=variables),
                    },
                    settled=True,
                )
                for name, (url, command, variables, _) in codings.items()
            }
    for found in (identity, checked, *coded.values()):
        sizes = {facts["bytes"] for outcome in found.values() if not isinstance(outcome, str) for facts in outcome}
        assert len(sizes) == 1, sizes

    def row(
        what: str, unit: str, ours: Outcome, others: Mapping[str, Outcome], of: Any, target: Target | None = None
    ) -> Row:
        return Row(
            question=f"body to disk, {large / 1e9:g} GB (coded: {smaller / 1e9:g} GB)", what=what,
            unit=unit, ours=figure(ours, of, worst=unit == "ms"),
            others={name: figure(outcome, of) for name, outcome in others.items()}, target=target,
            more_is_better=unit == "MB/s", apart=unit == "MB",
        )  # fmt: skip

    def pace(facts: Facts) -> float:
        return float(facts["bytes"] / 1e6 / facts["wall_s"])

    written = identity.pop("written")
    theirs = {CHECKED: checked[CHECKED]}
    small, seldom = Target("≤", 60), Target("≤", 20)
    return [
        row("fetch, no digest", "MB/s", written, identity, pace, Target("≥", 1.3, "curl")),
        *(
            row(f"same, {name}", "MB/s", found[f"{name}, ours"], {"curl": found[f"{name}, curl"]}, pace, target)
            for (name, found), (*_, target) in zip(coded.items(), codings.values(), strict=True)
        ),
        row("fetch", "MB/s", checked["fetch"], theirs, pace),
        row("download", "MB/s", checked["download"], theirs, pace),
        row("memory, no digest", "MB", written, identity, "peak_mb", small),
        row("memory, fetch", "MB", checked["fetch"], theirs, "peak_mb", small),
        row("lag, no digest", "ms", written, {}, "lag_ms", seldom),
        row("lag, fetch", "ms", checked["fetch"], {}, "lag_ms", seldom),
    ]


async def fetched(base_url: str, digest: bool) -> Facts:
    """`fetch`, as applications use it."""
    from aurora_async import fetch

    async def work(path: Path) -> None:
        await fetch(f"{base_url}/{DATA}", path, sha256=digest)

    return await _in_loop(work)


async def downloaded(base_url: str) -> Facts:
    """The result of a request, byte for byte."""
    from aurora_async import AuroraX, EphemerisQuery

    query = EphemerisQuery(start="2019-01-01", end="2019-01-31", programs="swarm")
    async with AuroraX(base_url=base_url) as client:
        request = await client.ephemeris.submit(query)
        await request.wait()

        async def work(path: Path) -> None:
            await request.download(path, format="body")

        return await _in_loop(work)


async def by_aiohttp(base_url: str) -> Facts:
    """What one writes with aiohttp and aiofiles."""
    import aiofiles
    import aiohttp

    async def work(path: Path) -> None:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.get(f"{base_url}/{DATA}") as answer,
            aiofiles.open(path, "wb") as file,
        ):
            async for piece in answer.content.iter_chunked(1 << 20):
                await file.write(piece)

    return await _in_loop(work)


def by_parfive(base_url: str) -> Facts:
    """sunpy's downloader."""
    import parfive

    with tempfile.TemporaryDirectory() as folder:
        downloader = parfive.Downloader(progress=False)
        downloader.enqueue_file(f"{base_url}/{DATA}", path=folder, filename="file")
        with Span() as span:
            found = downloader.download()
        assert not found.errors, found.errors
        return span.facts(bytes=(Path(folder) / "file").stat().st_size)


def by_tool(base_url: str, command: str) -> Facts:
    """A program, with what is to follow."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        given = {"folder": folder, "file": str(path), "url": f"{base_url}/{DATA}"}
        line = command.format(**{name: shlex.quote(value) for name, value in given.items()})
        return {**run_tool([line], shell=True), "bytes": path.stat().st_size}


async def _in_loop(work: Callable[[Path], Awaitable[None]]) -> Facts:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        with watched_loop() as lag, Span() as span:
            await work(path)
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        return span.facts(bytes=size, lag_ms=lag.longest_ms)
