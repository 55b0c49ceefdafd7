"""The IMAP SDC, blocking: every verb of the asynchronous client, in scripts, threads and running loops."""

from __future__ import annotations

import asyncio
import base64
import copy
import inspect
import pickle
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.processes import ENVIRON

from aurora_async import imap
from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.imap import AlreadyExists, FileQuery, ImapConfig, NoSuchFile, ProcessingInputs
from aurora_async.sync import Imap

KEY = "imap-demo-key"
PRODUCT = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
# What only a loop can use, which the facade does without.
PLAIN = re.compile(r" \| AsyncIterable\[[^\[\]]*\]")


@pytest.fixture
def client(base_url: str, tmp_path: Path) -> Iterator[Imap]:
    """A blocking client of the local service, that sees and may do everything."""
    login = base64.b64encode(b"demo:demo").decode()
    with Imap(base_url=f"{base_url}/imap", api_key=KEY, data_dir=tmp_path, webpoda_token=login) as opened:
        yield opened


def verbs(kind: type[Any]) -> dict[str, Any]:
    """The public methods of a class."""
    return {
        name: value
        for name, value in inspect.getmembers(kind)
        if inspect.isfunction(value) and not name.startswith("_")
    }


def test_no_verb_is_missing_and_none_differs() -> None:
    """Arguments, their kinds, defaults and types, and what is returned; none of them is a coroutine function."""
    theirs, ours = verbs(imap.Imap), verbs(Imap)
    assert ours.keys() - {"close"} == theirs.keys()
    for name in theirs:
        expected = re.sub(
            r"-> 'Async(?:Generator|Iterator)\[(.*?)(?:, None)?\]'$",
            r"-> 'Generator[\1, None, None]'",
            PLAIN.sub("", str(inspect.signature(theirs[name]))),
        )
        assert str(inspect.signature(ours[name])) == expected, name
        assert ours[name].__doc__
        assert not inspect.iscoroutinefunction(ours[name])


def test_making_a_client_takes_the_same_arguments(tmp_path: Path) -> None:
    """And a copy of it, also in another process, is another client of the same service."""
    assert inspect.signature(Imap.__init__) == inspect.signature(imap.Imap.__init__)
    client = Imap(base_url="http://127.0.0.1:9", api_key="k", data_dir=tmp_path)
    for other in (copy.copy(client), pickle.loads(pickle.dumps(client))):
        assert other is not client
        assert repr(other) == repr(client)
        assert (
            other.config == client.config == ImapConfig(base_url="http://127.0.0.1:9", api_key="k", data_dir=tmp_path)
        )
    assert "***" in repr(client.config) and "'k'" not in repr(client.config)


def test_the_catalogue(client: Imap) -> None:
    """Tables of files, of kernels, of spins; all at once or one after the other."""
    found = client.query(instrument="swe", data_level="l1b", start_date="2024-05-10", end_date="2024-05-10")
    assert {row.data_level for row in found} == {"l1b"}
    query = FileQuery(descriptor="norm-dsrf", start_date="2026-04-12")
    assert [row.key for row in client.stream(query)] == [row.key for row in client.query(query)]
    assert "lsk/naif0012.tls" in {row.raw["file_name"] for row in client.spice_query(type="leapseconds")}
    assert client.spin_tables(start="2026-03-30") and client.repoint_tables() and client.thruster_tables()
    names = client.metakernel_files("2025-10-30", "2025-10-30", file_types=["leapseconds", "attitude_history"])
    assert "naif0012.tls" in names
    assert "KERNELS_TO_LOAD" in client.metakernel("2025-10-30", "2025-10-30").text


def test_a_stream_can_be_left_in_the_middle(client: Imap) -> None:
    """Its reader sets the pace, and what it did not take is not waited for."""
    rows = client.stream(instrument="codice")
    assert next(rows).instrument == "codice"
    rows.close()
    assert client.query(descriptor="norm-dsrf")


def test_errors_are_raised_where_the_call_was_made(client: Imap) -> None:
    """The same classes as in the asynchronous client."""
    with pytest.raises(InvalidQuery) as caught:
        client.query()
    assert caught.traceback[0].path == Path(__file__)
    with pytest.raises(InvalidInput):
        client.upload("imap_swe_l1a_sci_20270101_v001.0001.cdf")
    got = client.download("imap_swe_l1a_sci_19990101_v001.0001.cdf")
    assert isinstance(got.failed[0].error, NoSuchFile)


def test_files_in_every_form(client: Imap, tmp_path: Path) -> None:
    """By key, by name, by rows, by query, by the inputs of a job; a second time nothing comes."""
    assert client.download(PRODUCT).paths == [tmp_path / PRODUCT]
    rows = client.query(descriptor="norm-dsrf", start_date="2026-04-12", end_date="2026-04-14")
    got = client.download(rows, tmp_path / "rows")
    assert got.ok and len(got.paths) == len(rows) > 1
    assert (
        client.download(FileQuery(descriptor="norm-dsrf", end_date="2026-04-14"), tmp_path / "rows").fetched_bytes == 0
    )
    inputs = ProcessingInputs().add("naif0012.tls", "imap_2026_001_2026_002_01.spin")
    assert client.download(inputs).ok
    assert (tmp_path / "imap/spice/lsk/naif0012.tls").stat().st_size


