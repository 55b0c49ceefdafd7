"""`search --window`: long queries in pieces, with the result of the whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Here, Shell

# A place and the imagers around it: nothing that takes long to compute, and nights that last across midnight.
CONJUNCTIONS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-03T23:59:59",
    "ground": [{"programs": ["themis-asi"]}],
    "adhoc": [{"locations": [{"lat": 56.4, "lon": -94.6}]}],
    "max_distances": {"ground1-adhoc1": 500},
}
EPHEMERIS = {
    "start": "2019-12-01T00:00:00",
    "end": "2020-01-15T23:59:59",
    "data_sources": {"programs": ["themis-asi"], "platforms": ["gillam"]},
}


@pytest.mark.parametrize("window", ["5h", "1d", "1 week", "auto"])
def test_a_search_in_windows_writes_the_same_file(shell: Shell, here: Here, local_url: str, window: str) -> None:
    """Byte for byte: nobody sees from a file how it was asked for."""
    search = ("conjunctions", "search", shell.write("q.json", CONJUNCTIONS), "--base-url", local_url, "-q", "--out")
    assert here(*search, "whole.json").code == 0
    ran = here(*search, "windows.json", "--window", window)
    assert (ran.code, ran.stderr) == (0, "")
    whole = (shell.folder / "whole.json").read_bytes()
    assert len(whole) > 1000
    assert (shell.folder / "windows.json").read_bytes() == whole


def test_more_than_a_month_of_ephemeris_is_searched_without_being_told(
    shell: Shell, here: Here, local_url: str
) -> None:
    """The service takes 31 days; whoever asks for 46 gets them."""
    query = shell.write("q.json", EPHEMERIS)
    wanted = ("--format", "jsonl", "--response-format", '{"epoch": true}')
    ran = here("ephemeris", "search", query, *wanted, "--base-url", local_url, "-q", "--out", "found.jsonl")
    assert (ran.code, ran.stderr) == (0, "")
    epochs = (shell.folder / "found.jsonl").read_text().splitlines()
    assert len(epochs) > 20_000
    assert epochs == sorted(set(epochs))


def test_submitting_more_than_a_month_is_refused(shell: Shell, here: Here, local_url: str) -> None:
    """It is one request; the error says what to do instead."""
    ran = here("ephemeris", "submit", shell.write("q.json", EPHEMERIS), "--base-url", local_url)
    assert ran.code == 2
    assert "46.0 days" in ran.error and "windows" in ran.error


@pytest.mark.parametrize("window", ["30s", "soon", "0d", "1 month", "-1d", ""])
def test_a_window_that_is_none_is_a_usage_error(shell: Shell, here: Here, window: str) -> None:
    """Before a server is asked, and with the option's name."""
    ran = here("conjunctions", "search", shell.write("q.json", CONJUNCTIONS), f"--window={window}")
    assert ran.code == 2
    assert "--window" in ran.error


def test_an_error_names_the_window(shell: Shell, here: Here) -> None:
    """Of a year of windows, one wants to know where to look."""
    ran = here("ephemeris", "search", shell.write("q.json", EPHEMERIS), "--base-url", "http://127.0.0.1:9", "-q")
    assert ran.code == 1
    names = r"2019-12-01T00:00:00 to 2019-12-31T23:59:59|2020-01-01T00:00:00 to 2020-01-15T23:59:59"
    assert re.search(rf"; in one of 2 windows, ({names})$", ran.error)
