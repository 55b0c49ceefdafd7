"""`imap`: the files of the local archive, as people and programs ask for them."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.scripted_imap import mag_key, serving_imap

from aurora_async.testing import LocalServer

if TYPE_CHECKING:
    from conftest import Here, Shell

KEY = ("--api-key", "imap-demo-key")
MAG = ("--instrument", "mag", "--data-level", "l1d", "--start-date", "20250928", "--end-date", "20251002")
"""A product of which a day is missing."""
DAYS = ["20250928", "20250930", "20251001", "20251002"]


@pytest.fixture(autouse=True)
def asked(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks the local service, as wide as it likes."""
    monkeypatch.setenv("IMAP_DATA_ACCESS_URL", f"{local_url}/imap")
    monkeypatch.delenv("COLUMNS", raising=False)


def lines(data: bytes) -> list[str]:
    """What was printed, line by line."""
    return data.decode().splitlines()


# Looking --------------------------------------------------------------------------------------------------------------


def test_query_lists_files(here: Here) -> None:
    """Their names say almost everything."""
    ran = here("imap", "query", *MAG)
    head, *rows = lines(ran.stdout)
    assert (ran.code, head.split()) == (0, ["FILE", "INGESTED", "RELEASED"])
    assert [row.split("_")[4] for row in rows] == DAYS
    assert ran.stderr == "4 files; --download fetches them\n"


def test_query_for_programs(here: Here) -> None:
    """Whole records: days and instants as texts, numbers as numbers."""
    (first, *_) = json.loads(here("imap", "query", *MAG, "--json").stdout)
    assert first["key"] == "imap/mag/l1d/2025/09/imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf"
    assert (first["start_date"], first["version"], first["released"]) == ("2025-09-28", "v001.0014", True)
    rows = list(csv.DictReader(io.StringIO(here("imap", "query", *MAG, "--format", "csv").stdout.decode())))
    assert (len(rows), rows[0]["key"], rows[0]["ingestion_date"]) == (4, first["key"], first["ingestion_date"])
    last = here("imap", "query", *MAG, "--format", "jsonl").stdout.splitlines()[-1]
    assert json.loads(last)["start_date"] == "2025-10-02"


@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize(
    "command", [("query", "--instrument", "glows"), ("spice", "attitude_history"), ("gaps", "--instrument", "glows")]
)
def test_tables_fit_the_terminal(
    here: Here, monkeypatch: pytest.MonkeyPatch, width: int, command: tuple[str, ...]
) -> None:
    """What matters least is left out first."""
    monkeypatch.setenv("COLUMNS", str(width))
    ran = here("imap", *command)
    assert ran.code == 0
    assert max(map(len, lines(ran.stdout))) <= width


def test_an_empty_answer_is_explained(here: Here) -> None:
    """Without a key, what is not released looks like what is not there."""
    raw = ("imap", "query", "--instrument", "swe", "--data-level", "l0")
    ran = here(*raw)
    said = "no released file meets all of these; --api-key or --access-token shows the others\n"
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", said)
    assert here(*raw, "--json").stdout == b"[]\n"
    assert len(lines(here(*raw, *KEY).stdout)) > 2
    assert here(*raw, *KEY, "--start-date", "20300101").stderr == "no file meets all of these\n"


def test_kernels_and_tables_of_spins(here: Here) -> None:
    """Both are asked for in the same way."""
    head, *rows = lines(here("imap", "spice", "spacecraft_clock", "--latest").stdout)
    assert head.split()[:3] == ["FILE", "START", "END"]
    assert [row.split()[0] for row in rows] == ["sclk/imap_sclk_0225.tsc"]
    assert lines(here("imap", "spice", "spin").stdout)[1].startswith("imap_2025_365_2026_001_01.spin  2025-12-31  ")
    (row,) = json.loads(here("imap", "spice", "--filename", "naif0012.tls", "--json").stdout)
    assert (row["key"], row["type"]) == ("imap/spice/lsk/naif0012.tls", "leapseconds")


