"""`batch`: a plan becomes files, whatever comes between."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from support.scripted import Scripted, serving

if TYPE_CHECKING:
    from conftest import Here, Ran, Shell

SWARM = b"""
[[search]]
kind = "ephemeris"
name = "{platform}/{start:%H%M}"
query.data_sources = { programs = ["swarm"], platforms = ["{platform}"] }
over.platform = ["swarma", "swarmb"]
over.time = { start = "2020-01-01T00:00", end = "2020-01-01T00:29", step = "10min" }
"""
CONJUNCTIONS = b"""
[[search]]
kind = "conjunctions"
name = "{start:%d}"
query.ground = [{ programs = ["themis-asi"] }]
query.space = [{ programs = ["swarm"] }]
query.max_distances = { ground1-space1 = 500 }
over.time = { start = "2020-01-01", end = "2020-01-06", step = "1d" }
"""


@pytest.fixture
def plan(shell: Shell) -> str:
    """Six searches for ephemeris."""
    return shell.write("swarm.toml", SWARM)


def told(data: bytes) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in data.splitlines()]


# Against the local service --------------------------------------------------------------------------------------------


def test_a_plan_becomes_files(shell: Shell, here: Here, plan: str, local_url: str) -> None:
    """Beside the plan, in a folder named after it, which is the one line on stdout."""
    ran = here("batch", "run", plan, "--base-url", local_url, "--events", "e.jsonl")
    assert (ran.code, ran.stdout) == (0, b"swarm\n"), ran.stderr
    first, *lines, last = ran.stderr.splitlines()
    assert first == "6 searches, into swarm"
    assert last.startswith("6 files, 60 records, ")
    assert sum(line.endswith(" B") or line.endswith(" kB") for line in lines if ": done, 10 records, " in line) == 6
    files = sorted(path.relative_to(shell.folder / "swarm").as_posix() for path in shell.folder.glob("swarm/*/*"))
    assert files == [
        f"{platform}/{time}.jsonl" for platform in ("swarma", "swarmb") for time in ("0000", "0010", "0020")
    ]
    searches = [one for one in told((shell.folder / "e.jsonl").read_bytes()) if one["kind"] == "search"]
    assert sorted(one["path"] for one in searches) == files
    assert {(one["stage"], one["records"]) for one in searches} == {("done", 10)}

    again = here("batch", "run", plan, "--base-url", local_url)
    assert (again.code, again.stdout) == (0, b"swarm\n")
    assert again.stderr.splitlines()[0] == "6 searches, 6 of which have their file in swarm"

    for where in (plan, "swarm"):
        status = json.loads(here("batch", "status", where, "--json").stdout)
        assert (status["state"], status["counts"], status["records"]) == ("complete", {"done": 6}, 60)
        assert here("batch", "verify", where).stderr.startswith("6 files as the manifest says, ")
    assert here("batch", "report", plan).stdout.startswith(b"# swarm: complete\n")
    assert len(json.loads(here("batch", "report", plan, "--json").stdout)["searches"]) == 6


def test_results_of_another_batch_are_taken_from_there(here: Here, plan: str, local_url: str) -> None:
    """Without a request."""
    assert here("batch", "run", plan, "-q", "--base-url", local_url).code == 0
    ran = here("batch", "run", plan, "-q", "--base-url", "http://127.0.0.1:9", "--dir", "other", "--reuse", "swarm")
    assert (ran.code, ran.stderr) == (2, "") or "service" in ran.stderr or ran.code == 0
    ran = here(
        "batch", "run", plan, "-q", "--base-url", local_url, "--dir", "more", "--reuse", "swarm", "--events", "-"
    )
    assert ran.code == 0
    assert [one["kind"] for one in told(ran.stdout)] == ["search"] * 6
    assert json.loads(here("batch", "status", "more", "--json").stdout)["requests"] == 0


def test_what_is_wrong_with_files_is_said_of_each(shell: Shell, here: Here, plan: str, local_url: str) -> None:
    """Also where a folder was copied without its journal; and the next run mends what is missing."""
    assert here("batch", "run", plan, "-q", "--base-url", local_url).code == 0
    (shell.folder / "swarm/swarma/0000.jsonl").unlink()
    changed = shell.folder / "swarm/swarmb/0010.jsonl"
    changed.write_bytes(changed.read_bytes().replace(b"swarmb", b"swarmx"))
    for _ in range(2):
        ran = here("batch", "verify", "swarm")
        assert ran.code == 1
        first, second = ran.stdout.decode().splitlines()
        assert first == "swarma/0000.jsonl: is missing"
        assert second.startswith("swarmb/0010.jsonl: has the SHA-256 ")
        assert ran.error.startswith("2 files are not as the manifest says; remove what is wrong, and fetch it again")
        for file in shell.folder.glob("swarm/journal.sqlite*"):
            file.rename(shell.folder / file.name)
    for file in shell.folder.glob("journal.sqlite*"):
        file.rename(shell.folder / "swarm" / file.name)
    changed.unlink()
    assert here("batch", "run", "swarm", "-q", "--base-url", local_url).code == 0
    assert here("batch", "verify", "swarm", "-q").code == 0


def test_a_plan_that_was_never_run_says_how_to_begin(shell: Shell, here: Here, plan: str) -> None:
    """Looking at it is no mistake; what needs a folder that is not there is."""
    ran = here("batch", "status", plan)
    said = "swarm.toml has not been run yet: 6 searches. Begin with: aurora-async batch run swarm.toml\n"
    assert (ran.code, ran.stdout.decode(), ran.stderr) == (0, said, "")
    assert json.loads(here("batch", "status", plan, "--json").stdout)["state"] == "not begun"
    for verb in ("report", "verify", "retry", "cancel"):
        ran = here("batch", verb, plan)
        assert (ran.code, ran.stdout) == (2, b"")
        assert ran.error == "swarm.toml: has not been run yet; begin with: aurora-async batch run swarm.toml"
    (shell.folder / "empty").mkdir()
    ran = here("batch", "run", "empty")
    assert ran.error == "empty: is not the folder of a batch; type the plan that it is to be made from"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"[[search", "is not TOML: "),
        (b"x = 1", "x: is unknown; known: name, format, window, at_once, response_format, search"),
        (SWARM.replace(b"ephemeris", b"ephemeris2"), "search[0].kind: 'ephemeris2' is unknown; use conjunctions, "),
        (SWARM.replace(b"10min", b"10 parsec"), "search[0].over.time.step: '10 parsec' is not a length of time such"),
        (SWARM.replace(b'["{platform}"]', b'["{place}"]'), "has a placeholder {place}; there is {platform}, "),
    ],
)
@pytest.mark.parametrize("verb", ["run", "status"])
def test_a_bad_plan_is_one_line(shell: Shell, here: Here, document: bytes, said: str, verb: str) -> None:
    """With the file, the place in it, and what would be right; nothing is made or sent."""
    ran = here("batch", verb, shell.write("bad.toml", document))
    assert (ran.code, ran.stdout) == (2, b"")
    assert ran.error.startswith("bad.toml: ") and said in ran.error
    assert not (shell.folder / "bad").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run nothing", "nothing: there is no such plan or folder"),
        ("status nothing.toml", "nothing.toml: there is no such plan or folder"),
        ("run swarm.toml --window soon", "window: 'soon' is not a length of time such as"),
        ("run swarm.toml --cluster nonsense", "cluster: 'nonsense' is not the address of a scheduler"),
        ("run swarm.toml --outputs nonsense", "outputs: 'nonsense' "),
        ("run . --dir there", ". is a folder itself; --dir goes with a plan"),
        ("run plan", "plan: its name does not end in .toml or .json, so --dir must say which folder"),
        ("run swarm.toml --events nowhere/e", "Invalid value for '--events': nowhere/e cannot be made: there is no"),
    ],
)
def test_what_cannot_be_meant_is_refused(shell: Shell, here: Here, plan: str, arguments: str, said: str) -> None:
    """Before anything is sent or made."""
    shell.write("plan", SWARM)
    ran = here("batch", *arguments.split())
    assert ran.code == 2
    assert ran.error.startswith(said)


@pytest.mark.parametrize("verb", ["run", "status"])
def test_a_plan_of_another_language_is_told_which_ones_there_are(shell: Shell, here: Here, verb: str) -> None:
    """Whoever writes YAML everywhere else learns more from that than from what TOML expects at line 1."""
    ran = here("batch", verb, shell.write("plan.yaml", b"search:\n- kind: ephemeris\n"))
    assert ran.code == 2
    assert ran.error.startswith("plan.yaml: is not TOML") and ran.error.endswith("; plans are .toml or .json files")


def test_a_server_that_is_away_is_told_once_of_each_request(shell: Shell, here: Here) -> None:
    """It is met when a request is submitted, looked at and given up; only the first of these is news."""
    plan = shell.write("swarm.toml", SWARM)
    ran = here("batch", "run", plan, "--base-url", "http://127.0.0.1:9")
    told = [line.split()[3] for line in ran.stderr.splitlines() if ": failed: " in line]
    assert told and len(told) == len(set(told))


def test_a_server_that_is_away_ends_the_run_and_not_the_batch(shell: Shell, here: Here) -> None:
    """Exit code 1, and what to type later; hundreds of searches do not each wait for it."""
    plan = shell.write("swarm.toml", SWARM.replace(b"10min", b"1min"))
    ran = here("batch", "run", plan, "-q", "--base-url", "http://127.0.0.1:9")
    assert (ran.code, ran.stdout) == (1, b"")
    assert ran.error.endswith("go on with: aurora-async batch run swarm.toml --base-url http://127.0.0.1:9")
    assert "not over yet:" in here("batch", "status", plan).stdout.decode()


# Against a service whose answers are scripted -------------------------------------------------------------------------


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A service that does what a test wants."""
    async with serving(Scripted()) as service:
        yield service


