"""The gate: prefixes, credentials, scopes and limits, as those of the real one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.imap_asking import KEY, READ_KEY, TOKEN, ImapAsker, serving

from aurora_async.testing import FaultScript

ALL = "query?end_date=20991231"


async def refused(asker: ImapAsker, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Return status and message of a refusal."""
    answer = await asker.ask(path, method, **headers)
    return answer.status, answer.document["message"]


async def test_who_asks_is_found_out_by_the_prefix(tmp_path: Path) -> None:
    """A credential means nothing but below its own."""
    async with serving(tmp_path) as asker:
        unauthorized, forbidden = (401, "Unauthorized"), (403, "Forbidden")
        assert await refused(asker, f"/api-key/{ALL}") == unauthorized
        assert await refused(asker, f"/api-key/{ALL}", **TOKEN) == unauthorized
        assert await refused(asker, f"/api-key/{ALL}", x_api_key="another") == forbidden
        assert await refused(asker, f"/authorized/{ALL}") == unauthorized
        assert await refused(asker, f"/authorized/{ALL}", Authorization="Bearer another") == unauthorized
        assert await refused(asker, f"/authorized/{ALL}", Authorization="Basic imap-demo-token") == unauthorized
        counts = [
            len((await asker.ask(f"{prefix}/{ALL}", **headers)).document)
            for prefix, headers in (
                ("", KEY),
                ("", TOKEN),
                ("/api-key", KEY),
                ("/api-key", READ_KEY),
                ("/authorized", TOKEN),
            )
        ]
        assert counts[0] == counts[1] < counts[2] == counts[3] == counts[4]
        double = asker.service.imap_url + f"//api-key/{ALL}"  # a base URL with a stroke at its end
        assert (await asker.ask(double, **KEY)).status == 200
    async with serving(tmp_path, is_open=True) as asker:
        assert len((await asker.ask(f"/{ALL}")).document) == counts[2]


async def test_a_key_for_reading_changes_nothing(tmp_path: Path) -> None:
    """The gateway refuses whatever writes."""
    query = "reprocess?start_date=20260101&end_date=20260102&reprocessing=True"
    async with serving(tmp_path) as asker:
        assert await refused(asker, f"/api-key/{query}", "POST", **READ_KEY) == (403, "Forbidden")
        assert (await asker.ask(f"/api-key/{query}", "POST", **KEY)).status == 200
        assert (await asker.ask(f"/authorized/{query}", "POST", **TOKEN)).status == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/nothing", "GET"),
        ("/api-key/nothing/at/all", "GET"),
        ("/query", "POST"),
        ("/reprocess", "POST"),
        ("/release", "GET"),
        ("/authorized/release", "GET"),
        ("/spice-query/more", "GET"),
    ],
)
async def test_what_is_not_there_is_not_found(tmp_path: Path, path: str, method: str) -> None:
    """Neither with another method, nor below a prefix that does not have it; nor is a credential looked at first."""
    async with serving(tmp_path, published=False) as asker:
        assert await refused(asker, path, method) == (404, "Not Found")


async def test_answers_have_their_limits(tmp_path: Path) -> None:
    """Broad queries fail as they do in reality: too large, or too slow."""
    async with serving(tmp_path, answer_bytes=10_000) as asker:
        assert await refused(asker, f"/{ALL}") == (500, "Internal Server Error")
        assert (await asker.ask("/query?instrument=mag&start_date=20260412&end_date=20260412")).status == 200
    async with serving(tmp_path, answer_s=1e-9) as asker:
        assert await refused(asker, f"/{ALL}") == (504, "Endpoint request timed out")


@pytest.mark.parametrize("path", ["/query?instrument=mag&start_date=20260412&end_date=20260412", "/download/nothing"])
async def test_latency_is_a_part_of_the_time_that_an_answer_takes(tmp_path: Path, path: str) -> None:
    """Also where the handler itself never waits: a slow service is one that the gateway gives up on."""
    async with serving(tmp_path, answer_s=0.4) as asker:
        FaultScript(asker.service.faults).delay(seconds=0.5)
        assert await refused(asker, path) == (504, "Endpoint request timed out")


async def test_large_answers_are_compressed_for_who_takes_that(tmp_path: Path) -> None:
    """Catalogues are megabytes of the same words; the official client asks for none of it."""
    async with serving(tmp_path) as asker:
        plain = await asker.ask(f"/{ALL}", Accept_Encoding="identity")
        async with asker.session.get(
            f"{asker.service.imap_url}/{ALL}", headers={"Accept-Encoding": "gzip"}, auto_decompress=False
        ) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            packed = await answer.read()
    assert "Content-Encoding" not in plain.headers and len(packed) < len(plain.body) / 5
    assert json.loads(gzip.decompress(packed)) == plain.document


async def test_pages_of_any_origin_may_ask(tmp_path: Path) -> None:
    """A browser asks first; whoever opens the base URL is led to the page that explains."""
    async with serving(tmp_path, published=False) as asker:
        asked = await asker.ask("/api-key/query", "OPTIONS", Origin="https://example.org")
        assert asked.status == 204 and asked.headers["Access-Control-Allow-Origin"] == "*"
        answered = await asker.ask("/query?instrument=mag", Origin="https://example.org")
        assert answered.headers["Access-Control-Allow-Origin"] == "*"
        front = await asker.ask("/")
        assert (front.status, front.headers["Location"]) == (302, "/")
