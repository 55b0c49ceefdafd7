"""Links to objects: good for one method, one object and one host, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.imap_asking import KEY, TOKEN, serving

FILE = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
OTHER = "imap/mag/l1d/2025/09/imap_mag_l1d_burst-dsrf_20250928_v001.0014.cdf"


async def test_a_link_is_what_one_of_s3_is(tmp_path: Path) -> None:
    """Whoever looks at the parameters finds those that are there in reality, and no secret of the caller."""
    async with serving(tmp_path) as asker:
        link = urlsplit(await asker.link(FILE))
        upload = parse_qs(urlsplit(await asker.upload_link("imap_mag_l2_x_20260101_v001.0001.cdf")).query)
        objects = urlsplit(asker.service.imap_objects_url)
    assert (link.scheme, link.netloc, link.path) == ("http", objects.netloc, f"/{FILE}")
    query = {name: value for name, (value,) in parse_qs(link.query).items()}
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256" and query["X-Amz-SignedHeaders"] == "host"
    assert query["X-Amz-Expires"] == "86400" and upload["X-Amz-Expires"] == ["3600"]
    assert query["X-Amz-Credential"].endswith("/us-west-2/s3/aws4_request") and len(query["X-Amz-Signature"]) == 64


async def test_a_link_is_good_for_one_thing(tmp_path: Path) -> None:
    """Not for another method, object, host or time, not without its signature, and not with that of another store."""
    async with serving(tmp_path / "one") as asker, serving(tmp_path / "two") as other:
        link = await asker.link(FILE)
        port, other_port = (urlsplit(one.service.imap_objects_url).port for one in (asker, other))
        refused = [
            await asker.ask(link, "PUT", data=b"x"),
            await asker.ask(link.replace(FILE, OTHER)),
            await asker.ask(link.replace("127.0.0.1", "localhost")),
            await asker.ask(link.replace("X-Amz-Expires=86400", "X-Amz-Expires=86401")),
            await asker.ask(f"{link}&response-content-type=text/plain"),
            await asker.ask(link[:-1] + ("0" if link[-1] != "0" else "1")),
            await other.ask(link.replace(str(port), str(other_port)), Host=f"127.0.0.1:{port}"),
        ]
        assert [(one.status, one.code) for one in refused] == [(403, "SignatureDoesNotMatch")] * len(refused)
        head = await asker.ask(link, "HEAD")
        assert (head.status, head.headers["Content-Type"]) == (403, "application/xml")
        bare = await asker.ask(link.partition("&X-Amz-Signature")[0])
        assert (bare.status, bare.code) == (403, "AccessDenied")
        assert (await asker.ask(asker.service.imap_objects_url)).code == "AccessDenied"
        odd = await asker.ask(link.replace("X-Amz-Date=2", "X-Amz-Date=Z"))
        assert (odd.status, odd.code) == (400, "AuthorizationQueryParametersError")


async def test_a_link_comes_to_its_end(tmp_path: Path) -> None:
    """A download that goes on after that needs a new one; the settings say when."""
    async with serving(tmp_path, link_life_s=0.3, upload_link_life_s=0.1) as asker:
        links = [
            (await asker.link(FILE), "GET"),
            (await asker.upload_link("imap_mag_l2_x_20260101_v001.0001.cdf"), "PUT"),
        ]
        assert (await asker.ask(links[0][0])).status == 200
        for link, method in links:
            async with asyncio.timeout(10):
                while (answer := await asker.ask(link, method)).status == 200:
                    await asyncio.sleep(0.02)
            assert (answer.status, answer.code) == (403, "AccessDenied")
            assert "Request has expired" in answer.text


async def test_a_link_survives_a_restart(tmp_path: Path) -> None:
    """It is the store that a link belongs to, not the process."""
    async with serving(tmp_path) as asker:
        link = await asker.link(FILE)
        content = (await asker.ask(link)).body
        port = urlsplit(asker.service.imap_objects_url).port
    async with serving(tmp_path, objects_port=port) as asker:
        answer = await asker.ask(link)
    assert (answer.status, answer.body) == (200, content)


async def test_a_link_leads_where_the_client_came_from(tmp_path: Path) -> None:
    """Who knows the computer by another name is not sent to one that means nothing to them."""
    async with serving(tmp_path, is_open=True) as asker:
        url = asker.service.imap_url.replace("127.0.0.1", "localhost")
        answer = await asker.ask(f"{url}/download/{FILE}")
        assert urlsplit(answer.headers["Location"]).hostname == "localhost"
        assert (await asker.ask(answer.headers["Location"])).status == 200


async def test_a_token_beside_a_signature_is_refused(tmp_path: Path) -> None:
    """As by S3, which takes one way to prove who asks."""
    async with serving(tmp_path) as asker:
        with_token = await asker.ask(await asker.link(FILE), **TOKEN)
    assert (with_token.status, with_token.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("settings", "status", "official"),
    [({}, 403, 200), ({"objects_refuse_keys": True}, 403, 403), ({"objects_refuse_keys": False}, 200, 200)],
)
async def test_a_key_has_no_business_at_the_objects(
    tmp_path: Path, settings: dict[str, bool], status: int, official: int
) -> None:
    """It is refused, except from the official client: that sends it there, and has to work as it is."""
    async with serving(tmp_path, **settings) as asker:
        link = await asker.link(FILE)
        upload = await asker.upload_link("imap_mag_l2_x_20260101_v001.0001.cdf")
        refused = await asker.ask(link, **KEY, User_Agent="curl/8.5 python-urllib3/2.5.0")
        assert refused.status == status
        assert status == 200 or refused.code == "AccessDenied"
        for agent in ("python-urllib3/2.5.0", "Python-urllib/3.11"):
            assert (await asker.ask(link, **KEY, User_Agent=agent)).status == official
            assert (await asker.ask(upload, "PUT", data=b"x", **KEY, User_Agent=agent)).status == official
