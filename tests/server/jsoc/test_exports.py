"""Exports as JSOC carries them out: what is refused and how, what is accepted, and what becomes of it."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from astropy.io import fits

ADDRESS = "demo@example.com"
SHT = "hmi.v_sht_2drls[2024.09.19_00:00:00_TAI]{split,rot,err}"
ONE = "hmi.m_720s[2017.12.03_00:00:00_TAI]{magnetogram}"
TWO = "hmi.M_720s[2020-10-17_22:12:00_TAI/24m]{magnetogram}"


def header(content: bytes) -> Any:
    """Return the header of a FITS file that must be whole."""
    with fits.open(io.BytesIO(content), checksum=True) as file:
        file.verify("exception")
        assert file[0].verify_checksum() == file[0].verify_datasum() == 1
        assert file[0].data is not None
        return file[0].header.copy()


def let_pass(monkeypatch: pytest.MonkeyPatch, *, hours: float) -> None:
    """Set the clock of all exports ahead of the real one."""
    monkeypatch.setattr("aurora_async.server.jsoc.exports._now_us", lambda: time.time_ns() // 1000 + int(hours * 3.6e9))


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "status", "error"),
    [
        ({"ds": ONE, "notify": "who@example.com"}, 4, r"Cannot process your request\. .+"),
        ({"ds": ONE, "notify": ""}, 4, r"Cannot process your request\. .+"),
        ({"ds": "hmi.m_720s[2017"}, 4, r"Bad record-set query 'hmi\.m_720s\[2017'\."),
        ({"ds": ""}, 4, r"Bad record-set query ''\."),
        (
            {"ds": "hmi.m_720s[2017.12.03],hmi.v_45s[2017.12.03]"},
            4,
            r"Cannot specify subsets of records from different series\.",
        ),
        ({"ds": "foo[2017]"}, 4, r"Cannot export series 'foo' - it does not exist\."),
        ({"ds": "jsoc.export[JSOC_20200101_001]"}, 4, r"Cannot export series 'jsoc\.export' - it does not exist\."),
        (
            {"ds": "hmi.m_720s[2017.12.03][? NOTHING = 1 ?]"},
            4,
            r"Can not open RecordSet, bad query or too many records: hmi\.m_720s\[2017\.12\.03\]\[\? NOTHING = 1 \?\]",
        ),
        ({"ds": "hmi.m_720s[1990.01.01]", "method": "url_quick"}, 4, "There are no files in this RecordSet"),
        ({"ds": ONE, "method": "ftp"}, 4, r"Method 'ftp' is not served here, .+"),
        ({"ds": ONE, "protocol": "gif"}, 4, r"Protocol 'gif' is not served here, .+"),
        ({"ds": ONE, "process": "n=0|foobar"}, 4, r"Cannot understand the processing steps: .*'foobar'\."),
        ({"ds": ONE, "sizeratio": "half"}, 4, r"Bad sizeratio 'half'\."),
        ({"ds": ONE, "sizeratio": "inf"}, 4, r"Bad sizeratio 'inf'\."),
        ({"ds": "hmi.m_720s[2017.12.03]; DROP TABLE x"}, 4, r"Illegal text in arg: hmi.*DROP TABLE x"),
        ({"ds": "hmi.m_720s[? DATE = 'x ?]"}, 4, r"Illegal text in arg: .*"),
        ({"ds": ONE, "requestor": "o'neill"}, 4, r"Illegal text in arg: o'neill"),
    ],
)
async def test_what_is_wrong_is_answered_in_jsocs_words(
    serve: Any, parameters: dict[str, str], status: int, error: str
) -> None:
    """A client reads the status and shows the text; nothing else is in such an answer."""
    async with serve() as asker:
        answer = await asker.request(**parameters)
        assert answer.keys() == {"status", "error"}
        assert answer["status"] == status
        assert re.fullmatch(error, answer["error"])


async def test_checks_come_in_jsocs_order(serve: Any) -> None:
    """Of a request with everything wrong the first check answers, then the next as each is put right."""
    async with serve(max_pending=1, max_megabytes=0, offline=("hmi.v_45s",)) as asker:
        assert (await asker.request("bad[", notify="who@example.com"))["error"].startswith("Cannot process")
        fault = asker.service.faults.add(never_finishes=True, times=1)
        assert (await asker.request("hmi.v_sht_2drls[2024.09.19_00:00:00_TAI]", sizeratio="0"))["status"] == 2
        assert fault.hits == 1
        assert (await asker.request("bad["))["status"] == 7
        assert (await asker.cgi("manage-request.sh", address=ADDRESS, operation="cancel"))["status"] == "3"
        assert (await asker.request("bad["))["error"].startswith("Bad record-set")
        assert (await asker.request("foo[1],bar[2]"))["error"].startswith("Cannot specify subsets")
        assert (await asker.request("foo[1]"))["error"].startswith("Cannot export series")
        assert (await asker.request("hmi.v_45s[2016.04.01][? X=1 ?]"))["error"].startswith("Can not open")
        assert (await asker.request("hmi.v_45s[2016.04.01]"))["status"] == 25
        assert (await asker.request(ONE))["status"] == 3


async def test_too_large_a_request_says_how_large(serve: Any) -> None:
    """As published: 12850 magnetograms are 194300 MB; a cut-out of them passes with its `sizeratio`."""
    async with serve() as asker:
        whole = await asker.request("hmi.m_720s[2012.01.01/107d]{magnetogram}", q="1", protocol="FITS,compress Rice")
        assert list(whole) == ["status", "requestid", "method", "protocol", "wait", "count", "size", "error"]
        assert (whole["status"], whole["requestid"]) == (3, "VOID")
        assert whole["count"] == pytest.approx(12850, rel=0.01)
        assert whole["size"] == pytest.approx(194300, rel=0.01)
        assert whole["error"] == "Request exceeds max byte limit of 100000MB"
        cut = await asker.request("hmi.m_720s[2012.01.01/107d]{magnetogram}", q="1", sizeratio="0.01", protocol="fits")
        assert (cut["status"], cut["size"]) == (2, pytest.approx(1943, rel=0.01))
        await asker.cgi("manage-request.sh", address=ADDRESS, operation="cancel")


async def test_unpacked_files_have_a_tenth_of_the_limit(serve: Any) -> None:
    """`**NONE**` asks for files that are larger than the stored ones."""
    async with serve(max_megabytes=100) as asker:
        assert (await asker.request(ONE, protocol="FITS,compress Rice"))["status"] == 2
        refused = await asker.request(ONE, protocol="FITS,**NONE**")
        assert refused["error"] == "Request exceeds max byte limit of 10MB"


async def test_pending_exports_of_an_address_are_limited(serve: Any) -> None:
    """The refusal names what is in the way; another address, and this one after an end, are let in."""
    async with serve(max_pending=2, addresses=(ADDRESS, "other@example.com")) as asker:
        asker.service.faults.add(never_finishes=True, times=2)
        ids = [(await asker.request(f"{ONE[:-1]}}}", filenamefmt=f"{{segment}}.{n}"))["requestid"] for n in range(2)]
        refused = await asker.request(TWO)
        assert refused == {
            "status": 7,
            "error": f"User {ADDRESS} has 2 pending export requests ({ids[0]}, {ids[1]}); please wait until at least"
            " one request has completed before submitting a new one.",
        }
        assert (await asker.request(TWO, notify="other@example.com"))["status"] == 2
        listed = await asker.cgi("manage-request.sh", address=ADDRESS, operation="check")
        assert listed["status"] == "2"
        assert re.findall(r"JSOC_\d+_\d+", listed["msg"]) == ids
        cancelled = await asker.cgi("manage-request.sh", address=ADDRESS, operation="cancel", post=True)
        assert cancelled["status"] == "3"
        assert re.findall(r"JSOC_\d+_\d+", cancelled["msg"]) == ids
        assert (await asker.cgi("manage-request.sh", address=ADDRESS, operation="check"))["status"] == "1"
        assert [(await asker.status(one))["status"] for one in ids] == [-1, -1]
        assert (await asker.request(TWO, filenamefmt="{recnum}"))["status"] == 2


async def test_what_has_been_pending_for_an_hour_is_in_nobodys_way(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never ends would lock its address out for good; it can still be asked about."""
    async with serve(max_pending=1, max_pending_per_ip=1) as asker:
        asker.service.faults.add(never_finishes=True, times=1)
        stuck = await asker.request(ONE, protocol="fits")
        let_pass(monkeypatch, hours=0.99)
        assert (await asker.request(TWO, protocol="fits"))["status"] == 7
        let_pass(monkeypatch, hours=1.01)
        assert (await asker.request(TWO, protocol="fits"))["status"] == 2
        assert (await asker.status(stuck["requestid"]))["status"] == 1


