"""Where blocking calls are made from: scripts, threads, running loops, notebooks, forks; and how they end."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel
from support.endless import endless
from support.processes import ENVIRON

from aurora_async import EphemerisQuery
from aurora_async.errors import ClientClosed, RequestCancelled
from aurora_async.sync import AuroraX

QUERY = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")
RECORD = {
    "data_source": {"identifier": 3}, "epoch": "2020-01-01T00:00:00", "location_geo": {"lat": 1, "lon": 2},
    "location_gsm": {"lat": 1, "lon": 2}, "nbtrace": {"lat": 1, "lon": 2}, "sbtrace": {"lat": 1, "lon": 2},
    "metadata": {"filler": "x" * 1000},
}  # fmt: skip
BLOCK = b"".join([json.dumps(RECORD).encode() + b","] * 100)


SCRIPT = """
import sys, threading
from aurora_async import EphemerisQuery
from aurora_async.sync import AuroraX
client = AuroraX(base_url=sys.argv[1], synchronous=False)
query = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms="swarma")
"""


def script(text: str, url: str, **how: Any) -> subprocess.Popen[str]:
    """Start a script with a client and a query."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT + text, url]
    return subprocess.Popen(
        command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **how
    )


def run(text: str, url: str) -> tuple[int, str, str]:
    """Run a script to its end."""
    with script(text, url) as process:
        stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def status(url: str, request_id: str) -> Any:
    """Ask the service without any of our code."""
    with urllib.request.urlopen(f"{url}/api/v1/ephemeris/requests/{request_id}") as answer:
        return json.load(answer)


def test_many_threads_share_a_client(client: AuroraX) -> None:
    """Each gets its own answer."""
    platforms = ["swarma", "swarmb", "swarmc"] * 8

    def search(platform: str) -> set[str | None]:
        query = EphemerisQuery(start="2020-01-01T00:00", end="2020-01-01T00:09", platforms=platform)
        return {record.data_source.platform for record in client.ephemeris.search(query)}

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, platforms)) == [{platform} for platform in platforms]


async def test_inside_a_running_loop(client: AuroraX) -> None:
    """As in a notebook, whose cells run in a loop; that loop is held up, as by every blocking call."""
    assert asyncio.get_running_loop()
    assert len(client.ephemeris.search(QUERY)) == 10
    assert len(await asyncio.to_thread(client.ephemeris.search, QUERY)) == 10


def test_a_callback_that_calls_is_told_instead_of_waiting_for_itself(client: AuroraX) -> None:
    """A deadlock would be the alternative."""
    said: list[str] = []

    def listen(_: object) -> None:
        try:
            client.time_zones()
        except RuntimeError as error:
            said.append(str(error))

    with client.events.subscribe(listen):
        client.ephemeris.submit(QUERY).records()
    assert "would wait for itself" in said[0]


def test_wrong_arguments_are_said_at_once(client: AuroraX) -> None:
    """As by any function: a call that cannot even begin must not be waited for."""
    with pytest.raises(TypeError, match="query"):
        client.ephemeris.search()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="nonsense"):
        next(client.ephemeris.stream(QUERY, nonsense=1))  # type: ignore[call-arg]


def test_a_call_sees_the_context_it_is_made_in(client: AuroraX) -> None:
    """So that a log line from the loop's thread can say on whose behalf it was written."""
    who = ContextVar("who", default="nobody")
    seen: set[str] = set()
    client.time_zones()
    who.set("somebody")
    with client.events.subscribe(lambda _: seen.add(who.get())):
        client.ephemeris.submit(QUERY)
    assert seen == {"somebody"}


def test_a_request_keeps_its_client_open(base_url: str) -> None:
    """Nobody need hold what he asks only once."""
    assert len(AuroraX(base_url=base_url).ephemeris.submit(QUERY).records()) == 10
    assert [one.ok for one in AuroraX(base_url=base_url).run([QUERY])] == [True]
    assert sum(1 for _ in AuroraX(base_url=base_url).ephemeris.stream(QUERY)) == 10


