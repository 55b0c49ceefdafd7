"""`jsoc export`, `status`, `download` and `pending`: files from the local JSOC."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aurora_async.server.jsoc.settings import JsocSettings
from aurora_async.testing import LocalServer

if TYPE_CHECKING:
    from conftest import Here, Shell

DAY = "hmi.v_45s[2016.04.01_TAI/1d@6h]{Dopplergram}"
FILES = [f"hmi.v_45s.20160401_{hour:02}0000_TAI.2.Dopplergram.fits" for hour in (0, 6, 12, 18)]


@pytest.fixture(autouse=True)
def asked(here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command asks the local service, for the address that is registered there."""
    monkeypatch.setenv("JSOC_BASE_URL", local_url)
    monkeypatch.setenv("JSOC_EMAIL", "demo@example.com")
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def slow_url() -> Iterator[str]:
    """A service of its own that never has an export ready."""
    with LocalServer(jsoc=JsocSettings(export_s=600)) as server:
        yield server.base_url


@pytest.mark.parametrize("method", ["url_quick", "url", "url-tar"])
def test_export_fetches_the_files(here: Here, shell: Shell, method: str) -> None:
    """Their paths on stdout, everything else on stderr."""
    ran = here("jsoc", "export", DAY, "--method", method, "--dir", "files", "--tar", "extract")
    assert ran.code == 0
    paths = [Path(line) for line in ran.stdout.decode().splitlines()]
    assert [path.name for path in paths if path.suffix == ".fits"] == FILES
    assert all((shell.folder / path).is_file() for path in paths)
    assert {path.name for path in (shell.folder / "files").iterdir()} == {path.name for path in paths}
    assert f"{len(paths)} files; " in ran.stderr


def test_a_second_time_nothing_is_fetched(here: Here) -> None:
    """The same command goes on where it stopped."""
    for command in (("jsoc", "export", DAY), ("jsoc", "export", DAY)):
        ran = here(*command)
    assert ran.code == 0
    assert "4 files, 4 of them there already; 0 B fetched" in ran.stderr


def test_an_archive_may_be_kept_as_it_is(here: Here, shell: Shell) -> None:
    """One file then, with the name that the service gave it."""
    ran = here("jsoc", "export", DAY, "--method", "url-tar", "--tar", "keep", "-d", "tar")
    (path,) = ran.stdout.decode().splitlines()
    assert path.endswith(".tar")
    assert [file.name for file in (shell.folder / "tar").iterdir()] == [Path(path).name]


def test_images_are_processed_and_converted(here: Here) -> None:
    """Steps and image options are written as names and values."""
    steps = ("--process", "rebin:scale=0.25,method=boxcar")
    ran = here("jsoc", "export", DAY, "-n", "1", "--method", "url", "--protocol", "fits", *steps)
    assert (ran.code, len(ran.stdout.splitlines())) == (0, 1)
    ran = here(
        "jsoc",
        "export",
        DAY,
        "-n",
        "1",
        "--protocol",
        "jpg",
        "--protocol-arg",
        "size=8",
        "--protocol-arg",
        "ct=grey.sao",
    )
    assert ran.code == 0
    assert ran.stdout.strip().endswith(b".jpg")


def test_only_records_that_meet_a_condition(here: Here) -> None:
    """Those that are not wanted are never sent."""
    ran = here("jsoc", "export", DAY, "--where", "T_REC_index % 960 = 0")
    assert ran.code == 0
    assert 0 < len(ran.stdout.splitlines()) < 4


def test_files_may_be_called_differently(here: Here) -> None:
    """By a format that the service fills in."""
    ran = here(
        "jsoc",
        "export",
        DAY,
        "-n",
        "1",
        "--method",
        "url",
        "--filename-format",
        "{T_REC:A}.{segment}",
        "--names",
        "server",
    )
    assert ran.stdout.decode().strip() == "20160401_000000_TAI.Dopplergram.fits"