async def test_pending_exports_of_a_computer_are_limited(serve: Any) -> None:
    """Whoever asks."""
    async with serve(max_pending_per_ip=1, addresses=(ADDRESS, "other@example.com")) as asker:
        asker.service.faults.add(never_finishes=True, times=1)
        await asker.request(ONE)
        refused = await asker.request(TWO, notify="other@example.com")
        assert refused["status"] == 7
        assert refused["error"].startswith("There are too many requests from 127.0.0.1; ")


async def test_a_limit_holds_for_requests_that_come_together(serve: Any) -> None:
    """Checked again after the pause in which records are found, or ten at once would all pass."""
    async with serve(max_pending=3) as asker:
        asker.service.faults.add(never_finishes=True)
        answers = await asyncio.gather(*(asker.request(ONE, filenamefmt=f"{{segment}}.{n}") for n in range(10)))
        assert sorted(answer["status"] for answer in answers) == [2] * 3 + [7] * 7
        ids = [answer["requestid"] for answer in answers if answer["status"] == 2]
        assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"op": "exp_status"}, "RequestID must be provided"),
        ({"op": "exp_status", "requestid": "JSOC_1"}, "Bad RequestID 'JSOC_1' provided."),
        (
            {"op": "exp_status", "requestid": "JSOC_20990101_001"},
            "invalid export DRMS record for ID `%s`JSOC_20990101_001",
        ),
        ({"op": "exp_repeat", "requestid": "JSOC_20990101_001"}, "Re-Export requests temporarily disabled."),
        (
            {"op": "dance"},
            "Operation 'dance' is not known, only exp_request, exp_status, exp_su and exp_repeat.",
        ),
    ],
)
async def test_other_operations_are_refused_in_jsocs_words(serve: Any, parameters: dict[str, str], error: str) -> None:
    """The odd text about an unknown id is what the real service says."""
    async with serve() as asker:
        assert await asker.cgi("jsoc_fetch", **parameters) == {"status": 4, "error": error}