def test_what_is_asked_for_may_come_from_blocking_calls(client: Imap, tmp_path: Path) -> None:
    """The iterable is not run in the loop, which would wait for itself."""
    days = ("2026-04-12", "2026-04-13")
    wanted = (row for day in days for row in client.query(descriptor="norm-dsrf", start_date=day, end_date=day))
    assert client.download(wanted).ok
    paths = []
    for _ in range(2):
        paths.append(tmp_path / f"imap_swe_l1a_{uuid.uuid4().hex[:9]}_20270101_v001.0001.cdf")
        paths[-1].write_bytes(b"made here")
    assert client.upload_many(path for path in paths if client.config).ok
    with pytest.raises(AlreadyExists):
        client.upload(paths[0])


def test_the_pipeline(client: Imap) -> None:
    """Jobs, what they said, and new ones."""
    asked = client.reprocess("2025-12-12", "2025-12-12", instrument="swapi")
    assert asked.id
    job = client.processing_jobs(instrument="swapi")[0]
    assert client.processing_log(job)


def test_a_folder_is_kept_up_to_date(client: Imap, tmp_path: Path) -> None:
    """A second run has nothing to do."""
    query = FileQuery(descriptor="norm-dsrf", end_date="2026-04-14")
    assert client.mirror(query, tmp_path / "mirror").new
    assert not client.mirror(query, tmp_path / "mirror").new


def test_a_client_serves_many_threads(client: Imap) -> None:
    """One connection pool."""
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda _: len(client.query(descriptor="norm-dsrf")), range(16)))
    assert len(set(counts)) == 1


async def test_blocking_calls_work_inside_a_running_loop(base_url: str, tmp_path: Path) -> None:
    """As in a notebook, whose loop they do not need."""
    with Imap(base_url=f"{base_url}/imap", data_dir=tmp_path) as client:
        found = client.query(descriptor="norm-dsrf")
        assert found.keys == (await asyncio.to_thread(client.query, descriptor="norm-dsrf")).keys


SCRIPT = """
import sys
from aurora_async.sync import Imap

with Imap(base_url=sys.argv[1], api_key="imap-demo-key", data_dir=sys.argv[2]) as client:
    try:
        rows = client.query(instrument="codice")
        client.download(rows, at_once=1, on_outcome=lambda file: print(file.ok, flush=True))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_ctrl_c_ends_a_download(base_url: str, tmp_path: Path) -> None:
    """What has come is whole, nothing else is there under its name, and no thread goes on."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, f"{base_url}/imap", str(tmp_path)]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n", process.communicate(timeout=10)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.splitlines()[-1] == "interrupted"
    assert all(path.stat().st_size for path in tmp_path.rglob("*.cdf"))


KNOWN = """
from collections.abc import Generator
from typing import assert_type

from aurora_async.imap import (
    Download, FileTable, Mirrored, ProcessingJob, Reprocessing, SpiceKernel, SpiceQuery, TableFile
)
from aurora_async.sync import Imap
from aurora_async.transfer.tables import Records

client = Imap(api_key="key")
rows = client.query(instrument="mag", data_level="l2", version="latest")
assert_type(rows[0].key, str)
assert_type(client.download(rows), Download)
assert_type(client.download("imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf", ".", deadline_s=1), Download)
assert_type(client.reprocess("2026-01-01", "2026-01-02"), Reprocessing)
assert_type(client.processing_jobs(instrument="mag"), Records[ProcessingJob])
assert_type(client.metakernel("2026-01-01", "2026-01-02").text, str)
assert_type(client.spice_query("spin"), FileTable[TableFile])
assert_type(client.spice_query("leapseconds", latest=True), FileTable[SpiceKernel])
assert_type(client.spice_query(SpiceQuery()), FileTable[SpiceKernel])
assert_type(client.repoint_tables(latest=True)[0], TableFile)
"""

REFUSED = """
from aurora_async.sync import Imap

client = Imap()
client.download()
client.spice_query(kind="x")
client.reprocess("2026-01-01")
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(KNOWN, []), (REFUSED, ["call-arg", "call-overload", "call-arg"])],
    ids=["known", "refused"],
)
def test_blocking_calls_are_typed_like_those_they_stand_for(text: str, expected: list[str], tmp_path: Path) -> None:
    """For type checkers, and with them for editors; nothing is `Any`."""
    script = tmp_path / "script.py"
    script.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(script)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert re.findall(rf"^{re.escape(str(script))}:.* error: .*\[(.*)\]$", done.stdout, re.MULTILINE) == expected