def test_gaps_are_listed(here: Here) -> None:
    """Day by day, or pointing by pointing."""
    ran = here("imap", "gaps", *MAG)
    assert lines(ran.stdout)[1].split() == ["mag", "l1d", "burst-dsrf", "2025-09-29", "2025-09-29", "1"]
    assert ran.stderr == "4 files there, 1 missing\n"
    gaps = json.loads(here("imap", "gaps", "--instrument", "glows", "--data-level", "l3a", "--json").stdout)
    assert gaps[0] | {"first": 5, "last": 6, "missing": 2} == gaps[0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("query", "say which files: give a filter, such as --instrument mag"),
        ("query --version latest", "say which files: "),
        ("query --instrument nothing", "--instrument: 'nothing' is not one of codice, "),
        ("query --start-date 2025-13", "--start-date: '2025-13' is not a time: "),
        ("query --filename x.cdf", "'x.cdf' is not a file name of IMAP, such as imap_mag_"),
        ("query --filename naif0012.tls", "imap spice --filename finds it"),
        ("query --filename naif0012.tls --instrument mag", "--filename stands alone"),
        ("query --instrument mag --download --json", "leave --format and --json away"),
        ("query --instrument mag --base-url nowhere", "--base-url: 'nowhere' is not an absolute"),
        ("spice", "say which: a type, such as spacecraft_clock"),
        ("spice naif", "TYPE: 'naif' is not one of "),
        ("download", "say which files: names, filters such as --instrument mag"),
        ("download x.cdf", "'x.cdf' is not a file name of IMAP"),
        ("download --from nowhere", "nowhere: cannot be read"),
        ("download --inputs inputs.json", "inputs.json: $[0].type: 'spam' is not one of "),
        ("download --from names.txt", "names.txt, line 2: 'x.cdf' is not a file name"),
        ("upload x.cdf", "'x.cdf' is not a file name of IMAP"),
        ("reprocess --start-date 20240101 --end-date 20240102", "There is no terminal to ask on: add --yes"),
        ("release imap_mag_data-release-001_20270101_20270131_v001.txt", "There is no terminal to ask on: add --yes"),
        ("packets l1const 20250928", "l1const"),
        ("packets mag 20250928", "--webpoda-token: is missing"),
        (
            "reprocess --start-date 20240101 --end-date 20240102 --instrument mag --data-level l2",
            "--data-level: wants ",
        ),
        (
            "upload imap_mag_l1b_norm-magi_20300102_v001.cdf --dry-run",
            "FILE: imap_mag_l1b_norm-magi_20300102_v001.cdf lacks ",
        ),
        ("upload imap_swe_l0_sci_20240105_20240105_v00-05.pkts --dry-run", "is named as files were in 2024"),
        ("upload imap_mag_l1b_norm-magi_20300102_v001.0001.cdf --dry-run", "FILE: "),
        ("jobs --log x --instrument mag", "--log stands alone"),
    ],
)
def test_what_is_typed_wrong_is_exit_code_2(here: Here, shell: Shell, typed: str, said: str) -> None:
    """With one line that says what is right."""
    shell.write("inputs.json", [{"type": "spam", "files": []}])
    shell.write("names.txt", b"# of mag\nx.cdf\n")
    ran = here("imap", *typed.split())
    assert (ran.code, ran.stdout) == (2, b"")
    assert said in ran.error


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_query_is_fetched_in_one_command(here: Here, shell: Shell) -> None:
    """Into the folders of the archive, below the data directory; the paths are told from here."""
    ran = here("imap", "query", *MAG, "--download")
    paths = lines(ran.stdout)
    assert ran.code == 0
    assert paths[0] == "data/imap/mag/l1d/2025/09/imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf"
    assert [path.split("_")[-2] for path in paths] == DAYS
    assert all((shell.folder / path).stat().st_size > 0 for path in paths)
    assert "4 files; " in ran.stderr
    ran = here("imap", "download", *MAG, "--data-dir", "data")
    assert lines(ran.stdout) == paths
    assert ran.stderr.splitlines()[-1] == "4 files, here already"


def test_a_stub_of_another_program_is_mended(here: Here, shell: Shell) -> None:
    """The official one takes whatever is there for the file."""
    (path,) = lines(here("imap", "download", "naif0012.tls").stdout)
    whole = (shell.folder / path).read_bytes()
    (shell.folder / path).write_bytes(whole[:10])
    assert here("imap", "download", "naif0012.tls").code == 0
    assert (shell.folder / path).read_bytes() == whole


def test_names_come_from_lists_and_from_jobs(here: Here, shell: Shell) -> None:
    """A document of processing inputs needs no unpacking; what is named twice is fetched once."""
    inputs = [
        {"type": "science", "files": ["imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf"]},
        {"type": "spice", "files": ["naif0012.tls", "imap_sclk_0225.tsc"]},
    ]
    shell.write("inputs.json", inputs)
    shell.write("names.txt", b"imap/spice/lsk/naif0012.tls\n\n# the planets\nde440.bsp\n")
    ran = here("imap", "download", "--inputs", "inputs.json", "--from", "names.txt", "--data-dir", "archive")
    assert ran.code == 0
    assert sorted(Path(line).name for line in lines(ran.stdout)) == [
        "de440.bsp", "imap_glows_l1b_hist_20260101-repoint00096_v001.0001.cdf", "imap_sclk_0225.tsc", "naif0012.tls"
    ]  # fmt: skip


