"""Names from servers: one part of a path, which every system takes."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurora_async.transfer.names import name_from, safe_name


@given(st.text(max_size=400))
@example("../../etc/passwd")
@example("..\\..\\windows\\system32")
@example("C:")
@example("con.txt")
@example(" . ")
@example("\ud800")
@example("é" * 300 + ".png")
def test_whatever_a_server_says_the_file_lies_in_the_folder(name: str) -> None:
    """Of a length that leaves room for part files, and the same when it is made safe once more."""
    safe = safe_name(name)
    assert safe not in ("", ".", "..") and not safe.startswith(".")
    assert Path(safe).name == safe == PureWindowsPath(safe).name
    assert len(os.fsencode(safe)) <= 201
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/a/2020%20keogram.png?size=1#x", "2020 keogram.png"),
        ("https://example.org/a/b/", "b"),
        ("https://example.org", "download"),
        ("https://example.org/..%2f..%2Fetc%2fpasswd", "passwd"),
        ("https://example.org/%2e%2e", "download"),
        ("https://example.org/.bashrc", "_bashrc"),
        ("https://example.org/NUL.png", "_NUL.png"),
    ],
)
def test_a_url_names_a_file_by_its_end(url: str, name: str) -> None:
    """Decoded before it is looked at, so that nothing hides behind a percent sign."""
    assert name_from(url) == name