def test_a_stream_is_read_no_faster_than_its_reader() -> None:
    """A slow reader holds up the server, not the memory; one that leaves, or is forgotten, ends the transfer."""
    with endless(b'{"result":[', BLOCK) as server, AuroraX(base_url=server.url) as client:
        stream = client.ephemeris.stream(QUERY)
        assert next(stream).location_geo.lat == 1
        sent = server.settled()
        assert sent < 20_000_000
        for _ in range(100_000):
            next(stream)
        assert server.sent > sent + 50_000_000
        stream.close()
        assert server.hung_up()
        forgotten = client.ephemeris.stream(QUERY)
        next(forgotten)
        del forgotten
        gc.collect()
        assert server.hung_up()


def test_closed_is_closed() -> None:
    """A stream that was open ends with an error; nothing can be asked any more; closing twice is harmless."""
    with endless(b'{"result":[', BLOCK) as server:
        client = AuroraX(base_url=server.url)
        stream = client.ephemeris.stream(QUERY)
        assert next(stream)
        client.close()
        client.close()
        assert server.hung_up()
        with pytest.raises(ClientClosed):
            client.time_zones()
        with pytest.raises(ClientClosed):
            list(stream)


def test_a_copy_is_a_client_of_its_own(base_url: str) -> None:
    """Here or in another process; closing it, or forgetting it, leaves the first alone. A request cannot be copied."""
    with AuroraX(base_url=base_url, synchronous=False) as client:
        assert client.time_zones()
        for made in (copy.copy(client), copy.deepcopy(client), pickle.loads(pickle.dumps(client))):
            assert made.config == client.config
            assert made.time_zones()
            made.close()
        del made
        gc.collect()
        request = client.ephemeris.submit(QUERY)
        with pytest.raises(TypeError, match="pass on its request_id"):
            copy.copy(request)
        assert len(request.records()) == 10


def test_a_client_that_is_forgotten_is_closed(base_url: str) -> None:
    """Without a warning, and without a task left in the loop."""
    code, stdout, stderr = run(
        """
import gc, time
from aurora_async.sync import _loop
print(len(client.ephemeris.search(query)))
del client
gc.collect()
for _ in range(100):
    left = []
    ready = threading.Event()
    def look():
        import asyncio
        left.extend(task for task in asyncio.all_tasks() if task.get_name() == "hold a client open")
        ready.set()
    _loop.the_loop().call_soon(look)
    ready.wait()
    if not left:
        break
    time.sleep(0.02)
print(len(left))
""",
        base_url,
    )
    assert (code, stdout, stderr) == (0, "10\n0\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "print(len(client.ephemeris.search(query)))",
        "stream = client.ephemeris.stream(query); next(stream); print(10)",
        "run = client.run([query] * 3); next(run); print(10)",
        "with client: print(len(client.ephemeris.search(query)))",
        "threading.Thread(target=lambda: print(len(client.ephemeris.search(query)))).start()",
        "client.ephemeris.submit(query); print(10)",
        "import tempfile; print(*(one.saved.records for one in client.run([query], folder=tempfile.mkdtemp())))",
    ],
)
def test_the_end_of_the_script_is_the_end_of_it(base_url: str, text: str) -> None:
    """No hang, no warning, no noise, whatever is open."""
    assert run(text, base_url) == (0, "10\n", "")


def test_what_waits_at_the_end_of_the_script_is_cancelled_on_the_service(slow_url: str) -> None:
    """A daemon thread still waits when the script is over."""
    code, stdout, stderr = run(
        """
from contextlib import suppress
from aurora_async.errors import ClientClosed
def wait():
    with suppress(ClientClosed):
        request.wait()
request = client.ephemeris.submit(query)
threading.Thread(target=wait, daemon=True).start()
while request.status is None:
    pass
print(request.request_id)
""",
        slow_url,
    )
    assert (code, stderr) == (0, "")
    assert status(slow_url, stdout.strip())["search_result"]["error_condition"] is True


WAITS = {
    "search": "client.ephemeris.search(query)",
    "stream": "list(client.ephemeris.stream(query))",
    "run": "list(client.run([query]))",
    "wait": "client.ephemeris.submit(query).wait()",
}