def test_a_manifest_tells_of_every_file(here: Here, shell: Shell) -> None:
    """With the digest of what came."""
    ran = here("jsoc", "export", DAY, "--manifest", "manifest.json", "-q")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "")
    manifest = json.loads((shell.folder / "manifest.json").read_bytes())
    assert [file["path"] for file in manifest["files"]] == FILES
    assert all(len(file["sha256"]) == 64 and file["error"] is None for file in manifest["files"])


@pytest.mark.parametrize("method", ["url_quick", "url"])
def test_a_detached_export_is_fetched_later(here: Here, method: str) -> None:
    """Its identifier is all that one needs, also where the service gave none."""
    ran = here("jsoc", "export", DAY, "--method", method, "--detach")
    assert ran.code == 0
    export_id = ran.stdout.decode().strip()
    assert ran.stderr.startswith("fetch the files with: aurora-async jsoc download ")
    ran = here("jsoc", "download", export_id)
    assert (ran.code, ran.stdout.decode().splitlines()) == (0, FILES)
    status = json.loads(here("jsoc", "status", export_id, "--json").stdout)
    assert (status["phase"], status["files"]) == ("ready", 4)
    assert "bytes" not in status  # whole megabytes are not a number of bytes
    assert status["bytes_about"] is None or status["bytes_about"] % 1_000_000 == 0
    assert "phase   ready\n" in here("jsoc", "status", export_id).stdout.decode().replace("phase      ", "phase   ")


