"""JSOC, blocking: every verb of the asynchronous client, in scripts, threads and running loops."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import pickle
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.processes import ENVIRON

from aurora_async import jsoc, sync
from aurora_async.errors import InvalidInput, InvalidQuery, RequestError
from aurora_async.jsoc import ExportQuery, NoSuchSeries
from aurora_async.jsoc import attrs as a
from aurora_async.sync import Export, Jsoc

DOPPLERGRAMS = "hmi.v_45s[2016.04.01_TAI/1d@6h]{Dopplergram}"
SHARP = "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]{continuum, magnetogram}"
EMAIL = "demo@example.com"
# What is used inside the package.
INTERNAL = {"list_files", "fetch", "knows", "submit_until"}
# What the facade takes and gives instead of what only a loop can use.
PLAIN = {"Iterable[Exportable] | AsyncIterable[Exportable]": "Iterable[Exportable]"}


@pytest.fixture
def client(base_url: str) -> Any:
    """A blocking client of the local service."""
    with Jsoc(base_url=base_url, email=EMAIL) as opened:
        yield opened


def verbs(kind: type[Any]) -> dict[str, Any]:
    """The public methods of a class."""
    return {
        name: value
        for name, value in inspect.getmembers(kind)
        if inspect.isfunction(value) and not name.startswith("_") and name not in INTERNAL
    }


@pytest.mark.parametrize(("asynchronous", "blocking"), [(jsoc.Jsoc, Jsoc), (jsoc.Export, Export)])
def test_no_verb_is_missing_and_none_differs(asynchronous: type[Any], blocking: type[Any]) -> None:
    """Arguments, their kinds, defaults and types, and what is returned; none of them is a coroutine function."""
    theirs, ours = verbs(asynchronous), verbs(blocking)
    assert ours.keys() - {"close"} == theirs.keys()
    for name in theirs:
        expected = str(inspect.signature(theirs[name]))
        for asynchronous_type, plain in PLAIN.items():
            expected = expected.replace(asynchronous_type, plain)
        assert str(inspect.signature(ours[name])) == expected, name
        assert ours[name].__doc__
        assert not inspect.iscoroutinefunction(ours[name])


def test_making_a_client_takes_the_same_arguments() -> None:
    """And a copy of it, also in another process, is another client of the same service."""
    assert inspect.signature(Jsoc.__init__) == inspect.signature(jsoc.Jsoc.__init__)
    client = Jsoc(base_url="http://127.0.0.1:9", email=EMAIL)
    for other in (copy.copy(client), pickle.loads(pickle.dumps(client))):
        assert other is not client
        assert repr(other) == repr(client)
        assert (other.email, other.server, other.config) == (client.email, client.server, client.config)


def test_series_and_records(client: Jsoc) -> None:
    """One verb after the other, with the values that the asynchronous client gives."""
    assert [one.name for one in client.series(r"hmi\.m_720s$")] == ["hmi.M_720s"]
    assert client.info("hmi.v_45s").primekeys == ("T_REC", "CAMERA")
    assert client.pkeys("hmi.v_45s") == ["T_REC", "CAMERA"]
    assert "CRLT_OBS" in client.keys("hmi.v_45s")
    assert client.count("hmi.v_45s[2013.07.03_08:42_TAI/4m]") == 5
    table = client.query("hmi.v_45s[2013.07.03_08:42_TAI/3m]", keywords="T_REC, QUALITY", segments="Dopplergram")
    assert len(table) == 4
    assert {type(value) for value in table["QUALITY"]} == {int}
    assert client.ask("jsoc_info", {"op": "rs_summary", "ds": "hmi.v_45s[2013.07.03_08:42_TAI/4m]"})["count"] == 5


def test_addresses(client: Jsoc) -> None:
    """Looked up, registered, and asked for what they have under way."""
    assert client.check_email().is_registered
    assert not client.check_email("sync@example.com").is_registered
    assert client.register_email("sync@example.com", deadline_s=60).is_registered
    assert not client.pending("sync@example.com").is_pending
    assert not client.cancel_pending("sync@example.com").is_pending


def test_errors_are_raised_where_the_call_was_made(client: Jsoc) -> None:
    """The same classes as in the asynchronous client."""
    with pytest.raises(NoSuchSeries) as caught:
        client.info("hmi.nothing")
    assert caught.traceback[0].path == Path(__file__)
    with pytest.raises(InvalidInput):
        client.query("hmi.v_45s[2013.07.03_08:42_TAI/3m]")


def test_an_export_in_every_form(client: Jsoc, tmp_path: Path) -> None:
    """In hand, found again, and from query to files in one call."""
    export = client.export(SHARP, method="url", protocol="fits")
    assert isinstance(export, Export)
    assert export.wait(deadline_s=60).phase.value == "ready"
    files = export.files()
    assert [file.filename.rsplit(".", 2)[1] for file in files] == ["continuum", "magnetogram"]
    assert export.directory
    assert export.tarfile is None
    found = export.download(tmp_path / "one")
    assert found.ok and len(found.paths) == 2
    manifest = sync.write_manifest(found, tmp_path / "manifest.json")
    assert json.loads(manifest.read_text("utf-8")) == found.manifest()
    again = client.resume(export.request_id)
    assert again.files() == files
    assert client.download(SHARP, tmp_path / "two", method="url", protocol="fits").ok
    with pytest.raises(TypeError, match="request_id"):
        pickle.dumps(export)


def test_kept_rows_are_what_is_exported(client: Jsoc) -> None:
    """These records and no others."""
    table = client.query("hmi.v_45s[2016.04.01_TAI/1d@6h]", keywords="T_REC, CAMERA")
    export = client.export(table[[0, 3]])
    assert [file.record[10:29] for file in export.files()] == ["2016.04.01_00:00:00", "2016.04.01_18:00:00"]


def test_a_run_of_exports(client: Jsoc, tmp_path: Path) -> None:
    """Outcomes as they come; the queries may come from blocking calls."""

    def queries() -> Any:
        for record in client.query("hmi.v_45s[2016.04.01_TAI/1d@6h]", keywords="T_REC, CAMERA").names:
            yield ExportQuery(f"{record}{{Dopplergram}}", method="url", protocol="fits")

    outcomes = list(client.run(queries(), folder=tmp_path, at_once=2))
    assert sorted(one.index for one in outcomes) == [0, 1, 2, 3]
    assert all(one.ok for one in outcomes)
    assert len(list(tmp_path.rglob("*.fits"))) == 4


def test_a_run_takes_what_an_export_takes(client: Jsoc) -> None:
    """Texts first of all; and says at once which one is none."""
    with client.run(["hmi.v_45s[2013.07.03_08:42_TAI]{Dopplergram}"]) as run:
        (outcome,) = run
    assert outcome.ok and len(outcome.files or ()) == 1
    with pytest.raises(InvalidQuery, match=r"exports\[1\]: 3 is no record set"):
        client.run(["hmi.v_45s[2013.07.03_08:42_TAI]", 3])  # type: ignore[list-item]


def test_a_search_by_attributes(client: Jsoc) -> None:
    """Each block of alternatives finds its own records, which can be exported as they are."""
    found = client.search(
        a.Series("aia.lev1_euv_12s")
        & a.Time("2021-07-03T14:27", "2021-07-03T14:28")
        & (a.Wavelength(171) | a.Wavelength(211))
    )
    assert [len(block) for block in found] == [len(set(block.table["T_REC"])) for block in found] == [6, 6]


def test_a_batch_of_exports(client: Jsoc, tmp_path: Path) -> None:
    """Kept in a folder, which knows what is done."""
    queries = [ExportQuery(SHARP, method="url", protocol="fits", n=n, email=EMAIL) for n in (1, -1)]
    with client.batch(tmp_path, queries) as batch:
        assert [entry.error for entry in batch.run()] == [None, None]
        assert batch.status().done == 2


def test_events_are_heard_inside_the_block(client: Jsoc) -> None:
    """For progress displays."""
    heard: list[str] = []
    with client.events.subscribe(lambda event: heard.append(event.kind.value)):
        client.export(SHARP, method="url", protocol="fits", n=1).files()
    assert heard[0] == "submitted"


def test_a_client_serves_many_threads(client: Jsoc) -> None:
    """One connection pool, one memory of structures."""
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(client.count, ["hmi.v_45s[2013.07.03_08:42_TAI/4m]"] * 16))
    assert counts == [5] * 16


async def test_blocking_calls_work_inside_a_running_loop(base_url: str) -> None:
    """As in a notebook, whose loop they do not need."""
    with Jsoc(base_url=base_url) as client:
        assert client.count("hmi.v_45s[2013.07.03_08:42_TAI/3m]") == 4
        assert await asyncio.to_thread(client.count, "hmi.v_45s[2013.07.03_08:42_TAI/3m]") == 4


SCRIPT = """
import sys
from aurora_async.sync import Jsoc

