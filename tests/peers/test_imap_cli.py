"""`imap-data-access` twice: the official program and ours, with the same arguments, against one service.

Both run in this process. What they print, the files they write and their exit codes are the same to the byte, but where
ours does better on purpose, which the tests say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import pytest

pytestmark = pytest.mark.peers

KEY = "imap-demo-key"


@attrs.frozen
class Ended:
    """How a command ended: exit code, what it printed, the files it wrote."""

    code: int
    stdout: str
    stderr: str
    files: Mapping[str, bytes]


@attrs.frozen
class Both:
    """The two programs; called, it runs the same command with one and then with the other."""

    official: Callable[..., Ended]
    ours: Callable[..., Ended]

    def __call__(self, *arguments: str) -> tuple[Ended, Ended]:
        return self.official(*arguments), self.ours(*arguments)

    def agree(self, *arguments: str) -> Ended:
        """Run both; fails unless they end alike."""
        official, ours = self(*arguments)
        assert ours == official
        return ours


@pytest.fixture
def both(base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Both:
    """The two programs, each with a data directory of its own, which what they print is relative to."""
    import imap_data_access
    from imap_data_access.cli import main as official

    from aurora_async.cli import main as ours

    for name in ("IMAP_API_KEY", "IMAP_ACCESS_TOKEN", "IMAP_DATA_DIR", "IMAP_WEBPODA_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(imap_data_access, "config", dict(imap_data_access.config))

    def runner(name: str, run: Callable[[list[str]], int | None]) -> Callable[..., Ended]:
        folder = tmp_path / name
        folder.mkdir()

        def run_it(*arguments: str) -> Ended:
            try:
                code = run(["--url", f"{base_url}/imap", "--data-dir", str(folder), *arguments])
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            printed = capfd.readouterr()
            files = {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.is_file() and ".aurora_async" not in path.parts
            }
            return Ended(code or 0, printed.out.replace(str(folder), "DATA"), printed.err, files)

        return run_it

    def run_official(arguments: list[str]) -> int | None:
        monkeypatch.setattr(sys, "argv", ["imap-data-access", *arguments])
        for name in ("API_KEY", "ACCESS_TOKEN"):  # what an earlier command was given
            imap_data_access.config[name] = None
        code: int | None = official()
        return code

    return Both(
        runner("official", run_official), runner("ours", lambda arguments: ours(["imap-data-access", *arguments]))
    )


@pytest.mark.parametrize(
    "typed",
    [
        "--instrument swe",
        "--instrument mag --data-level l1d --start-date 20250928 --end-date 20251010",
        "--instrument mag --data-level l1d --start-date 20250928 --end-date 20251010 --version latest",
        "--instrument glows --repointing repoint00096",
        "--instrument hi --data-level l3",
        "--instrument swe --version v003 --extension cdf",
        "--table ancillary --instrument codice",
        "--table ancillary --instrument swe --version latest",
        "--instrument ultra --descriptor nothing",
    ],
)
@pytest.mark.parametrize("output", ["table", "json"])
def test_queries_print_the_same(both: Both, typed: str, output: str) -> None:
    """Tables to the last blank, and JSON in one line."""
    ended = both.agree("query", *typed.split(), "--output-format", output)
    assert (ended.code, ended.stderr) == (0, "")


def test_a_key_shows_more(both: Both) -> None:
    """To both of them the same."""
    query = ("query", "--instrument", "swe", "--data-level", "l0")
    assert both.agree(*query).stdout == "Found [0] matching files\n"
    assert len(both.agree("--api-key", KEY, *query).stdout.splitlines()) > 3


def test_kernels_are_the_same_in_another_order(both: Both) -> None:
    """The service promises none; the right edge of our table is straight."""
    for kernel_type in ("spacecraft_clock", "attitude_history"):
        official, ours = both("query", "--table", "spice", "--type", kernel_type)
        assert ours.code == official.code == 0
        cells = [
            sorted(re.sub(r"[ -]+", " ", line) for line in ended.stdout.splitlines()) for ended in (official, ours)
        ]
        assert cells[0] == cells[1]


def test_downloads_are_the_same(both: Both) -> None:
    """Folders, bytes and words; the second time, too, when the file is there."""
    name = "imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf"
    for typed in (f"imap/mag/l1d/2025/09/{name}", name):
        ended = both.agree("download", typed)
        assert list(ended.files) == [f"imap/mag/l1d/2025/09/{name}"]
        assert ended.stdout == f"Successfully downloaded the file to: DATA/imap/mag/l1d/2025/09/{name}\n"


@pytest.mark.parametrize(
    "typed",
    [
        "download imap_mag_l1d_burst-dsrf_20300101_v001.0014.cdf",
        "download imap_swe_l0_raw_20240510_v012.pkts",
        "download something.txt",
        "query",
        "query --version latest",
        "query --instrument swe --data-level l9",
        "query --instrument swe --extension exe",
        "query --table spice",
        "query --type spin",
        "query --filename imap_swe_l1b_sci_20240510_v003.cdf --version v003",
        "upload nowhere.cdf",
        "--api-key wrong query --instrument swe",
        "reprocess --start-date 20240101 --end-date 20240102 --instrument swe",
        "release --release-type release",
        "release --release-type unrelease --manifest-file x.txt",
        "",
        "nothing",
        "query --instrument nothing",
        "reprocess --instrument swe",
        "--nothing query",
    ],
)
def test_what_goes_wrong_ends_alike(both: Both, typed: str) -> None:
    """The same exit code, and nothing on stdout; our sentence is no `repr`."""
    official, ours = both(*typed.split())
    assert (ours.code, ours.stdout, ours.files) == (official.code, official.stdout, official.files)
    assert "Error(" not in ours.stderr
    if ours.code == 1:
        assert ours.stderr.startswith("imap-data-access: error: ")
        assert len(ours.stderr.splitlines()) == 1


def test_what_the_service_says_is_passed_on(both: Both) -> None:
    """In the same words."""
    official, ours = both("download", "imap_mag_l1d_burst-dsrf_20300101_v001.0014.cdf")
    said = ours.stderr.strip().removeprefix("imap-data-access: error: ")
    assert said.startswith("404 Not Found: File not found, ")
    assert said in official.stderr


def test_a_file_is_found_by_its_name(both: Both) -> None:
    """Which no release of the official program has ever done."""
    official, ours = both("query", "--filename", "imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf")
    assert (official.code, ours.code) == (1, 0)
    by_hand = both.official("query", "--instrument", "mag", "--data-level", "l1d", "--descriptor", "burst-dsrf",
                            "--start-date", "20250928", "--end-date", "20250928")  # fmt: skip
    assert ours.stdout == by_hand.stdout
    assert "Found [1]" in ours.stdout


def test_uploads_end_alike(both: Both, tmp_path: Path) -> None:
    """The second of the two comes too late: the archive has the file then."""
    path = tmp_path / "imap_mag_l1a_norm-magi_20270101_v001.0001.cdf"
    path.write_bytes(b"made up")
    official, ours = both("--api-key", KEY, "upload", str(path))
    assert (official.code, official.stdout) == (0, "Successfully uploaded the file to the IMAP SDC\n")
    assert (ours.code, ours.stdout) == (1, "")
    assert "409 Conflict: " in ours.stderr
    path = path.rename(path.with_name("imap_mag_l1a_norm-magi_20270102_v001.0001.cdf"))
    assert both.ours("--api-key", KEY, "upload", str(path)) == official


def test_orders_end_alike(both: Both) -> None:
    """One line each."""
    days = ("--start-date", "20270101", "--end-date", "20270102")
    ended = both.agree("--api-key", KEY, "reprocess", *days, "--instrument", "swe")
    assert ended.stdout == "Successfully triggered reprocessing for the given parameters.\n"


@pytest.mark.parametrize("command", ["", "download", "query", "upload", "webpoda", "reprocess", "release"])
def test_every_option_is_known(both: Both, command: str) -> None:
    """None that the official help lists is missing in ours."""
    official, ours = both(*filter(None, [command, "--help"]))
    listed = [set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", ended.stdout, re.MULTILINE)) for ended in (official, ours)]
    assert listed[0] <= listed[1]