# Quick ones ---------------------------------------------------------------------------------------------------------


async def test_a_quick_export_names_stored_files(serve: Any) -> None:
    """Nine files of three records, by their paths in the store; the files are there."""
    async with serve() as asker:
        answer = await asker.request(SHT, method="url_quick", protocol="as-is")
        rows = answer.pop("data")
        assert answer == {
            "rcount": 3,
            "count": 9,
            "size": 1,
            "dir": "",
            "requestid": "",
            "method": "url_quick",
            "protocol": "as-is",
            "wait": 0,
            "status": 0,
        }
        assert [row["record"].rpartition("]")[2] for row in rows] == ["{split}", "{rot}", "{err}"] * 3
        assert [row["filename"].rpartition("/")[2] for row in rows] == ["splittings.out", "rot.2d", "err.2d"] * 3
        for row in rows:
            assert re.fullmatch(r"/SUM\d+/D\d+/S\d{5}/[\w.]+", row["filename"])
            content = await asker.file(row["filename"])
            assert row["record"].encode() in content


async def test_published_files_are_where_they_were_published(serve: Any) -> None:
    """The path of a real answer is good here as well."""
    async with serve() as asker:
        answer = await asker.request("hmi.v_45s[2016.04.01_TAI/1d@6h]{Dopplergram}", method="url_quick")
        assert answer["count"] == 4
        assert answer["data"][0] == {
            "record": "hmi.V_45s[2016.04.01_00:00:00_TAI][2]{Dopplergram}",
            "filename": "/SUM58/D803708321/S00008/Dopplergram.fits",
        }
        stored = header(await asker.file("/SUM58/D803708321/S00008/Dopplergram.fits"))
        assert "T_REC" not in stored  # headers of stored files know nothing of the record


async def test_what_has_to_be_made_is_not_quick(serve: Any) -> None:
    """`url_quick` with another protocol is queued."""
    async with serve() as asker:
        answer = await asker.request(ONE, method="url_quick", protocol="fits")
        assert (answer["status"], answer["method"]) == (2, "url")


async def test_a_record_without_image_has_no_file(serve: Any) -> None:
    """It is left out unless the quality is spoken of, or the clause is switched off; then its row says so."""
    async with serve() as asker:
        ds = "hmi.m_720s[2012.02.26_06:36_TAI]"  # the Earth stands before the Sun
        listed = await asker.cgi("jsoc_info", op="rs_list", ds=ds, key="QUALITY")
        assert listed["keywords"][0]["values"] == ["0x80000000"]
        assert (await asker.request(ds, method="url_quick"))["error"] == "There are no files in this RecordSet"
        made = await asker.export(f"{ds}[? QUALITY < 0 ?]", protocol="as-is")
        assert [row["filename"] for row in made["data"]] == ["NoDataFile"]
        made = await asker.export(ds, q="1", protocol="as-is", filenamefmt="x")
        assert [row["filename"] for row in made["data"]] == ["NoDataFile"]
        assert (await asker.export(ds, protocol="as-is", filenamefmt="y"))["data"] == []


# Queued ones --------------------------------------------------------------------------------------------------------


