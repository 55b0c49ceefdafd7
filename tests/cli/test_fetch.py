"""`fetch` and `data-products get-files`, as a person types them."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
QUERY = {
    "start": "2020-01-01T00:00",
    "end": "2020-01-01T23:59",
    "data_sources": {"programs": ["trex"], "instrument_types": ["RGB ASI"]},
}


def url_of(base: str, size: int) -> str:
    """Where the local service gives so many bytes."""
    return f"{base}/_local/bytes/{size}"


def test_what_was_fetched_is_printed_and_not_fetched_again(here: Run, local_url: str, tmp_path: Path) -> None:
    """The paths on stdout, for the next program; a sentence on stderr."""
    urls = [url_of(local_url, size) for size in (1000, 2000)]
    ran = here("fetch", *urls, "--dir", "got")
    assert (ran.code, ran.stdout) == (0, b"got/1000\ngot/2000\n")
    assert "2 files; 3.0 kB fetched" in ran.stderr
    assert [(tmp_path / "got" / name).stat().st_size for name in ("1000", "2000")] == [1000, 2000]
    ran = here("fetch", *urls, "--dir", "got")
    assert (ran.code, ran.stdout) == (0, b"got/1000\ngot/2000\n")
    assert "2 files, 2 of them there already; 0 B fetched" in ran.stderr
    ran = here("fetch", urls[0], "--dir", "got", "--exists", "refuse")
    assert ran.code == 1
    assert ran.error == "got/1000: the file exists; remove it, or have it replaced with --exists replace"
    ran = here("fetch", *urls, "--dir", "got", "--exists", "refuse")
    assert "have it replaced with --exists replace" in " ".join(ran.stderr.split())
    assert here("fetch", urls[0], "-d", "got", "--quiet").stderr == ""


def test_some_that_fail_are_told_in_a_table(here: Run, local_url: str, tmp_path: Path) -> None:
    """The others are there; the exit code says that not all are."""
    ran = here("fetch", url_of(local_url, 10), f"{local_url}/nothing/here", "ftp://x/y", "-d", "got", "--jobs", "2")
    assert (ran.code, ran.stdout) == (1, b"got/10\n")
    lines = ran.stderr.splitlines()
    assert any(line.split() == ["URL", "ERROR"] for line in lines)
    assert any(line.startswith(f"{local_url}/nothing/here") and "404" in line for line in lines)
    assert lines[-1] == "aurora-async: error: 2 of 3 files could not be fetched"


def test_one_reason_of_many_failures_is_told_once(here: Run, shell: Any) -> None:
    """Without a network all of them have the same, and hundreds of lines would hide the others."""
    there = "http://127.0.0.1:9"
    ran = here("fetch", *(f"{there}/{number}" for number in range(30)), *(f"{n}://x/y{n}" for n in "ab"), "-q")
    lines = ran.stderr.splitlines()
    assert len(lines) == 5, lines
    assert lines[1].startswith(f"{there}/0 and 29 more ") and "nothing listens there" in lines[1]
    assert lines[-1] == "aurora-async: error: 32 of 32 files could not be fetched"
    ran = here("fetch", *(f"{n}://x/y{n}" for n in "abcdefghijkl"), "-q")
    assert len(ran.stderr.splitlines()) == 13
    assert "... and 2 other reasons; --events FILE has them all" in ran.stderr


def test_a_list_may_come_from_a_file_or_from_stdin(shell: Any, here: Run, local_url: str, tmp_path: Path) -> None:
    """With digests, empty lines and remarks; a wrong digest is an error of its line's file."""
    assert here("fetch", url_of(local_url, 5), "-d", "x").code == 0
    digest = hashlib.sha256((tmp_path / "x" / "5").read_bytes()).hexdigest()
    text = f"# what I want\n\n{url_of(local_url, 5)} sha256:{digest}\n{url_of(local_url, 6)}\n"
    shell.write("list", text.encode())
    assert here("fetch", "--from", "list", "-d", "a").stdout == b"a/5\na/6\n"
    ran = shell.run("fetch", "--from", "-", "-d", "b", stdin=text.replace(digest, "0" * 64).encode())
    assert (ran.code, ran.stdout) == (1, b"b/6\n")
    assert "was promised" in " ".join(ran.stderr.split())
    ran = here("fetch", url_of(local_url, 5), "--digest", digest, "-d", "c")
    assert (ran.code, ran.stdout) == (0, b"c/5\n")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((), "give URLs"),
        (("http://x/a", "http://x/b", "--digest", "0" * 64), "--digest is for one URL"),
        (("http://x/a", "--digest", "0" * 63), "digest: "),
        (("http://x/a", "http://y/a"), "is also that of"),
        (("--from", "nothing"), "nothing: cannot be read: no such file"),
        (("--from", "bad"), "bad: line 2: is not a URL, nor a URL and its digest"),
    ],
)
def test_what_cannot_be_meant_is_refused(here: Run, shell: Any, typed: tuple[str, ...], said: str) -> None:
    """Before anything is asked, with exit code 2 and one line."""
    shell.write("bad", b"http://x/a\nfirst second third\n")
    ran = here("fetch", *typed)
    assert ran.code == 2
    assert said in ran.stderr.splitlines()[-1]


def test_ctrl_c_keeps_what_has_come(shell: Any, local_url: str, tmp_path: Path) -> None:
    """And says so; the same command goes on from there."""
    with shell.start("fetch", url_of(local_url, 1_000_000_000), "-d", "got") as process:
        until = time.monotonic() + 20
        while not any(path.stat().st_size > 4_000_000 for path in tmp_path.glob("got/.aurora-parts/*.part")):
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"what has come is kept, the same command goes on from there" in stderr
    (part,) = (tmp_path / "got" / ".aurora-parts").glob("*.part")
    assert part.stat().st_size >= 4_000_000


def test_the_files_of_a_search_go_where_they_belong(here: Run, shell: Any, local_url: str, tmp_path: Path) -> None:
    """Those of a results file, or of a request, which may have found nothing."""
    shell.write("query.json", QUERY)
    found = here("data-products", "search", "query.json", "--base-url", local_url, "-o", "found.json")
    assert found.code == 0, found.stderr
    records = json.loads((tmp_path / "found.json").read_bytes())[:3]
    for record in records:  # to the local copies of what is published
        record["url"] = record["url"].replace("https://", f"{local_url}/files/")
    shell.write("three.json", records)
    ran = here("data-products", "get-files", "three.json", "--base-url", local_url, "--dir", "got")
    assert ran.code == 0, ran.stderr
    paths = ran.stdout.decode().splitlines()
    assert len(paths) == len({record["url"] for record in records})
    assert all(path.startswith("got/trex/") and "/RGB ASI/2020-01-0" in path for path in paths)
    assert all((tmp_path / path).read_bytes()[:2] for path in paths)
    shell.write("none.json", {**QUERY, "data_sources": {"programs": ["swarm"]}})
    request_id = here("data-products", "submit", "none.json", "--base-url", local_url).stdout.decode().strip()
    ran = here("data-products", "get-files", request_id, "--base-url", local_url, "--dir", "got")
    assert (ran.code, ran.stdout, ran.stderr) == (0, b"", "0 files; 0 B fetched\n")
    shell.write("other.json", [{"epoch": "2020"}])
    ran = here("data-products", "get-files", "other.json", "--base-url", local_url)
    assert (ran.code, "records[0]: is not a data product" in ran.error) == (2, True)
