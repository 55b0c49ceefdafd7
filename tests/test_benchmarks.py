"""The benchmarks' own machinery. No test here looks at how long anything takes."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import environments, growth, standins
from benchmarks.__main__ import GROWTH, QUESTIONS, main
from benchmarks.body_to_disk import DATA
from benchmarks.many_searches import ours as thousand_searches
from benchmarks.measure import Bench, Facts, Figure, Span, Subject, figure, peak_mb, run_tool, watched_loop
from benchmarks.table import Row, Target, as_json, show

ROOT = Path(__file__).parents[1]
COMMON = {"__init__", "__main__", "environments", "measure", "records", "standins", "table"}


def of(value: float) -> Figure:
    return Figure(value, value, value, 1)


# Figures and rows --------------------------------------------------------------------------------------------------


def test_a_figure_is_the_median_with_its_spread_or_the_worst() -> None:
    """One run that the machine disturbed must not be the answer, except where it is asked for."""
    runs: list[Facts] = [{"s": 3}, {"s": 1}, {"s": 50}]
    assert figure(runs, "s") == Figure(3, 1, 50, 3)
    assert figure(runs, "s", worst=True) == Figure(50, 1, 50, 3)
    assert figure(runs, lambda facts: 6 / facts["s"]) == Figure(2, 0.12, 6, 3)
    assert figure("not here", "s") == "not here"


@pytest.mark.parametrize(("more_is_better", "ratio", "reached"), [(True, 3.0, True), (False, 1 / 3, False)])
def test_a_ratio_says_how_many_times_better_ours_is(more_is_better: bool, ratio: float, reached: bool) -> None:
    """Seconds and megabytes a second must read the same way."""
    row = Row(
        question="q", what="w", unit="", ours=of(300), others={"best": of(400), "named": of(100)},
        target=Target("≥", 1.3, "named"), more_is_better=more_is_better,
    )  # fmt: skip
    assert row.peer == ("named", of(100))
    assert row.ratio == pytest.approx(ratio)
    assert row.reached is reached


def test_ours_is_compared_with_the_best_that_is_here() -> None:
    """The peer that flatters us least."""
    row = Row(question="q", what="w", unit="s", ours=of(2), others={"slow": of(9), "fast": of(3), "gone": "not here"})
    assert row.peer == ("fast", of(3))
    assert row.ratio == 1.5
    assert row.reached is None


def test_ours_is_not_compared_with_who_does_less() -> None:
    """Seven megabytes of wget, which parses no record, are no measure of a client's; what was asked of ours is."""
    row = Row(
        question="q", what="w", unit="MB", ours=of(50), others={"wget": of(7)}, target=Target("≤", 60), apart=True
    )
    assert (row.peer, row.ratio, row.reached) == (None, None, True)
    assert as_json(row)["others"]["wget"]["value"] == 7