Command = Callable[..., Awaitable["Ran"]]


@pytest.fixture
def run(shell: Shell, here: Here, scripted: Scripted) -> Command:
    """Runs a command of the batch, in a thread beside the service's loop."""
    shell.write("b.toml", CONJUNCTIONS)

    async def run(verb: str, *arguments: str) -> Ran:
        return await asyncio.to_thread(here, "batch", verb, "b.toml", *arguments, "--base-url", scripted.base_url)

    return run


def failing(scripted: Scripted, *days: int) -> None:
    """Let the searches of these days fail."""

    async def status(request: web.Request) -> web.StreamResponse | None:
        request_id = request.path.rpartition("/")[2]
        day = int(scripted.queries[request_id]["start"][8:10])
        if day not in days:
            return None
        document = scripted.status_document(request_id, error_condition=True, data_uri=None)
        document["logs"].append({"level": "error", "summary": "out of disk", "timestamp": "2024-06-18T01:56:33.4"})
        return web.json_response(document)

    scripted.on("status", status)


async def test_exit_codes_say_whether_all_some_or_none_failed(shell: Shell, scripted: Scripted, run: Command) -> None:
    """And what to type next; retry makes what has failed once more, and nothing else."""
    failing(scripted, *range(1, 7))
    ran = await run("run", "-q")
    assert (ran.code, ran.stdout) == (4, b"")
    retry = f"aurora-async batch retry b.toml --base-url {scripted.base_url}"
    assert ran.error == f"6 of 6 searches failed; once more with: {retry}"
    failing(scripted, 3, 5)
    ran = await run("retry")
    assert ran.code == 3, ran.stderr
    assert "  03.jsonl and 1 more: the request failed on the server: out of disk" in ran.stderr.splitlines()
    assert ran.stderr.splitlines()[-1] == f"aurora-async: error: 2 of 6 searches failed; once more with: {retry}"
    scripted.scripts.clear()
    ran = await run("run", "-q")
    assert (ran.code, len(scripted.requests)) == (3, 12)
    ran = await run("retry", "-q")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "")
    assert len(scripted.requests) == 14
    assert len(list(shell.folder.glob("b/*.jsonl"))) == 6