def test_a_dry_run_fetches_nothing(here: Here, shell: Shell) -> None:
    """It tells what is not here."""
    for command in ("download", "sync"):
        ran = here("imap", command, *MAG, "--dry-run")
        assert [line.split("_")[-2] for line in lines(ran.stdout)] == DAYS
        assert ran.stderr.startswith("4 files would be fetched into ")
    assert list(shell.folder.iterdir()) == []
    here("imap", "download", *MAG, "--end-date", "20250928")
    assert len(lines(here("imap", "download", *MAG, "--dry-run").stdout)) == 3


def test_what_fails_does_not_stop_the_others(here: Here) -> None:
    """The reasons stand in a table; a reason that many have is told once."""
    hidden = ["imap_swe_l0_raw_20240510_v011.pkts", "imap_swe_l0_raw_20240510_v012.pkts"]
    gone = "imap_mag_l1d_burst-dsrf_20300101_v001.0014.cdf"
    ran = here("imap", "download", *hidden, gone, "naif0012.tls")
    assert (ran.code, lines(ran.stdout)) == (1, ["data/imap/spice/lsk/naif0012.tls"])
    *_, head, first, second, last = ran.stderr.splitlines()
    assert head.split() == ["FILE", "ERROR"]
    assert re.search("and 1 more +not released: --api-key or --access-token would show it$", first)
    assert second.endswith("  the archive has no such file")
    assert last == "aurora-async: error: 3 of 4 files could not be fetched; try again for these"


@pytest.mark.parametrize("command", ["query --instrument mag --download", "download --instrument mag"])
async def test_a_wrong_path_in_the_catalogue_stops_no_other_file(shell: Shell, command: str) -> None:
    """It is one file that fails; nothing is written outside of the data directory."""
    async with serving_imap() as archive:
        archive.add([mag_key(1), mag_key(2)])
        archive.rows.append({**archive.rows[0], "file_path": "imap/../../../outside.cdf"})
        ran = await shell.run_async("imap", *command.split(), "--base-url", archive.base_url)
    assert (ran.code, lines(ran.stdout)) == (1, [f"data/{mag_key(1)}", f"data/{mag_key(2)}"])
    head, failed, last = ran.stderr.splitlines()[-3:]
    assert (head.split(), failed.split()[0]) == (["FILE", "ERROR"], "outside.cdf")
    assert last == "aurora-async: error: 1 of 3 files could not be fetched; try again for these"


def test_hints_name_the_next_command(here: Here, local_url: str) -> None:
    """With the service that was typed, and ready to be copied."""
    url = ("--base-url", f"{local_url}/imap")
    ran = here("imap", "download", "imap_mag_l1d_burst-dsrf_20300101_v001.0014.cdf", *url)
    assert ran.code == 1
    assert ran.error.endswith(
        "see what it has of that day: aurora-async imap query --instrument mag --data-level l1d --descriptor "
        f"burst-dsrf --start-date 20300101 --end-date 20300101 {' '.join(url)}"
    )
    ran = here("imap", "download", "imap_swe_l0_raw_20240510_v012.pkts")
    assert ran.error == (
        "imap_swe_l0_raw_20240510_v012.pkts is not released; --api-key or --access-token would show it"
    )


def test_sync_brings_what_is_new(here: Here, shell: Shell) -> None:
    """And what is missing; nothing is fetched twice."""
    ran = here("imap", "sync", *MAG)
    paths = lines(ran.stdout)
    assert (ran.code, len(paths)) == (0, 4)
    assert ran.stderr.splitlines()[-1].startswith("4 new files, ")
    ran = here("imap", "sync", *MAG)
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "nothing new; 4 here already\n")
    (shell.folder / paths[1]).unlink()
    ran = here("imap", "sync", *MAG, "--full")
    assert lines(ran.stdout) == [paths[1]]
    assert ran.stderr.splitlines()[-1].endswith("; 3 here already")


