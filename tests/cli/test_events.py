"""`--events FILE`: what happens, for other programs."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.scripted import Scripted, serving

if TYPE_CHECKING:
    from conftest import Here, Shell

PRODUCTS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T23:59:59",
    "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
}
CONJUNCTIONS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T06:59:59",
    "ground": [{"programs": ["themis-asi"]}],
    "space": [{"programs": ["swarm"]}],
    "max_distances": {"ground1-space1": 500},
}


def told(data: bytes) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in data.splitlines()]


def test_a_search_tells_its_story(shell: Shell, here: Here, local_url: str) -> None:
    """From the submission to the file, which the last line names; another search goes on below."""
    query = shell.write("q.json", PRODUCTS)
    for number in (1, 2):
        ran = here(
            "data-products", "search", query, "--base-url", local_url, "-q", "--events", "e.jsonl", "-o", "o.json"
        )
        assert (ran.code, ran.stderr) == (0, "")
        events = told((shell.folder / "e.jsonl").read_bytes())
        assert [one["kind"] for one in events].count("submitted") == number
    kinds = [one["kind"] for one in events]
    assert list(dict.fromkeys(kind for kind in kinds if kind not in ("polled", "running"))) == [
        "submitted", "ready", "bytes", "done",
    ]  # fmt: skip
    assert {one["service"] for one in events} == {"data_products"}
    assert len({one["request_id"] for one in events}) == 2
    assert events[-1]["path"] == "o.json" and events[-1]["records"] == 66
    assert next(one for one in events if one["kind"] == "ready")["phase"] == "ready"


def test_events_on_stdout_are_alone_there(shell: Shell, here: Here, local_url: str) -> None:
    """`| jq`: the path of the file, which is the line on stdout otherwise, is in the last event."""
    query = shell.write("q.json", PRODUCTS)
    ran = here("data-products", "search", query, "--base-url", local_url, "--events", "-")
    assert ran.code == 0
    last = told(ran.stdout)[-1]
    assert last["kind"] == "done" and len(json.loads((shell.folder / last["path"]).read_bytes())) == 66
    ran = here("data-products", "wait", last["request_id"], "--base-url", local_url, "--events", "-")
    assert told(ran.stdout)[-1]["kind"] == "ready"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("--out - --events -", 2, "stdout takes either the records (--out -) or the events (--events -)"),
        ("--events there/e.jsonl", 2, "there/e.jsonl cannot be made: there is no folder there"),
        ("--events .", 2, "'--events': . is a folder"),
    ],
)
def test_events_that_cannot_be_written_are_refused_before_anything_is_sent(
    shell: Shell, here: Here, arguments: str, code: int, said: str
) -> None:
    """Nobody listens at that address, and nobody is asked."""
    query = shell.write("q.json", PRODUCTS)
    ran = here("data-products", "search", query, "--base-url", "http://127.0.0.1:9", *arguments.split())
    assert (ran.code, ran.stdout) == (code, b"")
    assert said in ran.error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_costs_the_events_and_not_the_search(shell: Shell, here: Here, local_url: str) -> None:
    """One warning, and the records are there."""
    query = shell.write("q.json", PRODUCTS)
    ran = here("data-products", "search", query, "--base-url", local_url, "--events", "/dev/full", "-q", "-o", "o.json")
    assert ran.code == 0
    assert ran.stderr == (
        "aurora-async: warning: events are not written to /dev/full any more: No space left on device\n"
    )
    assert len(json.loads((shell.folder / "o.json").read_bytes())) == 66


def test_files_have_events_too(here: Here, local_url: str) -> None:
    """They stand for themselves, under their names."""
    ran = here("fetch", f"{local_url}/keogram.png", "--events", "-", "-q")
    assert ran.code == 1
    (event,) = told(ran.stdout)
    assert (event["kind"], event["service"], event["request_id"]) == ("failed", "file", "keogram.png")
    assert event["error"]["type"] == "NotFound"


async def test_ctrl_c_during_the_submission_says_what_became_of_it(shell: Shell) -> None:
    """The POST had arrived, its answer had not: the request is cancelled on the server, and that is said and told."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("Ctrl-C is ignored here (in the background), and so by every program started from here")
    posted, interrupted = asyncio.Event(), asyncio.Event()
    async with serving(Scripted(takes_s=60)) as scripted:

        async def answer_late(request: object) -> None:
            posted.set()
            await interrupted.wait()

        async def cancel_at_once(request: object) -> None:
            scripted.takes_s = 0

        scripted.on("submit", answer_late)
        scripted.on("cancel", cancel_at_once)
        query = shell.write("q.json", CONJUNCTIONS)
        process = shell.start(
            "conjunctions", "search", query, "--base-url", scripted.base_url, "-q", "--events", "e.jsonl"
        )
        await asyncio.wait_for(posted.wait(), 20)
        process.send_signal(signal.SIGINT)
        asyncio.get_running_loop().call_later(0.3, interrupted.set)
        _, stderr = await asyncio.to_thread(process.communicate, timeout=20)
        (request_id,) = scripted.requests
        assert scripted.cancelled == [request_id]
    assert process.returncode == 130
    assert stderr.decode() == f"aurora-async: error: interrupted; request {request_id} was cancelled on the server\n"
    (event,) = [one for one in told((shell.folder / "e.jsonl").read_bytes()) if one["kind"] == "cancelled"]
    assert event["request_id"] == request_id