async def test_an_export_is_accepted_then_pending_then_done(serve: Any) -> None:
    """The members of each answer, and their order, are those of the real service."""
    async with serve(export_s=3.0) as asker:
        accepted = await asker.request(ONE, protocol="FITS,compress Rice", requestor="none")
        today = datetime.now(UTC)
        assert list(accepted) == ["status", "requestid", "method", "protocol", "wait", "rcount", "size"]
        assert re.fullmatch(rf"JSOC_{today:%Y%m%d}_001", accepted["requestid"])
        assert {**accepted, "requestid": "", "wait": 0} == {
            "status": 2,
            "requestid": "",
            "method": "url",
            "protocol": "FITS,compress Rice",
            "wait": 0,
            "rcount": 1,
            "size": 15,
        }
        assert accepted["wait"] == 3
        pending = await asker.status(accepted["requestid"])
        assert {**pending, "wait": 0} == accepted | {"status": 1, "rcount": 0, "wait": 0}
        done = await asker.ended(accepted["requestid"])
        assert list(done)[:6] == ["version", "requestid", "method", "protocol", "count", "size"]
        assert list(done)[6:] == ["exptime", "dir", "status", "keywords", "data"]
        assert all(isinstance(value, str) for name, value in done.items() if name != "data")
        assert (done["status"], done["count"], done["protocol"]) == ("0", "1", "FITS,compress Rice")
        assert done["keywords"] == "**IN FITS FILES**"


@pytest.mark.parametrize("protocol", ["as-is", "fits", "png"])
async def test_the_size_of_what_is_made_is_that_of_its_files(
    serve: Any, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """The first answer reckons with the real files; what is made is smaller, and of several forms."""
    monkeypatch.setattr("aurora_async.server.jsoc.making._MEGABYTE", 100)
    async with serve() as asker:
        made = await asker.export("hmi.sharp_720s[4864][2014.11.26_TAI/8d@2d]{magnetogram,bitmap}", protocol=protocol)
        files = await asker.files(made)
    assert len(files) == 8
    assert int(made["size"]) == sum(map(len, files.values())) // 100


async def test_files_as_they_are_stored_get_names_and_a_list_of_keywords(serve: Any) -> None:
    """Nine files again, under names by the pattern, and beside them what their headers do not say."""
    async with serve() as asker:
        pattern = "hmi.v_sht_2drls.{T_START:A}.{LMIN}.{NACOEFF}.{segment}"
        made = await asker.export(SHT, protocol="as-is", filenamefmt=pattern)
        assert list(made)[:9] == [
            *("version", "requestid", "method", "protocol", "wait", "count", "size", "status", "dir")
        ]
        assert (made["count"], made["protocol"], made["wait"]) == ("9", "as-is", "0")
        names = [row["filename"] for row in made["data"]]
        assert names[0] == "hmi.v_sht_2drls.20240919_000000_TAI.0.6.splittings.out"
        assert len(set(names)) == 9
        assert [row["record"].rpartition("]")[2] for row in made["data"]] == ["{split}", "{rot}", "{err}"] * 3
        quick = await asker.request(SHT, method="url_quick", protocol="as-is")
        stored = [await asker.file(row["filename"]) for row in quick["data"]]
        assert list((await asker.files(made)).values()) == stored
        assert made["keywords"] == f"{made['dir']}/{made['requestid']}.keywords.txt"
        lines = (await asker.file(made["keywords"])).decode().splitlines()
        assert len(lines) == 4
        assert (
            dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))["T_START"] == "2024.09.19_00:00:00_TAI"
        )


async def test_fits_files_have_the_keywords_of_their_record(serve: Any) -> None:
    """Two files of one record; records are named without their segments."""
    async with serve() as asker:
        made = await asker.export(
            "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]{continuum, magnetogram}",
            protocol="fits",
            filenamefmt="hmi.sharp_720s.{HARPNUM}.{T_REC:A}.{segment}",
        )
        assert made["data"] == [
            {
                "record": "hmi.sharp_720s[4864][2014.11.30_00:00:00_TAI]",
                "filename": f"hmi.sharp_720s.4864.20141130_000000_TAI.{segment}.fits",
            }
            for segment in ("continuum", "magnetogram")
        ]
        for content in (await asker.files(made)).values():
            said = header(content)
            assert (said["HARPNUM"], said["T_REC"]) == (4864, "2014.11.30_00:00:00_TAI")
            assert "not an observation" in " ".join(said["COMMENT"]).lower()


async def test_generic_files_are_no_fits(serve: Any) -> None:
    """An export that has nothing to export succeeds, and says so in a row."""
    async with serve() as asker:
        made = await asker.export(SHT, protocol="fits")
        assert made["count"] == "0"
        (row,) = made["data"]
        assert row["record"].startswith("warning=No FITS files were exported.")
        assert row["filename"] == ""