def test_a_metakernel_names_the_kernels_where_they_are(here: Here, shell: Shell) -> None:
    """So that SPICE loads it as it is."""
    names = lines(here("imap", "metakernel", "20260101", "20260102", "--list").stdout)
    assert names[0] == "lsk/naif0012.tls"
    ran = here("imap", "metakernel", "20260101", "20260102", "--download", "--out", "new_year.tm")
    assert ran.code == 0
    text = (shell.folder / "new_year.tm").read_text()
    folder = shell.folder / "data" / "imap" / "spice"
    assert all((folder / name).is_file() for name in names)
    assert str(folder) in text.replace("+'\n  '", "")
    *gaps, last = here("imap", "metakernel", "20200401", "20260102", "--require-coverage").stderr.splitlines()
    assert "no spacecraft ephemeris for 2020-04-01 00:00 to 2025-09-24 23:59" in gaps
    assert last.endswith(" error: the range is not covered; shorten it, or leave --require-coverage away")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
def test_ctrl_c_keeps_what_has_come(shell: Shell) -> None:
    """It says how to go on."""
    with LocalServer() as server:
        stalled = server.faults.add(path="/imap/mag/*", stall_at=0.5)
        environ: dict[str, str | None] = {"IMAP_DATA_ACCESS_URL": f"{server.base_url}/imap"}
        with shell.start("imap", "download", *MAG, environ=environ) as process:
            while process.poll() is None and not stalled.hits:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.decode().splitlines()[-1] == (
        "aurora-async: error: interrupted; what has come is kept, the same command goes on from there"
    )


# The archive ----------------------------------------------------------------------------------------------------------


def test_files_are_delivered(here: Here, shell: Shell) -> None:
    """Once: the archive replaces none."""
    names = [f"imap_mag_l1b_norm-magi_203001{day:02}_v001.0001.cdf" for day in (1, 2)]
    for name in names:
        shell.write(name, b"made up")
    ran = here("imap", "upload", *names, "--dry-run")
    assert lines(ran.stdout) == [f"imap/mag/l1b/2030/01/{name}" for name in names]
    assert ran.stderr == "2 files would be delivered, 14 B\n"
    ran = here("imap", "upload", names[0], *KEY)
    assert (ran.code, ran.stderr) == (0, "1 file delivered, 7 B\n")
    ran = here("imap", "upload", names[0], *KEY)
    assert (ran.code, ran.stdout) == (1, b"")
    assert ran.error.startswith(f"the archive has {names[0]} already, and replaces no file: ")
    ran = here("imap", "upload", *names, *KEY, "--exists", "skip")
    assert (ran.code, lines(ran.stdout)) == (0, [f"imap/mag/l1b/2030/01/{names[1]}"])
    assert ran.stderr == "1 file delivered, 7 B; 1 there already\n"


def test_a_key_that_is_refused_is_not_echoed(here: Here, shell: Shell) -> None:
    """What is wrong with it is said without it."""
    shell.write("imap_mag_l1b_norm-magi_20300103_v001.0001.cdf", b"made up")
    ran = here("imap", "upload", "imap_mag_l1b_norm-magi_20300103_v001.0001.cdf", "--api-key", "s3cret")
    assert ran.code == 1
    assert ran.error.startswith("the service refuses: ")
    assert "s3cret" not in ran.stderr


def test_releases_and_orders(here: Here, shell: Shell) -> None:
    """A release cannot be undone, so it is asked about; an order has an identifier."""
    name = "imap_mag_data-release-001_20300201_20300228_v001.txt"
    shell.write(name, b"mag,l2,norm-dsrf,true\n")
    ran = here("imap", "release", name, "--yes", *KEY)
    assert (ran.code, ran.stderr) == (0, f"Successfully released data per specification in {name}\n")
    days = ("--start-date", "20300201", "--end-date", "20300202", "--instrument", "mag")
    ran = here("imap", "reprocess", *days)
    assert (ran.code, ran.error) == (1, "the service has no such operation; --api-key may be needed")
    ran = here("imap", "reprocess", *days, *KEY)
    assert (ran.code, len(lines(ran.stdout))) == (0, 1)
    assert here("imap", "jobs", "--instrument", "lo").code == 0


def test_packets_become_files_of_level_0(here: Here, shell: Shell) -> None:
    """One a day."""
    swapi, token = ("imap", "packets", "swapi"), ("--webpoda-token", "ZGVtbzpkZW1v")
    ran = here(*swapi, "20251001", "--mode", "sct", *token, *KEY)
    assert lines(ran.stdout) == ["data/imap/swapi/l0/2025/10/imap_swapi_l0_raw_20251001_v001.0001.pkts"]
    assert ran.stderr.startswith("1 new file, ")
    assert here(*swapi, "20991001", *token, *KEY).stderr == "no such packets\n"
    assert here(*swapi, "20251001", "--webpoda-token", "wrong", *KEY).error.startswith("the packet service refuses ")