def test_what_is_to_be_typed_next_asks_the_same_service(
    here: Here, local_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pasted as it is, it finds the export: without the options it would look for it at Stanford."""
    monkeypatch.delenv("JSOC_BASE_URL")
    monkeypatch.delenv("JSOC_EMAIL")
    typed = ("--base-url", local_url, "--email", "demo@example.com")
    ran = here("jsoc", "export", DAY, "--detach", *typed)
    command = ran.stderr.removeprefix("fetch the files with: aurora-async ")
    assert shlex.split(command) == ["jsoc", "download", ran.stdout.decode().strip(), *typed]
    assert here(*shlex.split(command)).stdout.decode().splitlines() == FILES


@pytest.mark.parametrize("method", ["url_quick", "url", "url-tar"])
def test_an_export_of_nothing_is_an_error(here: Here, shell: Shell, method: str) -> None:
    """However it is asked for; no folder is left behind."""
    ran = here("jsoc", "export", "hmi.v_45s[2050.01.01/1h]", "-d", "files", "--method", method, "--tar", "keep")
    assert (ran.code, ran.stdout) == (2, b"")
    said = "aurora-async: error: no files of hmi.v_45s[2050.01.01/1h]; nothing was exported"
    assert ran.stderr.splitlines()[-1] == said
    assert not (shell.folder / "files").exists()


@pytest.mark.parametrize(("method", "label"), [("url_quick", DAY), ("url", "JSOC_")])
def test_progress_names_an_export_as_people_know_it(here: Here, method: str, label: str) -> None:
    """By its record set, where the service gave no identifier."""
    ran = here("jsoc", "export", DAY, "--method", method)
    first = ran.stderr.splitlines()[0]
    assert f"] export {label}" in first
    assert first.endswith(": submitted")


def test_events_tell_what_happens(here: Here) -> None:
    """As JSON Lines on stdout, instead of the paths."""
    ran = here("jsoc", "export", DAY, "--method", "url", "--events", "-")
    kinds = [json.loads(line)["kind"] for line in ran.stdout.splitlines()]
    assert kinds[0] == "submitted"
    assert kinds[-1] == "done"


def test_an_export_that_nobody_knows(here: Here) -> None:
    """And an identifier that is none."""
    ran = here("jsoc", "download", "JSOC_20990101_001")
    assert ran.code == 1
    assert "knows no export 'JSOC_20990101_001'" in ran.error
    assert "not an identifier such as JSOC_20240919_001" in here("jsoc", "status", "nonsense").error


def test_an_address_that_is_not_registered(here: Here) -> None:
    """What is said names the command that registers it; without any, nothing is sent."""
    ran = here("jsoc", "export", DAY, "--email", "nobody@example.com")
    assert ran.code == 2
    assert ran.error.endswith("register it with: aurora-async jsoc email nobody@example.com --register")
    assert here("jsoc", "export", DAY, "--email", "").error.startswith("--email: is missing")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--process", "rebin:scal=3"), "did you mean scale?"),
        (("--process", "rebin:scale"), "write rebin:name=value"),
        (("--process", "rebin:scale=1", "--process", "rebin:scale=2"), "the same step twice"),
        (("--protocol-arg", "size=4"), "protocol_args"),
        (("--protocol-arg", "size"), "is not NAME=VALUE"),
        (("--filename-format", "{NOTHING}", "--method", "url"), "no keyword NOTHING"),
        (("--where", "EXPTIME < 'a"), "leaves a quote open"),
    ],
    ids=str,
)
def test_what_is_typed_wrong_is_exit_code_2(here: Here, typed: tuple[str, ...], said: str) -> None:
    """With one line that says what is right."""
    ran = here("jsoc", "export", DAY, *typed)
    assert (ran.code, ran.stdout) == (2, b"")
    assert said in ran.error


def test_files_that_fail_are_named_and_the_others_kept(
    here: Here, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    """The same command fetches those that are missing."""
    with LocalServer() as server:
        monkeypatch.setenv("JSOC_BASE_URL", server.base_url)
        export_id = here("jsoc", "export", DAY, "--method", "url", "--detach").stdout.decode().strip()
        server.faults.add(path="*060000*", status=404)
        ran = here("jsoc", "download", export_id)
        assert (ran.code, len(ran.stdout.splitlines())) == (1, 3)
        assert ran.stderr.splitlines()[-1].endswith("1 of 4 files could not be fetched; try again for these")
        assert FILES[1] in ran.stderr
        server.faults.clear()
        assert "4 files, 3 of them there already" in here("jsoc", "download", export_id).stderr


def test_a_deadline_leaves_the_export_alone(here: Here, slow_url: str) -> None:
    """And says how to go on."""
    ran = here("jsoc", "export", DAY, "--method", "url", "--deadline", "0.5", "--base-url", slow_url)
    assert ran.code == 1
    assert (
        "was not done within 0.5 s; the export lives on, fetch its files with: aurora-async jsoc download JSOC_"
        in (ran.stderr.splitlines()[-1])
    )
    *_, export_id, option, url = ran.stderr.split()
    assert (option, url) == ("--base-url", slow_url)
    ran = here("jsoc", "pending", "--base-url", slow_url)
    assert ran.stdout.decode().split() == [export_id]
    assert here("jsoc", "pending", "--cancel", "--base-url", slow_url).error.endswith(
        "add --yes (see aurora-async jsoc pending --help)"
    )
    assert here("jsoc", "pending", "--cancel", "--yes", "--base-url", slow_url).code == 0
    ran = here("jsoc", "pending", "--json", "--base-url", slow_url)
    assert json.loads(ran.stdout)["pending"] is False


def test_ctrl_c_gives_up_the_export(shell: Shell, slow_url: str) -> None:
    """If the service can: nothing else of this user may be pending there."""
    environ: dict[str, str | None] = {"JSOC_BASE_URL": slow_url, "JSOC_EMAIL": "demo@example.com"}
    with shell.start("jsoc", "export", DAY, "--method", "url", environ=environ) as process:
        assert process.stderr is not None
        assert b"submitted" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    last = stderr.decode().splitlines()[-1]
    assert last.startswith("aurora-async: error: interrupted; export JSOC_")
    assert last.endswith("is cancelled on the service")


def test_ctrl_c_leaves_an_export_that_is_not_the_only_one(here: Here, shell: Shell, slow_url: str) -> None:
    """All or none is what the service can give up; how to go on is said, with the options."""
    typed = ("--base-url", slow_url, "--email", "demo@example.com")
    assert here("jsoc", "export", DAY.replace("04.01", "04.02"), "--method", "url", "--detach", *typed).code == 0
    with shell.start("jsoc", "export", DAY, "--method", "url", *typed) as process:
        assert process.stderr is not None
        assert b"submitted" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    last = stderr.decode().splitlines()[-1]
    assert "goes on at the service, fetch its files with: aurora-async jsoc download JSOC_" in last
    assert last.endswith(shlex.join(typed))