@asynccontextmanager
async def begun(
    scripted: Scripted, shell: Shell, number: int, *arguments: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Start a run, and give its process when the service has `number` of its searches."""
    with shell.start("batch", "run", "b.toml", "--base-url", scripted.base_url, *arguments) as process:
        try:
            async with asyncio.timeout(20):
                while len(scripted.requests) < number:
                    assert process.poll() is None, process.communicate()
                    await asyncio.sleep(0.01)
            yield process
        finally:
            process.kill()


def interruptible() -> None:
    """Skip where Ctrl-C is ignored (in the background), and so by every program started from here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("Ctrl-C is ignored here")


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGKILL, -9, "")],
)
async def test_whatever_ends_it_the_same_command_goes_on(
    shell: Shell, scripted: Scripted, run: Command, number: signal.Signals, code: int, word: str
) -> None:
    """No search is submitted twice, none is cancelled, and what to type is said where anything can be said."""
    interruptible()
    scripted.takes_s = 60
    async with begun(scripted, shell, 3, "--at-once", "3", "-q") as process:
        process.send_signal(number)
        stdout, stderr = await asyncio.to_thread(process.communicate, timeout=20)
    assert (process.returncode, stdout) == (code, b"")
    command = f"aurora-async batch run b.toml --base-url {scripted.base_url}"
    said = f"aurora-async: error: {word}; 0 of 6 have their file; go on with: {command}\n"
    assert stderr.decode() == (said if word else "")
    assert len(scripted.requests) == 3
    scripted.takes_s = 0
    ran = await run("run", "-q")
    assert (ran.code, ran.stderr) == (0, "")
    assert len(scripted.requests) == 6
    assert scripted.cancelled == []
    assert len(list(shell.folder.glob("b/*.jsonl"))) == 6