async def test_both_spellings_of_process_mean_the_same(serve: Any) -> None:
    """One is what the official client sends, by a parameter that is called `process=n`."""
    async with serve(duplicates_s=0) as asker:
        sent = [
            {"process=n": "1|rebin,method=boxcar,scale=0.25"},
            {"process": "n=1|rebin,method=boxcar,scale=0.25"},
            {"processing": '{"rebin": {"method": "boxcar", "scale": 0.25}}', "max_recs": "1"},
        ]
        made = [await asker.export(TWO, protocol="fits", **parameters) for parameters in sent]
        assert [len(one["data"]) for one in made] == [1, 1, 1]
        contents = [list((await asker.files(one)).values()) for one in made]
        assert contents[0] == contents[1] == contents[2]


async def test_processed_images_belong_to_another_series(serve: Any) -> None:
    """Their files are named after the segment, and are what the step makes of the image."""
    async with serve() as asker:
        pattern = "hmi.m_720s.{T_REC:A}.{CAMERA}.{segment}"
        plain = await asker.export(TWO, protocol="fits", filenamefmt=pattern)
        made = await asker.export(TWO, protocol="fits", filenamefmt=pattern, process="n=0|rebin,scale=0.25")
        assert [row["record"] for row in made["data"]] == [
            "hmi.M_720s_mod[2020.10.17_22:12:00_TAI][3]",
            "hmi.M_720s_mod[2020.10.17_22:24:00_TAI][3]",
        ]
        assert all(row["filename"].endswith(".magnetogram.fits") for row in made["data"])
        assert (made["protocol"], len(made["data"])) == ("fits", 2)
        before, after = [header(next(iter((await asker.files(one)).values()))) for one in (plain, made)]
        assert list(after["HISTORY"]) == ["rebin,scale=0.25"]
        assert (after["NAXIS1"], after["CDELT1"]) == (before["NAXIS1"] // 4, pytest.approx(before["CDELT1"] * 4))


async def test_a_cut_out_of_aia_is_one(serve: Any) -> None:
    """As in the documentation of the official client: five records, a box of nine pixels of 38.4 arcsec."""
    async with serve() as asker:
        step = "im_patch,t_ref=2025-01-01T04:33:30.000,t=0,r=0,c=0,locunits=arcsec,boxunits=arcsec"
        made = await asker.export(
            "aia.lev1_euv_12s[2025-01-01T04:33:30.000/1m@12s][171]{image}",
            protocol="fits",
            filenamefmt="aia.{T_REC:A}.{WAVELNTH}.{segment}",
            **{"process=n": f"0|{step},x=-517.2,y=-246,width=345.6,height=345.6"},
        )
        assert len(made["data"]) == 5
        assert all(row["record"].startswith("aia.lev1_euv_12s_mod[2025-01-01T04:3") for row in made["data"])
        assert all(row["filename"].endswith(".171.image.fits") for row in made["data"])
        said = header(await asker.file(f"{made['dir']}/{made['data'][0]['filename']}"))
        assert (said["NAXIS1"], said["NAXIS2"]) == (9, 9)
        assert said["CRPIX1"] == pytest.approx(5 + 517.2 / 38.4, abs=1)


async def test_a_vector_field_is_turned_into_components(serve: Any) -> None:
    """One step makes three segments of which the series knows nothing."""
    async with serve() as asker:
        made = await asker.export("hmi.B_720s[2013.07.03_08:42_TAI/10m]", protocol="fits", process="n=0|HmiB2ptr,l=1")
        assert [row["filename"].split(".")[-2] for row in made["data"]] == ["Bp", "Bt", "Br"]
        assert len({header(content)["DATASUM"] for content in (await asker.files(made)).values()}) == 3


async def test_a_step_that_a_series_has_nothing_for_gives_no_files(serve: Any) -> None:
    """Components of a field need a field; files that are given as they are stored have nothing done to them."""
    async with serve() as asker:
        made = await asker.export(TWO, protocol="fits", process="n=0|HmiB2ptr,l=1")
        assert made["data"][0]["record"].startswith("warning=No FITS files")
        made = await asker.export(TWO, protocol="as-is", process="n=0|HmiB2ptr,l=1|rebin,scale=0.5")
        assert made["data"][0]["record"] == "hmi.M_720s[2020.10.17_22:12:00_TAI][3]{magnetogram}"


@pytest.mark.parametrize(("process", "first", "count"), [("n=2", "00:00:00", 2), ("n=-2", "00:36:00", 2)])
async def test_a_limit_takes_the_first_or_the_last_records(serve: Any, process: str, first: str, count: int) -> None:
    """Below zero they are the last ones, ascending still."""
    async with serve() as asker:
        made = await asker.export("hmi.m_720s[2017.12.03_TAI/1h]", protocol="fits", process=process)
        assert len(made["data"]) == count
        assert made["data"][0]["record"] == f"hmi.M_720s[2017.12.03_{first}_TAI][3]"


async def test_segments_may_be_named_apart_but_not_twice(serve: Any) -> None:
    """`seg` is another way to say what braces say."""
    async with serve() as asker:
        record = "hmi.sharp_720s[4864][2014.11.30_00:00_TAI]"
        made = await asker.export(record, seg="continuum,magnetogram", protocol="as-is")
        assert len(made["data"]) == 2
        refused = await asker.request(f"{record}{{continuum}}", seg="magnetogram")
        assert refused["error"] == f"Bad record-set query '{record}{{continuum}}'."


async def test_a_tar_has_all_files_and_their_list(serve: Any) -> None:
    """The directory has nothing else but the indexes; the list in the answer is that of the members."""
    async with serve() as asker:
        pattern = "{seriesname}.{T_REC:A}.{segment}"
        plain = await asker.export(TWO, protocol="fits", filenamefmt=pattern)
        made = await asker.export(TWO, method="url-tar", protocol="fits", filenamefmt=pattern)
        assert list(made)[-2:] == ["tarfile", "data"]
        assert made["tarfile"] == f"{made['dir']}/{made['requestid']}.tar"
        with tarfile.open(fileobj=io.BytesIO(await asker.file(made["tarfile"]))) as tar:
            members = {one.name: tar.extractfile(one) for one in tar}
            contents = {name: file.read() for name, file in members.items() if file is not None}
        assert contents.pop(f"{made['requestid']}.txt").decode().splitlines() == [
            f"{row['record']}\t{row['filename']}" for row in made["data"]
        ]
        assert contents == await asker.files(plain)
        status, _, _ = await asker.get(f"{made['dir']}/{made['data'][0]['filename']}")
        assert status == 404


async def test_images_have_answers_of_their_own(serve: Any) -> None:
    """Other names for some members, and a status with a blank behind it, which a client must bear."""
    async with serve() as asker:
        made = await asker.export(
            TWO, protocol="jpg,CT=HMI_mag.lut,scaling=mag,size=2", filenamefmt="{T_REC:A}.{segment}"
        )
        assert (made["reqid"][:5], made["status"]) == ("JSOC_", "0 ")
        assert "requestid" not in made
        names = [row["filename"] for row in made["data"]]
        assert names == ["20201017_221200_TAI.magnetogram.jpg", "20201017_222400_TAI.magnetogram.jpg"]
        assert all(content.startswith(b"\xff\xd8\xff") for content in (await asker.files(made)).values())


@pytest.mark.parametrize("kind", ["mpg", "mp4"])
async def test_a_movie_comes_before_its_frames(serve: Any, kind: str) -> None:
    """Its row has no record."""
    async with serve() as asker:
        made = await asker.export(TWO, protocol=kind)
        assert made["movie name"] == f"hmi.M_720s.{kind}"
        assert made["data"][0] == {"record": "movie of the following data", "filename": f"hmi.M_720s.{kind}"}
        assert [row["filename"].rpartition(".")[2] for row in made["data"][1:]] == ["jpg", "jpg"]
        files = await asker.files(made)
        assert len(files[f"hmi.M_720s.{kind}"]) > 1000


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        (
            {"protocol": "fits", "filenamefmt": "{NOTHING}"},
            "NOTHING in the file name format is no keyword of hmi.M_720s",
        ),
        ({"protocol": "fits", "filenamefmt": "same.fits"}, "the file name format 'same.fits' gives two files the name"),
        ({"protocol": "fits", "filenamefmt": "../{segment}"}, "is no name of a file"),
        ({"protocol": "jpg,CT=none.lut"}, "'CT=none.lut' is no option of an image"),
    ],
)
async def test_what_cannot_be_made_fails_with_a_reason(serve: Any, parameters: dict[str, str], error: str) -> None:
    """Such exports are accepted, and fail when they are made."""
    async with serve() as asker:
        accepted = await asker.request(TWO, **parameters)
        assert accepted["status"] == 2
        failed = await asker.ended(accepted["requestid"])
        assert list(failed) == [
            *("status", "requestid", "method", "protocol", "wait", "rcount", "size", "error", "contact")
        ]
        assert (failed["status"], failed["wait"]) == (4, 999999)
        assert error in failed["error"]