def test_a_target_without_its_peer_is_neither_reached_nor_missed() -> None:
    """On a machine without curl nothing can be said about curl."""
    row = Row(question="q", what="w", unit="", ours=of(2), others={"curl": "not here"}, target=Target("≥", 1.3, "curl"))
    assert (row.ratio, row.reached) == (None, None)
    assert Row(question="q", what="w", unit="", ours=of(2), others={}, target=Target("≤", 2)).reached is True


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_drops_nobody(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A peer that is not here is said to be not here."""
    rows = [
        Row(
            question="body to disk, 2 GB", what="Content-Length, `fetch`", unit="MB/s",
            ours=Figure(1103, 1048, 1158, 3),
            others={"curl, sha256sum, sync": of(151), "aria2c": "not here", "curl": of(812)}, more_is_better=True,
            target=Target("≥", 1.3, "curl"),
        ),
        Row(question="journal", what="changes", unit="", ours=of(61234), others={}, target=Target("≥", 100_000)),
    ]  # fmt: skip
    show(rows, "Medians of three.", width=width)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    words = " ".join(printed.split())
    for part in (
        "1,103",
        "812 curl",
        "aria2c: not here",
        "1.36 x",
        "≥ 1.30 x",
        "✓",
        "61,234",
        "✗",
        "Medians of three.",
    ):
        assert part in words
    assert words.index("812 curl") < words.index("151 curl,")


def test_json_has_every_figure_of_a_row() -> None:
    """A machine that compares two runs needs the spread, and who was not here."""
    row = Row(question="q", what="w", unit="s", ours=Figure(2, 1, 3, 3), others={"a": of(4), "b": "failed"})
    found = json.loads(json.dumps(as_json(row)))
    assert found["ours"] == {"value": 2, "low": 1, "high": 3, "runs": 3}
    assert found["others"]["b"] == "failed"
    assert (found["compared_with"], found["ratio"], found["target"]) == ("a", 2, None)


# Questions ---------------------------------------------------------------------------------------------------------


def test_every_question_is_asked() -> None:
    """A file that nobody runs rots."""
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert files - COMMON == {*QUESTIONS, GROWTH}


def test_questions_load_without_any_package() -> None:
    """Others' interpreters, which have none of ours, run the subjects too."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import importlib\n" + "\n".join(
        f"assert importlib.import_module('benchmarks.{name}').__doc__.splitlines()[0].endswith('?')"
        for name in (*QUESTIONS, GROWTH)
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_a_quick_run_prints_the_table_or_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line to the last figure, with everybody else not here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["start_up", "--quick", "--json", str(tmp_path / "figures.json")]) == 0
    assert "pandas: not here" in capsys.readouterr().out
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["quick"] is True and found["growth"] is None and found["failed"] == []
    first = found["rows"][0]
    assert first["ours"]["runs"] == 1 and first["others"]["pandas"] == "not here"
    assert "aurora-async" in found["ours"] and found["others"] == {}

    monkeypatch.setattr("benchmarks.start_up.ask", lambda bench: [])
    assert main(["start_up", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []


def test_a_broken_question_does_not_take_the_others_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may have taken half an hour; whoever runs it in CI still sees that something is broken."""

    def ask(bench: Bench) -> list[Row]:
        raise RuntimeError("broken")

    monkeypatch.setattr("benchmarks.exports.ask", ask)
    row = Row(question="q", what="measured", unit="s", ours=of(2), others={})
    monkeypatch.setattr("benchmarks.files.ask", lambda bench: [row])
    assert main(["exports", "files", "--quick"]) == 1
    printed = capsys.readouterr()
    assert "measured" in printed.out and "Broken: exports." in printed.out
    assert "RuntimeError: broken" in printed.err


def test_an_unknown_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before an hour has passed with the others."""
    with pytest.raises(SystemExit):
        main(["many_searches", "body_to_disc"])
    assert "there is no 'body_to_disc'" in capsys.readouterr().err


# Environments ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return environments.cache_folder()


def test_an_environment_is_made_once_and_made_anew_after_breaking_off(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip is asked for the pinned versions; half an environment is none."""
    commands: list[list[str]] = []

    def run(command: list[str]) -> None:
        commands.append(command)
        folder.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environments, "_run", run)
    assert environments.python_of("json", install=False) is None
    (folder := environments._folder("json")).mkdir(parents=True)
    (folder / "half").touch()

    python = environments.python_of("json", install=True)
    assert python is not None and python.is_relative_to(cache)
    assert not (folder / "half").exists()
    assert commands[1][-2:] == ["orjson==3.13.0", "ijson==3.6.0"]

    assert environments.python_of("json", install=True) == environments.python_of("json", install=False) == python
    assert len(commands) == 2


def test_other_versions_are_another_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of a pin must not measure what was installed before it."""
    before = environments._folder("drms")
    monkeypatch.setattr(environments, "ENVIRONMENTS", {"drms": ("drms==0.8.0",)})
    assert environments._folder("drms") != before


def test_an_environment_that_cannot_be_had_is_not_here(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a package index, everything else is measured all the same."""

    def fail(command: list[str]) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="…\nNo matching distribution found\n")

    monkeypatch.setattr(environments, "_run", fail)
    assert environments.python_of("drms", install=True) is None
    assert "No matching distribution found" in capsys.readouterr().err


# Running subjects --------------------------------------------------------------------------------------------------


def note(path: str, name: str) -> Facts:
    with Path(path).open("a") as file:
        file.write(name)
    return {}


def called_in() -> Facts:
    return {"folder": str(Path.cwd())}


def large(megabytes: int) -> Facts:
    with Span() as span:
        data = b"x" * (megabytes << 20)
        sum(data[:1_000_000])
    return span.facts(length=len(data))


def broken() -> Facts:
    raise ValueError("what the subject complained about")


def endless() -> Facts:
    time.sleep(600)
    return {}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr("benchmarks.measure._ROOT", ROOT)
    # The subjects of this file are found by others' interpreters as those of the questions are.
    for work in (note, called_in, large, broken, endless):
        monkeypatch.setattr(work, "__module__", "tests.test_benchmarks")
    return Bench(rounds=2, install=False)


def test_subjects_take_turns(bench: Bench, tmp_path: Path) -> None:
    """What else the machine does must not meet one of them alone."""
    target = str(tmp_path / "order")
    found = bench.by_turns(
        {
            "a": Subject(note, (target, "a")),
            "b": Subject(note, (target, "b"), rounds=1, needs="sh"),
            "c": Subject(note, (target, "c"), needs="no such tool"),
        }
    )
    assert Path(target).read_text() == "aba"
    assert found["c"] == "not here"
    assert bench.used == ["sh"]


def test_a_run_without_others_leaves_their_environments_alone(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, tmp_path: Path
) -> None:
    """A quick run takes minutes however slow they are; programs of the machine take part."""
    monkeypatch.setattr(environments, "python_of", lambda name, install: Path(sys.executable))
    target = str(tmp_path / "order")
    subjects = {"json": Subject(note, (target, "a"), needs="json"), "sh": Subject(note, (target, "b"), needs="sh")}
    bench.peers = False
    assert bench.by_turns(subjects)["json"] == "not here"
    assert Path(target).read_text() == "bb"
    bench.peers = True
    bench.by_turns(subjects)
    assert Path(target).read_text() == "bb" + "abab"


def test_what_a_subject_leaves_lying_is_not_left_here(bench: Bench) -> None:
    """Some write a log into the folder that they are called from."""
    found = bench.run(Subject(called_in))
    assert not isinstance(found, str)
    assert Path(found["folder"]) != Path.cwd() and not Path(found["folder"]).exists()


def test_memory_is_that_of_the_subject_alone(bench: Bench) -> None:
    """The peak that the kernel has seen, of a process that did not inherit ours."""
    ballast = b"x" * (300 << 20)
    found = bench.run(Subject(large, (60,)))
    assert not isinstance(found, str)
    assert found["length"] == 60 << 20
    assert 60 < found["peak_mb"] < 250
    assert peak_mb() > len(ballast) / 1e6


def test_what_ours_complains_of_ends_the_run_and_anothers_does_not(bench: Bench) -> None:
    """A benchmark of ours that is broken must not look like one that is not here."""
    with pytest.raises(RuntimeError, match="what the subject complained about"):
        bench.run(Subject(broken))
    assert bench.run(Subject(broken, needs="sh")) == "failed"


def test_who_takes_too_long_or_too_much_is_stopped(bench: Bench) -> None:
    """The growth of others ends where the machine's memory or our patience does."""
    assert bench.run(Subject(endless, needs="sh", limit_s=0.5)) == "over 0 s"
    assert bench.run(Subject(endless, limit_mb=1)) == "over 1 MB"
    with pytest.raises(RuntimeError, match="stopped"):
        bench.run(Subject(endless, limit_s=0.5))


def test_a_tools_memory_and_cpu_are_its_own(tmp_path: Path) -> None:
    """A child's `ru_maxrss` would begin with what we have."""
    ballast = b"x" * (200 << 20)
    # Long enough to be looked at fifty times: a busy machine makes a few of them late.
    code = "import time; data = b'x' * (80 << 20); time.sleep(1)"
    found = run_tool([f'exec {sys.executable} -I -c "{code}"'], shell=True)
    assert 80 < found["peak_mb"] < 150 < len(ballast) / 1e6
    assert 0 < found["cpu_s"] < found["wall_s"] + 1
    with pytest.raises(RuntimeError, match="no-such-file"):
        run_tool(["ls", "no-such-file"])


async def test_a_blocked_loop_is_seen() -> None:
    """The watcher is what says that the loop is never blocked."""
    with watched_loop() as lag:
        await asyncio.sleep(0.01)
        time.sleep(0.1)  # noqa: ASYNC251
    assert lag.longest_ms > 80


# Stand-ins ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searches() -> Iterator[str]:
    with standins.searches() as origin:
        yield origin


async def test_the_stand_in_lets_searches_wait_and_tells_what_it_saw(searches: str) -> None:
    """The delay between ready and noticed is measured by who knows when it was ready."""
    found = await thousand_searches(f"{searches}/0.05-0.2", 20)
    assert found["count"] == 20 and found["looks"] >= 20
    assert 0.05 <= found["ideal_s"] <= 0.2

    await thousand_searches(f"{searches}/0.05-0.2", 3, ideal_s=1)  # leaves what was seen where it is
    seen = standins.seen(f"{searches}/0.05-0.2")
    assert len(seen) == 4
    assert all(0.05 <= one["waited_s"] <= 0.2 and one["late_s"] >= 0 and one["looks"] >= 1 for one in seen)
    assert standins.seen(f"{searches}/0.05-0.2") == []


def test_all_codings_carry_the_same_records(tmp_path: Path) -> None:
    """Otherwise clients would be compared at different work."""
    with standins.bodies() as origin:

        def body(coding: str) -> tuple[bytes, str | None, str | None]:
            with urllib.request.urlopen(f"{origin}/{coding}/30000000/{DATA}") as answer:
                return answer.read(), answer.headers["Content-Length"], answer.headers["Transfer-Encoding"]

        plain, length, _ = body("plain")
        assert length is not None and int(length) == len(plain)
        assert abs(len(plain) - 30_000_000) < 1_000_000
        chunked, _, coding = body("chunked")
        assert (chunked, coding) == (plain, "chunked")
        assert gzip.decompress(body("gzip")[0]) == plain
        lines = body("lines")[0]
        assert lines.rstrip().replace(b"\n", b",") == plain.removeprefix(b'{"result":[').removesuffix(b"]}")
    authority = tmp_path / "authority.pem"
    with standins.bodies(authority) as origin:
        trusting = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(f"{origin}/plain/30000000/{DATA}", context=trusting) as answer:
            assert answer.read() == plain
    assert len(json.loads(plain)["result"]) == plain.count(b'"epoch"')


# Growth ------------------------------------------------------------------------------------------------------------


def test_growth_asks_slow_clients_no_further_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A curve that ends early must not look like a client that broke."""
    monkeypatch.setattr(bench, "run", lambda subject: {"wall_s": 1.0, "peak_mb": 50.0})
    points = growth._climbed(bench, (10, 30), lambda at: Subject(large, (at,)), beyond=100)
    assert [point["at"] for point in points] == [10, 30, 100]
    assert points[-1]["stopped"] == growth.ASKED_NO_FURTHER


def test_growth_shows_where_a_client_was_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """A curve that ends must say why."""
    points: growth.Points = [{"at": 1000, "wall_s": 40.0, "peak_mb": 6100.0}]
    curves: growth.Curves = {
        "megabytes": {
            "aurora_async": [*points, {"at": 2000, "wall_s": 5.0, "peak_mb": 52.0}],
            "pyaurorax": [*points, {"at": 2000, "stopped": "over 8,000 MB"}],
        }
    }
    growth.show(curves, width=80)
    printed = capsys.readouterr().out
    assert "over 8,000 MB" in printed and "6,100" in printed
