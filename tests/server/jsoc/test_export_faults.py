"""Scripted faults act on JSOC's exports and files as they do on everything else."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

STORED = "/SUM58/D803708321/S00008/Dopplergram.fits"
TWO = "hmi.M_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}"


@pytest.mark.parametrize("post", [False, True])
async def test_an_export_fails_with_the_text_of_a_rule(serve: Any, post: bool) -> None:
    """Asking about it does not use the rule up, nor do other requests."""
    async with serve() as asker:
        fault = asker.service.faults.add(error_condition="no space left", times=1)
        await asker.cgi("jsoc_info", op="series_struct", ds="hmi.m_720s")
        await asker.cgi("jsoc_fetch", op="exp_status", requestid="JSOC_20990101_001")
        assert fault.seen == 0
        accepted = await asker.request(TWO, post=post, protocol="fits")
        assert fault.hits == 1
        failed = await asker.ended(accepted["requestid"])
        assert (failed["status"], failed["error"]) == (4, "no space left")


async def test_an_export_never_ends(serve: Any) -> None:
    """It stays pending until somebody gives it up, also over a restart."""
    async with serve() as asker:
        asker.service.faults.add(never_finishes=True, path="*/jsoc_fetch")
        accepted = await asker.request(TWO, protocol="fits")
        other = await asker.request(TWO, protocol="fits")
        assert other["requestid"] != accepted["requestid"]  # an unhappy export is no answer for others
        assert (await asker.status(accepted["requestid"]))["status"] == 1
    async with serve() as asker:
        assert (await asker.status(accepted["requestid"]))["status"] == 1
        await asker.cgi("manage-request.sh", address="demo@example.com", operation="cancel")
        assert (await asker.status(accepted["requestid"]))["status"] == -1


async def test_an_export_has_expired_when_it_ends(serve: Any) -> None:
    """It never has a status of 0 in between."""
    async with serve() as asker:
        asker.service.faults.add(expired=True, times=1)
        accepted = await asker.request(TWO, protocol="fits")
        assert (await asker.ended(accepted["requestid"]))["status"] == 5


@pytest.mark.parametrize("off", [-1, 3])
async def test_an_export_counts_wrong(serve: Any, off: int) -> None:
    """A client that trusts the count misses a file, or waits for one."""
    async with serve() as asker:
        asker.service.faults.add(result_count_off=off, times=1)
        made = await asker.export(TWO, protocol="fits")
        assert (int(made["count"]), len(made["data"])) == (2 + off, 2)


async def test_files_break_off_and_lie(serve: Any) -> None:
    """What can go wrong with any download can go wrong with those of the file area."""
    async with serve() as asker:
        faults = asker.service.faults
        whole = await asker.file(STORED)
        faults.add(path="/SUM*", cut_at=0.5, times=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asker.get(STORED)
        faults.add(path="*.fits", short_by=100, times=1)
        assert await asker.file(STORED) == whole[:-100]
        faults.add(path="*.fits", content_length_off=10, times=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asker.get(STORED)
        faults.add(path="/SUM*", overlook="Range", times=1)
        assert (await asker.get(STORED, Range="bytes=10-"))[0] == 200
        faults.add(path="/SUM*", status=200, body="<html>please log in</html>", times=1)
        assert (await asker.get(STORED))[1]["Content-Type"].startswith("text/html")
        assert await asker.file(STORED) == whole


@pytest.mark.parametrize("path", ["stored", "exported"])
async def test_a_file_changes_between_two_requests(serve: Any, path: str) -> None:
    """Other bytes under another ETag, or under the same: then only the sums in the file tell."""
    async with serve() as asker:
        if path == "exported":
            made = await asker.export(TWO, protocol="fits")
            path = f"{made['dir']}/{made['data'][0]['filename']}"
        else:
            path = STORED
        _, first, before = await asker.get(path)
        asker.service.faults.add(path="*.fits", version=2, times=1)
        _, second, after = await asker.get(path)
        assert (len(after), after != before) == (len(before), True)
        assert second["ETag"] != first["ETag"]
        asker.service.faults.add(path="*.fits", version=3, kept=("ETag", "Last-Modified"), times=1)
        _, third, _ = await asker.get(path)
        assert (third["ETag"], third["Last-Modified"]) == (first["ETag"], first["Last-Modified"])
