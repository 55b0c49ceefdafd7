"""What a type checker, and with it an editor, knows of blocking calls."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

KNOWN = """
from collections.abc import Generator
from typing import Any, assert_type

from aurora_async import (
    Conjunction, DataSource, Ephemeris, EphemerisQuery, Fetched, FetchedProduct, FetchOutcome, Phase, RequestStatus
)
from aurora_async.sync import AuroraX, Request, fetch, fetch_many
from aurora_async.transfer.tables import Records

client = AuroraX()
query = EphemerisQuery(start="2020", end="2020", platforms="swarma")
assert_type(client.ephemeris.search(query), Records[Ephemeris])
assert_type(client.conjunctions.search({}), Records[Conjunction])
assert_type(client.ephemeris.stream(query, deadline_s=1), Generator[Ephemeris, None, None])
request = client.ephemeris.submit(query)
assert_type(request, Request[Ephemeris])
assert_type(request.records(), Records[Ephemeris])
assert_type(request.wait().phase, Phase)
parts = {"epoch": True}
assert_type(client.ephemeris.search(query, response_format=parts), Records[dict[str, Any]])
assert_type(client.ephemeris.stream(query, response_format=parts), Generator[dict[str, Any], None, None])
assert_type(client.ephemeris.submit(query, response_format=parts).records(), Records[dict[str, Any]])
assert_type(client.ephemeris.resume("id", response_format=parts), Request[dict[str, Any]])
assert_type(request.status, RequestStatus | None)
assert_type(client.ephemeris.query("id"), EphemerisQuery)
assert_type(client.sources.list(program="swarm"), Records[DataSource])
assert_type(next(client.run([query])).index, int)
assert_type(fetch("https://example.org/x", ".", deadline_s=1), Fetched)
assert_type(fetch_many(["https://example.org/x"]), list[FetchOutcome])
assert_type(client.data_products.fetch_files([]), list[FetchedProduct])
"""

REFUSED = """
from aurora_async.sync import AuroraX, fetch

client = AuroraX()
client.ephemeris.search()
client.ephemeris.search({}, deadline=1)
client.sources.list(level="everything")
fetch("https://example.org/x", deadline=1)
"""


def wrong(text: str, folder: Path) -> list[str]:
    """Check a script as strictly as our own code; return the kinds of what is wrong with it."""
    script = folder / "script.py"
    script.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return re.findall(rf"^{re.escape(str(script))}:.* error: .*\[(.*)\]$", done.stdout, re.MULTILINE)


def test_blocking_calls_are_typed_like_those_they_stand_for(tmp_path: Path) -> None:
    """Results with their record types, and arguments with theirs: nothing is `Any`."""
    assert wrong(KNOWN, tmp_path) == []
    assert wrong(REFUSED, tmp_path) == ["call-overload", "call-overload", "call-overload", "arg-type", "call-arg"]
