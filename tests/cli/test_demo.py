"""The demo: a small part of it, its report, its folder, and its server, which never outlives it."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from aurora_async.cli import demo_queries
from aurora_async.cli.demo_queries import demo_searches

if TYPE_CHECKING:
    from conftest import Here, Shell


def test_the_whole_demo_is_sixty_searches_of_three_kinds_into_files_of_their_own() -> None:
    """Long ones first, so that no core is idle at the end."""
    searches = demo_searches(64)
    assert len({search.file for search in searches}) == 64
    assert [search.kind for search in searches[:2]] == ["conjunctions", "ephemeris"]
    assert {search.kind for search in searches} == {"conjunctions", "ephemeris", "data_products"}
    assert len(demo_searches(500)) == 500


def test_a_small_demo(shell: Shell, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names what was found and where it is, without control codes; the folder holds nothing old of ours."""
    monkeypatch.setattr(demo_queries, "_SPACECRAFT_DAYS", 1)
    old, wanted = demo_searches(7)[6].file, [search.file for search in demo_searches(6)]
    for folder in ("conjunctions", "ephemeris", "data_products"):
        (shell.folder / "out" / folder).mkdir(parents=True)
    shell.write("out/aurora-demo.json", {"files": [old, wanted[0]]})
    for file in (old, wanted[0], "mine.txt"):
        shell.write(f"out/{file}", b"before")
    ran = here("demo", "--out", "out", "--searches", "6", "--workers", "2")
    assert ran.code == 0, ran.stderr
    report = ran.stdout.decode()
    assert "49 conjunctions of THEMIS imagers and Swarm" in report
    assert "they are not AuroraX's own" in " ".join(report.split())
    assert f"The files are in {shell.folder / 'out'}" in report
    assert "\x1b" not in report + ran.stderr
    assert all(json.loads((shell.folder / "out" / file).read_bytes()) for file in wanted)
    left = {str(path.relative_to(shell.folder / "out")) for path in (shell.folder / "out").rglob("*.*")}
    assert left == {*wanted, "aurora-demo.json", "mine.txt"}
    assert (shell.folder / "out" / "mine.txt").read_bytes() == b"before"


def test_a_file_that_is_not_the_demos_is_not_replaced(shell: Shell, here: Here) -> None:
    """It is refused before anything is started."""
    file = demo_searches(1)[0].file
    (shell.folder / "out" / file).parent.mkdir(parents=True)
    shell.write(f"out/{file}", b"mine")
    ran = here("demo", "--out", "out")
    assert ran.code == 1
    assert "is not from an earlier demo and stays as it is" in ran.error
    assert (shell.folder / "out" / file).read_bytes() == b"mine"


@pytest.mark.parametrize("index", [b"{}", b"garbage", b'{"files": ["../../etc/passwd"]}', b'{"files": [1]}'])
def test_an_index_that_is_no_demos_is_not_believed(shell: Shell, here: Here, index: bytes) -> None:
    """What it names would be deleted."""
    (shell.folder / "out").mkdir()
    shell.write("out/aurora-demo.json", index)
    ran = here("demo", "--out", "out")
    assert ran.code == 1
    assert "is not what a demo writes" in ran.error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_the_server_ends_with_the_demo(shell: Shell, number: signal.Signals) -> None:
    """However that ends."""
    environ: dict[str, str | None] = {"TMPDIR": str(shell.folder)}  # a killed demo cannot remove its folder
    with shell.start("demo", "--searches", "30", "--no-keep", environ=environ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"searches at once" in line:
                break
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert stderr.splitlines()[-1] == b"aurora-async: error: interrupted"
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_another_count_than_the_published_one_is_a_failure(
    shell: Shell, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is printed all the same, and the last line and the exit code say what is wrong with it."""
    monkeypatch.setattr("aurora_async.cli.demo.PUBLISHED_COUNT", 48)
    ran = here("demo", "--no-keep", "--searches", "1")
    assert ran.code == 1
    assert "and 48 are published" in " ".join(ran.stdout.decode().split())
    last = ran.stderr.splitlines()[-1]
    assert last == "aurora-async: error: the published search gives 48 conjunctions, and here 49"


def test_a_server_that_cannot_start_is_one_line(shell: Shell, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it said itself."""
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return real([*command, "--data-dir", "/proc/nowhere"], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", start)
    ran = here("demo", "--no-keep", "-q")
    assert ran.code == 1
    assert ran.error.startswith("the local server did not start: /proc/nowhere cannot be made")
