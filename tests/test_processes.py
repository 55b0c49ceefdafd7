"""Who is gone for sure, and who only may be."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aurora_async import processes
from aurora_async.processes import host, is_gone, new_worker, retire


def worker(pid: object, where: str | None = None) -> str:
    """A worker of another process."""
    return f"{where or host()}/{pid}/abcd"


def test_each_worker_has_a_name_of_its_own() -> None:
    """Two in one process are two."""
    assert new_worker() != new_worker()
    assert not is_gone(new_worker())


def test_one_that_has_retired_is_gone_although_its_process_lives() -> None:
    """A notebook runs the same batch again after a failure, and nobody holds anything there any more."""
    first, second = new_worker(), new_worker()
    retire(first)
    assert is_gone(first) and not is_gone(second)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_a_process_that_has_ended_is_gone_even_before_anybody_has_asked_how() -> None:
    """A parent that is busy must not hold up those who wait for its dead child."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_gone(worker(process.pid))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(worker(process.pid))
    assert is_gone(worker(process.pid))


@pytest.mark.parametrize("name", [worker(4194999, "elsewhere/boot"), worker(0), worker("x"), "", "/", "a/b", worker(1)])
def test_nobody_else_is_said_to_be_gone(name: str) -> None:
    """Another host's, one that is no process, one that lives."""
    assert not is_gone(name)


def test_without_a_name_for_the_system_numbers_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two laptops may have one host name, and a restart gives the numbers anew."""
    monkeypatch.setattr(processes, "host", lambda: "laptop/")
    assert not is_gone(worker(4194999, "laptop/"))