@pytest.mark.parametrize("twice", [False, True])
async def test_ctrl_c_once_finishes_transfers_and_twice_does_not(
    shell: Shell, here: Here, scripted: Scripted, run: Command, twice: bool
) -> None:
    """Both ways it can be gone on with."""
    interruptible()
    arrived, released = asyncio.Event(), asyncio.Event()

    async def hold(request: web.Request) -> None:
        arrived.set()
        await released.wait()

    scripted.on("data", hold)
    async with begun(scripted, shell, 1, "--at-once", "1") as process:
        assert process.stderr is not None
        await asyncio.wait_for(arrived.wait(), 20)
        status = await asyncio.to_thread(here, "batch", "status", "b.toml", "--json")  # while the run is on
        assert json.loads(status.stdout)["counts"] == {"planned": 5, "submitted": 1}
        assert json.loads(status.stdout)["state"] == "running"
        status = await asyncio.to_thread(here, "batch", "status", "b.toml")
        assert b" running\n" in status.stdout and b"go on with" not in status.stdout
        process.send_signal(signal.SIGINT)
        while b"stopping: " not in (line := await asyncio.to_thread(process.stderr.readline)):
            assert line
        if twice:
            process.send_signal(signal.SIGINT)
        else:
            released.set()
        _, stderr = await asyncio.to_thread(process.communicate, timeout=20)
    assert process.returncode == 130
    status = await asyncio.to_thread(here, "batch", "status", "b.toml")
    assert b" not finished\n" in status.stdout
    # As it stands: nothing but the folder knows which server that was.
    command = f"aurora-async batch run b.toml --base-url {scripted.base_url}"
    assert status.stdout.decode().endswith(f"\ngo on with: {command}\n")
    assert f"interrupted; {0 if twice else 1} of 6 have" in stderr.decode().splitlines()[-1].replace("has its", "have")
    scripted.scripts.clear()
    released.set()
    assert (await run("run", "-q")).code == 0
    assert len(scripted.requests) == 6


async def test_cancel_gives_up_here_and_on_the_server(shell: Shell, scripted: Scripted, run: Command) -> None:
    """What was under way is cancelled, and stays so until it is made once more."""
    scripted.takes_s = 60
    async with begun(scripted, shell, 3, "--at-once", "3", "-q") as process:
        process.kill()
        await asyncio.to_thread(process.communicate)
    ran = await run("cancel")
    assert (ran.code, ran.stderr) == (0, "3 requests cancelled on the server; 0 of 6 searches have their file\n")
    assert sorted(scripted.cancelled) == sorted(scripted.requests)
    ran = await run("run", "-q")
    assert ran.code == 4 and "6 of 6 searches were cancelled; once more with: " in ran.error
    scripted.takes_s = 0
    assert (await run("retry", "-q")).code == 0
