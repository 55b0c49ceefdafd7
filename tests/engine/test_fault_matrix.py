"""Each fault against each way to get a result: the right bytes, or a clear error and no file; never a hang.

A row says what becomes of a search, a download and a batch. `right` is the whole, right result; everything else is the
name of the error. Of a batch, `failed` is a query that is given up until a retry, and `waits` one that the next run
goes on with; in every row that run, with the fault gone, ends with the right file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.disks import read_only, small_disk

from aurora_async import AuroraX, Config, EphemerisQuery, Polling, Retries, Timeouts
from aurora_async.engine import batch as batches
from aurora_async.engine.folder import BatchFolder
from aurora_async.engine.journal import Stage
from aurora_async.errors import AuroraError, NotFound
from aurora_async.testing import LocalServer

LIMIT_S = 20.0
"""More than any cell may take, on any machine."""
PATIENCE_S = 2.0
"""What never ends is given up after this long: by its deadline, or by stopping the batch."""
MOST_EXCHANGES = 60

QUERY = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:29", programs="swarm", platforms="swarma")
RIGHT = "right"

DATA, SUBMIT, STATUS = {"path": "*/data"}, {"path": "*/search"}, {"path": "*/requests/*", "skip": 0}
PLAIN = {"overlook": ["Accept-Encoding"]}
"""The body then comes as it is, with its length; otherwise compressed, in chunks, with no length."""
HTML = "<html><body>Log in to the hotel's network</body></html>"

Row = tuple[str, dict[str, Any], str, str, str]


def always(name: str, rule: dict[str, Any], search: str, download: str, batch: str) -> Row:
    """A fault that lasts as long as the cell."""
    return (f"{name}, always", rule, search, download, batch)


def once(name: str, rule: dict[str, Any]) -> Row:
    """A fault that passes: everything goes on as if nothing had been."""
    return (f"{name}, once", rule | {"times": 1}, RIGHT, RIGHT, RIGHT)


def cuts() -> Iterator[Row]:
    """In the first byte, in the last, and at each tenth between them."""
    for tenth in range(10):
        yield once(f"cut at {tenth}/10 of a length", DATA | PLAIN | {"cut_at": tenth / 10})
        yield once(f"cut at {tenth}/10 of chunks", DATA | {"cut_at": tenth / 10})


# fmt: off
ROWS: list[Row] = [
    *cuts(),
    always("cut of a length", DATA | PLAIN | {"cut_at": 0.5},              "ConnectionLost", "ConnectionLost", "waits"),
    always("cut of chunks",   DATA | {"cut_at": 0.5},                      "ConnectionLost", "ConnectionLost", "waits"),
    once("reset in the body", DATA | {"cut_at": 0.5, "reset": True}),
    once("reset in the headers",   DATA | {"cut_at": "headers", "reset": True}),
    always("reset in the headers", DATA | {"cut_at": "headers", "reset": True},
                                                                           "ConnectionLost", "ConnectionLost", "waits"),
    once("reset in the headers of a status", {"path": "*/requests/*", "cut_at": "headers", "reset": True}),

    once("429",               {"path": "*", "each_path": True, "status": 429}),
    once("503",               {"path": "*", "each_path": True, "status": 503}),
    once("429 Retry-After",   {"path": "*", "each_path": True, "status": 429, "retry_after_s": 0.1}),
    once("503 Retry-After",   {"path": "*", "each_path": True, "status": 503, "retry_after_s": 0.1}),
    once("503 with a date",   {"path": "*/data", "status": 503, "retry_after_s": 1, "retry_after_date": True}),
    always("429 of submissions", SUBMIT | {"status": 429},              "TooManyRequests", "TooManyRequests", "waits"),
    always("503 of submissions", SUBMIT | {"status": 503},              "Unavailable", "Unavailable", "Unavailable"),
    always("429 of results",  DATA | {"status": 429},                   "TooManyRequests", "TooManyRequests", "waits"),
    always("503 of results",  DATA | {"status": 503},                   "Unavailable", "Unavailable", "Unavailable"),
    always("500 of results",  DATA | {"status": 500},                   "ServerError", "ServerError", "waits"),
    always("503 for a day",   DATA | {"status": 503, "retry_after_s": 86400},
                                                                        "Unavailable", "Unavailable", "waits"),
    always("401",             SUBMIT | {"status": 401},                 "Unauthorized", "Unauthorized", "Unauthorized"),
    always("maintenance",     SUBMIT | {"maintenance": True},
                                                              "MaintenanceMode", "MaintenanceMode", "MaintenanceMode"),

    always("length too large", DATA | PLAIN | {"content_length_off": 50}, "ConnectionLost", "ConnectionLost", "waits"),
    # What is too much may come after the rest was read: then it is only seen that the document has no end.
    always("length too small", DATA | PLAIN | {"content_length_off": -50},
                        "MalformedAnswer or IncompleteBody", "MalformedAnswer or IncompleteBody", "failed or waits"),
    once("length too large",   DATA | PLAIN | {"content_length_off": 50}),
    once("body without its end",   DATA | {"short_by": 40}),
    always("body without its end", DATA | PLAIN | {"short_by": 40},     "IncompleteBody", "IncompleteBody", "waits"),
    once("gzip without its end",   DATA | {"gzip": True, "short_by": 20}),
    always("gzip without its end", DATA | {"gzip": True, "short_by": 20}, "IncompleteBody", "IncompleteBody", "waits"),
    always("a byte damaged",  DATA | {"malformed": True},               "MalformedAnswer", "MalformedAnswer", "failed"),

    once("stall in the headers",   DATA | {"stall_at": "headers"}),
    once("stall in the body",      DATA | {"stall_at": 0.5}),
    always("stall in the body",    DATA | {"stall_at": 0.5},            "ReadTimeout", "ReadTimeout", "waits"),
    once("stall before the status", {"path": "*/requests/*", "stall_at": "answer"}),
    once("trickle",           DATA | {"bytes_per_s": 50}),
    always("trickle",         DATA | {"bytes_per_s": 50},         "ReadTimeout", "ReadTimeout", "waits"),

    once("accepted, answer lost",   SUBMIT | {"cut_at": "answer"}),
    once("accepted, answer resets", SUBMIT | {"cut_at": "answer", "reset": True}),
    once("accepted, answer stalls", SUBMIT | {"stall_at": "answer"}),
    once("cut before it was read",  SUBMIT | {"cut_at": "request"}),

    always("HTML with 200 for the result", DATA | {"status": 200, "body": HTML},
                                                                        "MalformedAnswer", "MalformedAnswer", "failed"),
    always("HTML with 200 for the status", {"path": "*/requests/*", "status": 200, "body": HTML},
                                                                        "MalformedAnswer", "MalformedAnswer", "failed"),
    always("HTML with 200 for the submission", SUBMIT | {"status": 200, "body": HTML},
                                                                        "MalformedAnswer", "MalformedAnswer", "failed"),
    always("an error document with 200", DATA | {"status": 200, "body": '{"error": {"error_code": "Other"}}'},
                                                                        "ResultMissing", "ResultMissing", "failed"),

    always("never finishes",  SUBMIT | {"never_finishes": True},    "DeadlineExceeded", "DeadlineExceeded", "waits"),
    always("error_condition", SUBMIT | {"error_condition": "no disk"},  "RequestFailed", "RequestFailed", "failed"),
    always("expired",         SUBMIT | {"expired": True},               "ResultExpired", "ResultExpired", "failed"),
    always("too many counted", SUBMIT | {"result_count_off": 1},        "WrongContent", "WrongContent", "failed"),
    always("too few counted",  SUBMIT | {"result_count_off": -1},       "WrongContent", "WrongContent", "failed"),
]
# fmt: on


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """The local services, in a thread."""
    with LocalServer() as running:
        yield running


@pytest.fixture(scope="module")
def right(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The right file."""
    path = tmp_path_factory.mktemp("right") / "right.jsonl"

    async def fetch() -> None:
        async with AuroraX(a_config(server), synchronous=False) as client:
            await client.ephemeris.download(QUERY, path, format="jsonl")

    asyncio.run(fetch())
    assert path.read_bytes().count(b"\n") == 30
    return path.read_bytes()


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds show what three do."""
    monkeypatch.setattr(batches, "_ROUNDS", 2)


def a_config(server: LocalServer) -> Config:
    """Short waits and few tries."""
    return Config(
        base_url=server.base_url,
        polling=Polling(floor_s=0.01, ceiling_s=0.1),
        retries=Retries(attempts=2, first_s=0.01, ceiling_s=0.05),
        timeouts=Timeouts(connect_s=2, read_s=0.3, least_bytes_per_s=1000, cancel_s=1),
        trust_environment=False,
    )


async def search(client: AuroraX, folder: Path, right: bytes) -> str:
    """Records in memory."""
    records = await client.ephemeris.search(QUERY, deadline_s=PATIENCE_S)
    assert len(records) == right.count(b"\n")
    return RIGHT


async def download(client: AuroraX, folder: Path, right: bytes) -> str:
    """A file."""
    target = folder / "result.jsonl"
    try:
        await client.ephemeris.download(QUERY, target, format="jsonl", deadline_s=PATIENCE_S)
    except AuroraError:
        assert not list(folder.iterdir()), "after an error there is nothing"
        raise
    assert target.read_bytes() == right
    assert [path.name for path in folder.iterdir()] == ["result.jsonl"]
    return RIGHT


async def batch(client: AuroraX, folder: Path, right: bytes) -> str:
    """A file that is tried for again, in this run and in the next."""
    async with client.batch(folder, [QUERY]) as opened:
        run = asyncio.create_task(opened.finish())
        try:
            await asyncio.wait([run], timeout=PATIENCE_S)
            opened.stop()
            await asyncio.wait([run], timeout=PATIENCE_S)
            if not run.done():
                run.cancel()
                await asyncio.wait([run])
                return "cancelled"
            status = await run
        finally:
            results = list(folder.rglob("*.jsonl"))
            parts = list((folder / ".parts").glob("*")) if (folder / ".parts").exists() else []
            assert not parts and len(results) <= 1 and all(path.read_bytes() == right for path in results)
    assert len(results) == status.done
    if status.is_complete:
        return RIGHT
    ((row, stage),) = ((row, Stage(row.phase)) for row in BatchFolder(folder).rows())
    assert stage is Stage.SUBMITTED or row.reason
    return "failed" if stage is Stage.FAILED else "waits"


async def goes_on(client: AuroraX, folder: Path, right: bytes) -> None:
    """Run the batch again when all is well."""
    async with client.batch(folder) as opened:
        for request_id in opened.folder.rows()[0].request_ids:
            with suppress(NotFound):
                await client.ephemeris.cancel(request_id)  # what never finishes
        await opened.retry()
        if not (await opened.finish()).is_complete:
            await opened.retry()
            assert (await opened.finish()).is_complete
        assert await opened.verify() == []
    (path,) = folder.glob("*.jsonl")
    assert path.read_bytes() == right and not (folder / ".parts").exists()


WAYS = {"search": search, "download": download, "batch": batch}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
async def test_a_fault(server: LocalServer, right: bytes, tmp_path: Path, row: Row, way: str) -> None:
    """One cell of the matrix."""
    _, rule, *expected = row
    folder = tmp_path / "results"
    folder.mkdir()
    async with asyncio.timeout(LIMIT_S):
        async with AuroraX(a_config(server), synchronous=False) as client:
            fault = server.faults.add(**rule)
            try:
                found = await WAYS[way](client, folder, right)
            except AuroraError as error:
                found = type(error).__name__
                assert str(error)
            finally:
                exchanges = len(server.faults.requests)
                server.faults.clear()
            assert found in expected[list(WAYS).index(way)].split(" or ")
            assert fault.hits, "the fault was never met"
            assert exchanges <= MOST_EXCHANGES
        if way == "batch":  # with another client: the host may have asked this one for a long pause
            async with AuroraX(a_config(server), synchronous=False) as client:
                await goes_on(client, folder, right)


@pytest.mark.parametrize("way", ["download", "batch"])
async def test_a_full_disk(server: LocalServer, right: bytes, tmp_path: Path, way: str) -> None:
    """Said once, and nothing half is left; with space again the batch goes on."""
    with small_disk(tmp_path / "disk", "600k") as disk:
        folder = disk / "results"
        folder.mkdir()
        filler = disk / "filler"
        async with asyncio.timeout(LIMIT_S), AuroraX(a_config(server), synchronous=False) as client:
            if way == "batch":  # its journal has a place already
                async with client.batch(folder, [QUERY]):
                    pass
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 4096)
            with pytest.raises(AuroraError, match=r"space|full|disk") as caught:
                await WAYS[way](client, folder, right)
            assert type(caught.value).__name__ in ("DiskFull", "TargetNotWritable")
            filler.unlink()
            if way == "batch":
                await goes_on(client, folder, right)


@pytest.mark.parametrize("way", ["download", "batch"])
async def test_a_folder_that_cannot_be_written_to(server: LocalServer, right: bytes, tmp_path: Path, way: str) -> None:
    """It is said before the service has been asked anything."""
    folder = tmp_path / "results"
    folder.mkdir()
    server.faults.recording = True
    with read_only(folder) as place:
        async with asyncio.timeout(LIMIT_S), AuroraX(a_config(server), synchronous=False) as client:
            with pytest.raises(AuroraError):
                await client.ephemeris.download(QUERY, place / "result.jsonl") if way == "download" else None
                async with client.batch(place, [QUERY]):
                    pass
    assert not list(folder.iterdir()) and not server.faults.requests
    server.faults.clear()