with Jsoc(base_url=sys.argv[1], email="demo@example.com") as client:
    export = client.export("hmi.M_720s[2014.01.01_00:00_TAI]", method="url", protocol="fits")
    print(export.request_id, flush=True)
    with client.events.subscribe(lambda event: print(event.kind.value, flush=True)):
        try:
            export.wait()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


def test_ctrl_c_gives_the_export_up(slow_url: str) -> None:
    """The only way to give one up is to give up all of the address: done when there is no other."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, slow_url]
    with subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        export_id = process.stdout.readline().strip()
        assert process.stdout.readline() == "polled\n", process.communicate(timeout=10)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.splitlines()[-1] == "interrupted"
    with Jsoc(base_url=slow_url, email=EMAIL) as client:
        assert not client.pending().is_pending
        with pytest.raises(RequestError):
            client.resume(export_id).wait(deadline_s=20)


KNOWN = """
from typing import assert_type

from aurora_async.engine import Outcome, RequestStatus
from aurora_async.jsoc import AddressStatus, Download, ExportedFile, ExportQuery, RecordTable, SeriesInfo
from aurora_async.sync import Export, Jsoc, Run
from aurora_async.transfer.tables import Records

client = Jsoc(email="me@example.com")
assert_type(client.info("hmi.v_45s"), SeriesInfo)
assert_type(client.pkeys("hmi.v_45s"), list[str])
table = client.query("hmi.v_45s[^]", keywords="T_REC", n=3)
assert_type(table, RecordTable)
assert_type(client.count(table.subset()), int)
assert_type(client.check_email(), AddressStatus)
export = client.export(table[:2], protocol="fits", deadline_s=1)
assert_type(export, Export)
assert_type(export.wait(), RequestStatus)
assert_type(export.files(), Records[ExportedFile])
assert_type(export.download("."), Download)
assert_type(client.download(table, "."), Download)
run = client.run([ExportQuery(table)])
assert_type(run, Run[ExportQuery])
assert_type(next(run), Outcome[ExportQuery])
"""

REFUSED = """
from aurora_async.sync import Jsoc

client = Jsoc()
client.query()
client.export("x", methods="url")
client.download("x", ".", names="any")
client.resume("JSOC_20260101_001").wait(5)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(KNOWN, []), (REFUSED, ["call-arg", "call-arg", "arg-type", "call-arg"])],
    ids=["known", "refused"],
)
def test_blocking_calls_are_typed_like_those_they_stand_for(text: str, expected: list[str], tmp_path: Path) -> None:
    """For type checkers, and with them for editors; nothing is `Any`."""
    script = tmp_path / "script.py"
    script.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(script)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert re.findall(rf"^{re.escape(str(script))}:.* error: .*\[(.*)\]$", done.stdout, re.MULTILINE) == expected