async def test_movies_fail_clearly_where_nothing_can_make_them(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text tells what to install on the service's side."""
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    async with serve() as asker:
        accepted = await asker.request(TWO, protocol="mp4")
        assert "pip install 'aurora-async[images]'" in (await asker.ended(accepted["requestid"]))["error"]


# Again, later, elsewhere --------------------------------------------------------------------------------------------


async def test_the_same_export_is_made_once(serve: Any) -> None:
    """Asked for again within a day it is the same one, whoever asks and however the records are named."""
    async with serve(addresses=(ADDRESS, "other@example.com")) as asker:
        made = await asker.export(TWO, protocol="fits")
        same = "hmi.m_720s[2020.10.17_22:12:00_TAI-2020.10.17_22:24:00_TAI]{magnetogram}"
        again = await asker.request(same, protocol="fits", notify="other@example.com")
        assert (again["status"], again["requestid"]) == (2, made["requestid"])
        for change in ({"filenamefmt": "{recnum}"}, {"method": "url-tar"}, {"process": "n=1"}, {"protocol": "as-is"}):
            other = await asker.request(TWO, **{"protocol": "fits"} | change)
            assert other["requestid"] != made["requestid"]


@pytest.mark.parametrize("settings", [{}, {"duplicates_s": 3600}])
async def test_the_same_export_is_made_anew_after_its_day(
    serve: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """A day from when it was asked for, or as the settings say; its files are kept for longer."""
    hours = settings.get("duplicates_s", 86400) / 3600
    async with serve(**settings) as asker:
        made = await asker.export(ONE, protocol="fits")
        let_pass(monkeypatch, hours=0.99 * hours)
        assert (await asker.request(ONE, protocol="fits"))["requestid"] == made["requestid"]
        let_pass(monkeypatch, hours=1.01 * hours)
        another = await asker.request(ONE, protocol="fits")
        assert another["requestid"] != made["requestid"]
        assert (await asker.ended(another["requestid"]))["status"] == "0"
        assert await asker.status(made["requestid"]) == made


async def test_every_time_a_new_one_where_nothing_is_remembered(serve: Any) -> None:
    """For tests that want an export to be made."""
    async with serve(duplicates_s=0) as asker:
        made = await asker.export(ONE, protocol="fits")
        assert (await asker.request(ONE, protocol="fits"))["requestid"] != made["requestid"]


async def test_what_has_failed_is_made_anew(serve: Any) -> None:
    """An export that has failed, or was given up, is no answer to the next."""
    async with serve() as asker:
        asker.service.faults.add(error_condition="out of disk", times=1)
        failed = await asker.request(ONE, protocol="fits")
        assert (await asker.ended(failed["requestid"]))["error"] == "out of disk"
        again = await asker.request(ONE, protocol="fits")
        assert again["requestid"] != failed["requestid"]
        assert (await asker.ended(again["requestid"]))["status"] == "0"


async def test_an_expired_export_is_gone(serve: Any) -> None:
    """Status 5 with the service's words, no files any more, and a new export for who asks again."""
    async with serve(export_life_s=0.3) as asker:
        made = await asker.export(ONE, protocol="fits")
        path = f"{made['dir']}/{made['data'][0]['filename']}"
        await asker.file(path)
        await asyncio.sleep(0.35)
        gone = await asker.status(made["requestid"])
        assert (gone["status"], gone["error"]) == (
            5,
            "Request was completed but is now deleted, 7 day limit exceeded",
        )
        assert (await asker.get(path))[0] == 404
        assert (await asker.request(ONE, protocol="fits"))["requestid"] != made["requestid"]


async def test_exports_survive_a_restart(serve: Any) -> None:
    """What was done is still there with its files, what was pending is made, what was given up stays so."""
    async with serve(export_s=0.0, addresses=(ADDRESS, "other@example.com")) as asker:
        done = await asker.export(TWO, protocol="fits")
        asker.service.faults.add(never_finishes=True, times=1)
        given_up = await asker.request(ONE, protocol="fits", notify="other@example.com")
        await asker.cgi("manage-request.sh", address="other@example.com", operation="cancel")
        before = await asker.files(done)
    async with serve(export_s=60.0) as asker:
        pending = await asker.request(ONE, protocol="as-is")
        assert (await asker.status(pending["requestid"]))["status"] == 1
    async with serve() as asker:
        assert (await asker.status(done["requestid"])) == done
        assert await asker.files(done) == before
        assert (await asker.status(given_up["requestid"]))["status"] == -1
        assert (await asker.status(pending["requestid"]))["status"] == 1
        listed = await asker.cgi("manage-request.sh", address=ADDRESS, operation="check")
        assert pending["requestid"] in listed["msg"]
        another = await asker.request(TWO, protocol="as-is")
        assert int(another["requestid"][-3:]) == int(pending["requestid"][-3:]) + 1


async def test_a_restart_finishes_what_was_pending(serve: Any) -> None:
    """Its time has passed meanwhile, so that it ends as soon as it is made."""
    async with serve(export_s=1.0) as asker:
        pending = await asker.request(TWO, protocol="fits")
    async with serve() as asker:
        done = await asker.ended(pending["requestid"])
        assert (done["status"], len(await asker.files(done))) == ("0", 2)


async def test_a_test_is_queued_and_never_made(serve: Any) -> None:
    """Status 12, which is neither pending nor an end."""
    async with serve() as asker:
        accepted = await asker.request(ONE, t="1")
        assert accepted["status"] == 12
        assert (await asker.status(accepted["requestid"]))["status"] == 12


# Ways to ask --------------------------------------------------------------------------------------------------------


async def test_a_form_is_as_good_as_an_address(serve: Any) -> None:
    """The service's own pages post their requests."""
    async with serve() as asker:
        made = await asker.export(TWO, post=True, protocol="fits", **{"process=n": "0|no_op"})
        posted = await asker.cgi("jsoc_fetch", post=True, op="exp_status", requestid=made["requestid"])
        assert posted == made


async def test_a_proxy_is_what_the_service_can_be_taken_for(serve: Any) -> None:
    """Clients that know only the real address find it through `http_proxy`, and their files as well."""
    async with serve() as asker:
        made = await asker.export(ONE, protocol="fits")
        for path, sent in (
            ("cgi-bin/ajax/jsoc_fetch", {"op": "exp_status", "requestid": made["requestid"]}),
            (f"{made['dir'][1:]}/{made['data'][0]['filename']}", {}),
        ):
            url = f"http://jsoc.stanford.edu/{path}"
            async with asker.session.get(url, params=sent, proxy=asker.base_url) as answer:
                assert answer.status == 200
                assert len(await answer.read()) > 300


async def test_a_list_of_record_sets_may_be_uploaded(serve: Any) -> None:
    """`*file*` stands for the lines of a file that comes with the form."""
    async with serve() as asker:
        lines = "hmi.m_720s[2017.12.03_00:00:00_TAI]\nhmi.m_720s[2017.12.03_02:00:00_TAI]\n"
        accepted = await asker.request("*file*", post=True, file=io.StringIO(lines), protocol="fits")
        assert len((await asker.ended(accepted["requestid"]))["data"]) == 2


async def test_an_answer_may_be_a_text(serve: Any) -> None:
    """The older form: a line for each member, then one for each file."""
    async with serve() as asker:
        url = f"{asker.base_url}/cgi-bin/ajax/jsoc_fetch"
        sent = {"op": "exp_request", "format": "txt", "ds": SHT, "notify": ADDRESS, "method": "url_quick"}
        async with asker.session.get(url, params=sent) as answer:
            assert answer.content_type == "text/plain"
            lines = (await answer.text()).splitlines()
        assert {"rcount=3", "count=9", "status=0"} <= set(lines)
        assert len(lines[lines.index("# DATA") + 1 :]) == 9


async def test_storage_units_are_told_by_number(serve: Any) -> None:
    """`exp_su` knows the published one, and what there is not."""
    async with serve() as asker:
        answer = await asker.cgi("jsoc_fetch", op="exp_su", sunum="803708321,42")
        known, unknown = answer["data"]["803708321"], answer["data"]["42"]
        assert (answer["status"], answer["count"], answer["requestid"]) == (0, 2, "")
        assert (known["series"], known["path"], known["sustatus"]) == ("hmi.V_45s", "/SUM58/D803708321", "Y")
        assert (unknown["sustatus"], unknown["path"]) == ("I", "NA")
        assert all(isinstance(value, str) for value in (known | unknown).values())
        assert (await asker.cgi("jsoc_fetch", op="exp_su", sunum="x"))["status"] == 4


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({"operation": "check"}, "-2"), ({"address": ADDRESS, "operation": "x"}, "-2"), ({"address": ADDRESS}, "-2")],
)
async def test_managing_needs_an_address_and_an_operation(serve: Any, parameters: dict[str, str], status: str) -> None:
    """Statuses below zero are errors."""
    async with serve() as asker:
        assert (await asker.cgi("manage-request.sh", **parameters))["status"] == status


@pytest.mark.parametrize("address", [ADDRESS, "Demo@Example.com", "demo%40example.com", " demo%40example.com "])
async def test_an_address_is_known_however_it_is_written(serve: Any, address: str) -> None:
    """Some programs encode it twice."""
    async with serve() as asker:
        asker.service.faults.add(never_finishes=True, times=1)
        pending = await asker.request(ONE, protocol="fits")
        listed = await asker.cgi("manage-request.sh", address=address, operation="check")
        assert (listed["status"], pending["requestid"] in listed["msg"]) == ("2", True)