@pytest.mark.parametrize("what", WAITS)
def test_ctrl_c_cancels_on_the_service_and_returns_promptly(slow_url: str, what: str) -> None:
    """One interrupt: the search is cancelled there, then the call ends here, and no thread keeps the script alive."""
    text = f"""
def told(event):
    if event.kind.value == "polled":
        print(event.request_id, flush=True)
with client.events.subscribe(told):
    try:
        {WAITS[what]}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    with script(text, slow_url) as process:
        assert process.stdout is not None
        request_id = process.stdout.readline().strip()
        assert re.fullmatch(r"[0-9a-f-]{36}", request_id), process.communicate(timeout=10)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        while process.stdout.readline() not in ("interrupted\n", ""):
            pass
        took_s = time.monotonic() - started
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")
    assert took_s < 2
    search = status(slow_url, request_id)
    assert search["search_result"]["error_condition"] is True


def test_a_run_that_was_interrupted_does_not_look_complete(slow_url: str) -> None:
    """Its outcomes stop short of the queries, so the next one is an error, not the end."""
    text = """
run = client.run([query])
with client.events.subscribe(lambda _: print("begun", flush=True)):
    try:
        next(run)
    except KeyboardInterrupt:
        list(run)
"""
    with script(text, slow_url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert "RunCancelled" in stderr


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    """The service answers neither the search nor its cancellation."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with script("client.ephemeris.search(query)", url) as process:
            asked, _ = silent.accept()
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)  # it waits for the cancellation now
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            _, stderr = process.communicate(timeout=30)
            asked.close()
    assert stderr.splitlines()[-1].startswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - started < 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork_an_open_client_says_so_and_a_new_one_works(base_url: str) -> None:
    """The child has none of the threads."""
    code, stdout, stderr = run(
        """
import os
stream = client.ephemeris.stream(query)
next(stream)
sys.stdout.flush()
child = os.fork()
if child == 0:
    try:
        client.time_zones()
    except RuntimeError as error:
        print("forked" in str(error))
    stream.close()
    with AuroraX(base_url=sys.argv[1]) as other:
        print(len(other.ephemeris.search(query)), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(1 + len(list(stream)))
""",
        base_url,
    )
    assert (code, stdout) == (0, "True\n10\n10\n"), stderr


def test_in_a_jupyter_kernel(base_url: str, slow_url: str) -> None:
    """A real kernel, whose loop runs: search, interrupt, search again."""
    manager, kernel = start_new_kernel(env=ENVIRON)
    try:

        def cell(text: str, *, status: str = "ok") -> str:
            printed: list[str] = []

            def hook(message: dict[str, Any]) -> None:
                content = message["content"]
                printed.append(content.get("text") or "\n".join(content.get("traceback", ())))

            reply = kernel.execute_interactive(text, output_hook=hook, timeout=60)
            assert reply["content"]["status"] == status, printed
            return "".join(printed).strip()

        cell("import asyncio\nfrom aurora_async import EphemerisQuery\nfrom aurora_async.sync import AuroraX")
        cell(f"client = AuroraX(base_url={base_url!r})")
        cell("query = EphemerisQuery(start='2020-01-01T00:00', end='2020-01-01T00:09', platforms='swarma')")
        assert cell("asyncio.get_running_loop(); print(len(client.ephemeris.search(query)))") == "10"
        assert cell("print(sum(1 for _ in client.ephemeris.stream(query)))") == "10"
        assert cell("print([len(one.records) for one in client.run([query] * 2)])") == "[10, 10]"
        cell(f"slow = AuroraX(base_url={slow_url!r}, synchronous=False); request = slow.ephemeris.submit(query)")
        # The kernel is interrupted as its front end does it, at the first look at the request.
        cell("import os, signal\ndef interrupt(event):\n    os.kill(os.getpid(), signal.SIGINT)")
        wait = "with slow.events.subscribe(interrupt):\n    request.wait()"
        assert "KeyboardInterrupt" in cell(wait, status="error")
        request_id = cell("print(request.request_id)")
        assert status(slow_url, request_id)["search_result"]["error_condition"] is True
        assert cell("print(len(client.ephemeris.search(query)))") == "10"
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_request_cancelled_elsewhere_says_so(slow_url: str) -> None:
    """The error of the asynchronous client, through the facade."""
    with AuroraX(base_url=slow_url, synchronous=False) as client:
        request = client.ephemeris.submit(QUERY)
        threading.Timer(0.5, lambda: client.ephemeris.cancel(request.request_id)).start()
        with pytest.raises(RequestCancelled):
            request.wait()
