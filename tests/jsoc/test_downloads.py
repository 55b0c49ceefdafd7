"""Files of exports: the right bytes under a name of ours inside the folder, or an error that says which and why."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.exporting import FITS, FOLDER, ScriptedExports, a_query, a_tar, exports_at, serving_exports

from aurora_async.errors import (
    ConnectionLost,
    DeadlineExceeded,
    DiskFull,
    InvalidInput,
    MalformedAnswer,
    NotFound,
    RequestFailed,
    ResultExpired,
    TargetExists,
    TargetNotWritable,
    WrongContent,
)
from aurora_async.jsoc.downloads import Download
from aurora_async.jsoc.errors import NoFile
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.transfer.sink import Saved
from aurora_async.transfer.untar import Archive, Member

RECORD = "hmi.M_720s[2020.01.01_00:{:02d}:00_TAI][1]"
TAR = f"{FOLDER}/JSOC_20200101_001.tar"


def rows(*names: str) -> list[tuple[str, str]]:
    """Files of records of their own."""
    return [(RECORD.format(number), name) for number, name in enumerate(names)]


def files(*names: str, data: bytes = FITS) -> dict[str, bytes]:
    """The same on the server."""
    return {f"{FOLDER}/{name}": data for name in names}


async def downloaded(service: ScriptedExports, folder: Path, query: ExportQuery | None = None, **how: Any) -> Download:
    """Export and download everything."""
    async with exports_at(service.base_url) as exports:
        export = await exports.submit(query or a_query())
        return await export.download(folder, **how)


def names_in(folder: Path) -> list[str]:
    """All files there are, parts of some too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_a_download_is_one_line_and_a_table_of_files(tmp_path: Path) -> None:
    """What came, where it is, and how many did not."""
    listed = [*rows("a.fits", "b.fits", "c.fits"), (RECORD.format(9), "NoDataFile")]
    async with serving_exports(rows=listed, files=files("a.fits", "b.fits")) as service:
        download = await downloaded(service, tmp_path / "flare")
    assert repr(download).startswith("<Download JSOC_20200101_001: 2 files, ")
    assert repr(download).endswith(f" in {tmp_path / 'flare'}, 1 failed, 1 not on the service>")
    page = download._repr_html_()
    assert "4 files" in page and "<td>a.fits</td>" in page and str(tmp_path) not in page.partition("<th>error</th>")[0]


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../x.fits", "a/../../x.fits", "/etc/x.fits", "..\\x.fits", "a\x00.fits"])
async def test_names_that_lead_out_are_refused_and_the_others_come(name: str, tmp_path: Path) -> None:
    """Nothing is even asked of the server for them."""
    async with serving_exports(rows=rows("a.fits", name)) as service:
        download = await downloaded(service, tmp_path / "out")
    assert names_in(tmp_path) == ["out/a.fits"]
    assert isinstance(download.files[1].error, MalformedAnswer)
    assert download.files[1].error.where == "$.data[1].filename"
    assert service.count("file") == 1


async def test_a_quick_answer_with_such_a_path_is_refused(tmp_path: Path) -> None:
    """Paths of stored files are absolute, and lead nowhere else either."""
    async with serving_exports(rows=rows("/SUM1/D1/../../etc/passwd.fits")) as service:
        download = await downloaded(service, tmp_path, ExportQuery("hmi.M_720s[1]"))
    assert isinstance(download.files[0].error, MalformedAnswer)
    assert service.count("file") == 0


async def test_folders_of_the_server_are_not_made_here(tmp_path: Path) -> None:
    """A file in a folder of the export is fetched from there, and lies in the one folder here."""
    async with serving_exports(rows=rows("2020/01/a.fits"), files=files("2020/01/a.fits")) as service:
        assert (await downloaded(service, tmp_path)).ok
    assert names_in(tmp_path) == ["a.fits"]


async def test_addresses_are_encoded(tmp_path: Path) -> None:
    """Brackets, blanks, question marks and percent signs are parts of names, not of addresses."""
    name = "a b[1]?x=%2F#é.fits"
    async with serving_exports(rows=rows(name), files=files(name)) as service:
        download = await downloaded(service, tmp_path)
    assert download.ok
    assert names_in(tmp_path) == ["a b[1]_x=%2F#é.fits"]


async def test_no_two_files_get_one_name(tmp_path: Path) -> None:
    """Also where only their case, or their folder, tells them apart."""
    listed = rows("a.fits", "A.fits", "b/a.fits")
    async with serving_exports(rows=listed, files=files("a.fits", "A.fits", "b/a.fits")) as service:
        download = await downloaded(service, tmp_path)
        last = await downloaded(service, tmp_path, index=-1)
    assert names_in(tmp_path) == ["A.fits.1", "a.fits", "a.fits.2"]
    assert last.paths == [download.paths[2]]


async def test_one_file_of_two_records_is_fetched_once(tmp_path: Path) -> None:
    """Both are reported, with the one path."""
    async with serving_exports(rows=rows("a.fits", "a.fits")) as service:
        download = await downloaded(service, tmp_path)
    assert [file.record for file in download] == [RECORD.format(0), RECORD.format(1)]
    assert len(download.paths) == 1
    assert download.bytes == len(FITS)
    assert service.count("file") == 1


async def test_stored_files_are_named_by_record(tmp_path: Path) -> None:
    """On the server all of them are called like their segment."""
    listed = [(RECORD.format(n) + "{magnetogram}", f"/SUM1/D{n}/S00000/magnetogram.fits") for n in range(2)]
    async with serving_exports(rows=listed, files={path: FITS for _, path in listed}) as service:
        await downloaded(service, tmp_path, ExportQuery("hmi.M_720s[1]"))
    stem = "hmi.m_720s.20200101_00{:02d}00_TAI.1.magnetogram.fits"
    assert names_in(tmp_path) == [stem.format(0), stem.format(1)]


async def test_exported_files_are_named_by_record_when_asked(tmp_path: Path) -> None:
    """Whatever the format on the server was."""
    async with serving_exports(rows=rows("1.magnetogram.fits"), files=files("1.magnetogram.fits")) as service:
        await downloaded(service, tmp_path, names="record")
    assert names_in(tmp_path) == ["hmi.m_720s.20200101_000000_TAI.1.magnetogram.fits"]


# What is there already ------------------------------------------------------------------------------------------------


async def test_a_second_download_fetches_nothing(tmp_path: Path) -> None:
    """Digests are told all the same."""
    async with serving_exports() as service:

        async def dated(request: web.Request, form: dict[str, str]) -> web.StreamResponse:
            at = {"Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}
            if "Range" in request.headers:
                at["Content-Range"] = f"bytes 0-0/{len(FITS)}"
                return web.Response(status=206, body=FITS[:1], headers=at)
            return web.Response(body=FITS, headers=at)

        service.on("file", dated)
        await downloaded(service, tmp_path)
        again = await downloaded(service, tmp_path)
    assert again.files[0].fetched_bytes == 0
    assert again.files[0].sha256 == hashlib.sha256(FITS).hexdigest()


@pytest.mark.parametrize(
    ("exists", "left"),
    [("skip", {"a.fits": b"old"}), ("replace", {"a.fits": FITS}), ("check", {"a.fits": FITS}),
     ("refuse", {"a.fits": b"old"}), ("unique", {"a.fits": b"old", "a.fits.1": b"older", "a.fits.2": FITS})],
)  # fmt: skip
async def test_a_file_that_is_there(exists: str, left: dict[str, bytes], tmp_path: Path) -> None:
    """Each way to treat it, and nothing else happens to it."""
    (tmp_path / "a.fits").write_bytes(b"old")
    if exists == "unique":
        (tmp_path / "a.fits.1").write_bytes(b"older")
    async with serving_exports() as service:
        download = await downloaded(service, tmp_path, exists=exists)
    assert {name: (tmp_path / name).read_bytes() for name in names_in(tmp_path)} == left
    assert download.ok is (exists != "refuse")
    if exists == "refuse":
        assert isinstance(download.files[0].error, TargetExists)


async def test_a_name_that_is_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """`unique` goes on to the next one."""
    async with serving_exports() as service:

        async def be_faster(request: web.Request, form: dict[str, str]) -> None:
            if service.count("file") == 1:
                (tmp_path / "a.fits").write_bytes(b"theirs")

        service.on("file", be_faster)
        download = await downloaded(service, tmp_path, exists="unique")
    assert download.ok
    assert (tmp_path / "a.fits").read_bytes() == b"theirs"
    assert (tmp_path / "a.fits.1").read_bytes() == FITS


# Choosing, and what there is not --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "names"), [(1, ["b.fits"]), ([2, 0, -1], ["a.fits", "c.fits"]), ([], [])])
async def test_some_of_the_files(index: Any, names: list[str], tmp_path: Path) -> None:
    """By their places in the list; from the end too."""
    listed = ["a.fits", "b.fits", "c.fits"]
    async with serving_exports(rows=rows(*listed), files=files(*listed)) as service:
        download = await downloaded(service, tmp_path, index=index)
    assert names_in(tmp_path) == names
    assert len(download) == len(names)


@pytest.mark.parametrize("index", [3, -4, "1", True, [0.5]])
async def test_places_that_there_are_not(index: Any, tmp_path: Path) -> None:
    """Said before anything is fetched."""
    async with serving_exports(rows=rows("a.fits", "b.fits", "c.fits")) as service:
        with pytest.raises(InvalidInput, match="index"):
            await downloaded(service, tmp_path, index=index)
        assert service.count("file") == 0


async def test_records_without_a_file_are_reported_and_not_fetched(tmp_path: Path) -> None:
    """An image that was not taken is no failure, and shifts none of the others."""
    listed = rows("NoDataFile", "b.fits", "")
    async with serving_exports(rows=listed, files=files("b.fits")) as service:
        download = await downloaded(service, tmp_path)
    assert download.ok
    assert [file.record for file in download.missing] == [RECORD.format(0), RECORD.format(2)]
    assert download.files[1].path == tmp_path / "b.fits"
    assert all(isinstance(file.error, NoFile) for file in download.missing)
    assert service.count("file") == 1


async def test_an_export_of_nothing_is_a_failure(tmp_path: Path) -> None:
    """The service calls it finished, and says the truth in the name of a record."""
    async with serving_exports(rows=[("warning=No FITS files were exported. Check the record set.", "")]) as service:
        download = await downloaded(service, tmp_path)
    assert not download.ok
    with pytest.raises(ExceptionGroup) as caught:
        download.raise_for_failures()
    assert caught.group_contains(RequestFailed, match="No FITS files were exported")
    assert service.count("file") == 0


async def test_a_movie_comes_with_its_frames(tmp_path: Path) -> None:
    """And can be had alone: it is the first in the list."""
    listed = [("movie of the following data", "hmi.m_720s.mpg"), *rows("a.jpg")]
    movie = files("hmi.m_720s.mpg", "a.jpg", data=b"\x00\x00\x01")
    async with serving_exports(rows=listed, files=movie) as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query(protocol="mpg"))
        assert [file.is_movie for file in await export.files()] == [True, False]
        await export.download(tmp_path, index=0)
    assert names_in(tmp_path) == ["hmi.m_720s.mpg"]


# Lies -----------------------------------------------------------------------------------------------------------------


def sends(body: bytes, **headers: str) -> Callable[[web.Request, dict[str, str]], Awaitable[web.StreamResponse]]:
    """Answer every request for a file with this."""

    async def handle(request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        return web.Response(body=body, headers=headers)

    return handle


async def truncated(request: web.Request, form: dict[str, str]) -> web.StreamResponse:
    """Promise a whole file, and hang up in the middle."""
    answer = web.StreamResponse(headers={"Content-Length": str(len(FITS))})
    await answer.prepare(request)
    await answer.write(FITS[:1000])
    assert request.transport is not None
    request.transport.close()
    return answer


PAGE = b"<!DOCTYPE html><html>The server is busy</html>"


@pytest.mark.parametrize(
    ("handler", "error", "text"),
    [
        (sends(PAGE, **{"Content-Type": "text/html"}), MalformedAnswer, "web page"),
        (sends(PAGE, **{"Content-Type": "application/octet-stream"}), WrongContent, "a web page came instead"),
        (sends(b"The disk is full"), WrongContent, "something else came instead of a FITS file: 'The disk is full'"),
        (sends(b""), WrongContent, "instead of a FITS file"),
        (sends(FITS, Digest="md5=AAAAAAAAAAAAAAAAAAAAAA=="), WrongContent, "md5"),
        (truncated, ConnectionLost, "ended before the body did"),
    ],
)
async def test_what_is_not_the_file_never_takes_its_name(
    handler: Any, error: type[Exception], text: str, tmp_path: Path
) -> None:
    """Not for a moment; and what was under it before stays."""
    async with serving_exports() as service:
        service.on("file", handler)
        download = await downloaded(service, tmp_path)
        (file,) = download.failed
        assert isinstance(file.error, error)
        assert text in str(file.error)
        assert not (tmp_path / "a.fits").exists()
        assert [name for name in names_in(tmp_path) if not name.startswith(".aurora")] == []
        (tmp_path / "a.fits").write_bytes(b"mine")
        await downloaded(service, tmp_path, exists="replace")
    assert (tmp_path / "a.fits").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["a.jpg", "movie.mp4", "rot.2d", "list.txt", "without"])
@pytest.mark.parametrize("page", [PAGE, b"\xef\xbb\xbf\n <HTML>\n<p>gone", b"<html lang='en'>"])
async def test_a_page_is_no_picture(name: str, page: bytes, tmp_path: Path) -> None:
    """A proxy may call it whatever was asked for, and successful."""
    async with serving_exports(rows=rows(name), files=files(name, data=page)) as service:
        download = await downloaded(service, tmp_path)
    assert isinstance(download.files[0].error, WrongContent)
    assert "a web page came instead" in str(download.files[0].error)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.html", PAGE), ("a.htm", PAGE), ("a.svg", b"<!DOCTYPE svg><svg/>"), ("a.xml", b"<htmlx/>"), ("a.txt", b"")],
)
async def test_what_may_be_a_page_or_is_none_comes(name: str, data: bytes, tmp_path: Path) -> None:
    """By its name, or by how it begins."""
    async with serving_exports(rows=rows(name), files=files(name, data=data)) as service:
        assert (await downloaded(service, tmp_path)).ok
    assert (tmp_path / name).read_bytes() == data


async def test_a_fits_file_cut_between_two_blocks_is_refused(tmp_path: Path) -> None:
    """Its own header says how much is missing, where the server says that this is all."""
    async with serving_exports(files=files("a.fits", data=FITS[:2880])) as service:
        download = await downloaded(service, tmp_path)
    assert "ends in the middle" in str(download.files[0].error)


@pytest.mark.parametrize(
    ("finished", "where", "text"),
    [
        ({"count": 5}, r"\$\.data", "5 files announced, 1 listed"),
        ({"count": "5", "data": []}, r"\$\.data", "5 files announced, 0 listed"),
        ({"dir": "../../etc"}, r"\$\.dir", "no place on the server"),
        ({"dir": "/SUM1/../../etc"}, r"\$\.dir", "no place on the server"),
        ({"dir": "http://elsewhere/x"}, r"\$\.dir", "no place on the server"),
        ({"tarfile": "/SUM1/../../etc/x.tar"}, r"\$\.tarfile", "no place on the server"),
    ],
)
async def test_an_answer_that_cannot_be_is_an_error(
    finished: dict[str, Any], where: str, text: str, tmp_path: Path
) -> None:
    """Neither a success without files, nor files from elsewhere."""
    async with serving_exports(finished=finished) as service:
        with pytest.raises(MalformedAnswer, match=f"{where}.*{text}"):
            await downloaded(service, tmp_path)
        assert service.count("file") == 0


async def test_more_files_than_announced_are_all_fetched(tmp_path: Path) -> None:
    """A movie is not among those that are counted."""
    async with serving_exports(finished={"count": "0"}) as service:
        assert len(await downloaded(service, tmp_path)) == 1


async def test_a_file_that_is_cut_is_gone_on_with(tmp_path: Path) -> None:
    """The bytes that came are not asked for again."""
    ranges: list[str | None] = []

    async def cut_first(request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        ranges.append(request.headers.get("Range"))
        at = {"ETag": '"1"'}
        if len(ranges) == 1:
            answer = web.StreamResponse(headers=at | {"Content-Length": str(len(FITS))})
            await answer.prepare(request)
            await answer.write(FITS[:3000])
            assert request.transport is not None
            request.transport.close()
            return answer
        at["Content-Range"] = f"bytes 3000-{len(FITS) - 1}/{len(FITS)}"
        return web.Response(status=206, body=FITS[3000:], headers=at)

    async with serving_exports() as service:
        service.on("file", cut_first)
        download = await downloaded(service, tmp_path)
    assert download.ok
    assert (tmp_path / "a.fits").read_bytes() == FITS
    assert ranges == [None, "bytes=3000-"]


async def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    """What failed is fetched by the next call, and nothing else."""
    async with serving_exports(rows=rows("a.fits", "b.fits", "c.fits"), files=files("a.fits", "c.fits")) as service:
        download = await downloaded(service, tmp_path)
        assert [file.record for file in download.failed] == [RECORD.format(1)]
        assert isinstance(download.files[1].error, NotFound)
        service.files |= files("b.fits")
        before = service.count("file")
        assert (await downloaded(service, tmp_path, exists="skip")).ok
        assert service.count("file") == before + 1


async def test_files_that_have_gone_are_those_of_an_expired_export(tmp_path: Path) -> None:
    """It was finished a moment ago: the service is asked again what has become of it."""
    async with serving_exports(files={}) as service, exports_at(service.base_url) as exports:
        export = await exports.submit(a_query())
        await export.wait()
        service.finished = {"status": 5, "error": "Request was completed but is now deleted, 7 day limit exceeded"}
        with pytest.raises(ResultExpired, match="7 day limit"):
            await export.download(tmp_path)


async def test_a_folder_that_cannot_be_made_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "out").write_bytes(b"")
    async with serving_exports() as service:
        with pytest.raises(TargetNotWritable):
            await downloaded(service, tmp_path / "out")
        assert service.count("file") == 0


async def test_the_deadline_covers_the_files_too(tmp_path: Path) -> None:
    """What has come by then stays; the error names the export."""

    async def hang(request: web.Request, form: dict[str, str]) -> None:
        if request.path.endswith("b.fits"):
            await asyncio.sleep(30)

    async with serving_exports(rows=rows("a.fits", "b.fits"), files=files("a.fits", "b.fits")) as service:
        service.on("file", hang)
        with pytest.raises(DeadlineExceeded) as caught:
            await downloaded(service, tmp_path, deadline_s=0.5)
    assert caught.value.request_id == "JSOC_20200101_001"
    assert (tmp_path / "a.fits").read_bytes() == FITS


# Archives -------------------------------------------------------------------------------------------------------------


def archived(data: bytes, *names: str) -> dict[str, Any]:
    """A service whose export is one archive, said to hold these files."""
    return {"rows": rows(*names), "files": {TAR: data}, "finished": {"tarfile": TAR}}


async def test_an_archive_is_fetched_whole_and_taken_apart(tmp_path: Path) -> None:
    """Its files are told by record, as if they had come one by one; lists of keywords come too."""
    data = a_tar(("./a.fits", FITS), ("sub/b.fits", FITS), ("JSOC_20200101_001.txt", b"list"))
    async with serving_exports(**archived(data, "a.fits", "b.fits")) as service:
        download = await downloaded(service, tmp_path)
        assert download.ok
        assert [file.record for file in download] == [RECORD.format(0), RECORD.format(1), None]
        assert names_in(tmp_path) == ["JSOC_20200101_001.tar", "JSOC_20200101_001.txt", "a.fits", "b.fits"]
        assert download.files[0].sha256 == hashlib.sha256(FITS).hexdigest()
        assert download.archive == tmp_path / "JSOC_20200101_001.tar"
        (tmp_path / "b.fits").unlink()
        again = await downloaded(service, tmp_path)
        assert [file.fetched_bytes for file in again] == [0, len(FITS), 0]


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ({"keep_tar": False}, ["a.fits", "b.fits"]),
        ({"extract": False}, ["JSOC_20200101_001.tar"]),
        ({"index": 1}, ["JSOC_20200101_001.tar", "b.fits"]),
        ({"names": "record", "keep_tar": False}, [f"hmi.m_720s.20200101_00{n:02d}00_TAI.1.{s}.fits" for n, s in
                                                  enumerate("ab")]),
    ],
)  # fmt: skip
async def test_what_is_kept_of_an_archive_is_a_choice(how: Any, left: list[str], tmp_path: Path) -> None:
    """The archive, its files, some of them, under which names."""
    data = a_tar(("a.fits", FITS), ("b.fits", FITS))
    async with serving_exports(**archived(data, "a.fits", "b.fits")) as service:
        assert (await downloaded(service, tmp_path, **how)).ok
    assert names_in(tmp_path) == left


@pytest.mark.parametrize("exists", ["check", "skip", "replace", "refuse", "unique"])
async def test_files_that_are_there_when_an_archive_is_taken_apart(exists: str, tmp_path: Path) -> None:
    """The same five ways."""
    (tmp_path / "a.fits").write_bytes(b"old")
    async with serving_exports(**archived(a_tar(("a.fits", FITS)), "a.fits")) as service:
        download = await downloaded(service, tmp_path, exists=exists, keep_tar=False)
    old, new = (tmp_path / "a.fits").read_bytes(), tmp_path / "a.fits.1"
    assert old == (FITS if exists in ("check", "replace") else b"old")
    assert new.exists() is (exists == "unique")
    assert download.ok is (exists != "refuse")


def linked() -> tarfile.TarInfo:
    """A link out of the folder."""
    header = tarfile.TarInfo()
    header.type, header.linkname = tarfile.SYMTYPE, "/etc"
    return header


@pytest.mark.parametrize(
    "data",
    [
        a_tar(("a.fits", FITS), ("../x.fits", FITS)),
        a_tar(("a.fits", FITS), ("/tmp/x.fits", FITS)),
        a_tar(("a.fits", FITS), ("link", linked())),
        a_tar(("a.fits", FITS))[:2000],
        a_tar(("a.fits", FITS))[:-9728],
        PAGE,
        b"",
    ],
    ids=["dots", "absolute", "link", "cut", "without end", "page", "empty"],
)
async def test_an_archive_that_is_not_right_leaves_nothing(data: bytes, tmp_path: Path) -> None:
    """Neither the files before the wrong one, nor the archive itself."""
    async with serving_exports(**archived(data, "a.fits")) as service:
        with pytest.raises(WrongContent):
            await downloaded(service, tmp_path / "out")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("keep_tar", [True, False])
async def test_a_file_does_not_take_the_place_of_its_archive(listed: bool, keep_tar: bool, tmp_path: Path) -> None:
    """The others are still to be read from there."""
    own = TAR.rpartition("/")[2]
    data = a_tar((own, b"E" * 20_000), ("rot.2d", b"R" * 3000))
    names = [own, "rot.2d"] if listed else ["rot.2d"]
    async with serving_exports(**archived(data, *names)) as service:
        download = await downloaded(service, tmp_path, keep_tar=keep_tar)
    assert download.ok
    assert (tmp_path / "rot.2d").read_bytes() == b"R" * 3000
    assert (tmp_path / f"{own}.1").read_bytes() == b"E" * 20_000
    assert names_in(tmp_path) == [*([own] if keep_tar else []), f"{own}.1", "rot.2d"]
    if keep_tar:
        assert (tmp_path / own).read_bytes() == data


async def test_a_folder_around_all_files_of_an_archive(tmp_path: Path) -> None:
    """Files are found by their names then, in the order of both; one of two records is one file."""
    data = a_tar(("x/a.2d", b"1"), ("y/a.2d", b"2"), ("x/b.2d", b"3"))
    listed = ["b.2d", "d/a.2d", "d/a.2d", "e/a.2d", "f/a.2d"]
    async with serving_exports(**archived(data, *listed)) as service:
        download = await downloaded(service, tmp_path)
    assert [file.path and file.path.read_bytes() for file in download] == [b"3", b"1", b"1", b"2", None]
    assert names_in(tmp_path) == ["JSOC_20200101_001.tar", "a.2d", "a.2d.1", "b.2d"]


async def test_a_full_disk_is_told_for_each_file_that_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with files that come one by one; what came before stays, and the archive too."""
    tried: list[str] = []
    real = Archive.extract

    async def extract(self: Archive, member: Member, target: Path, **how: Any) -> Saved:
        tried.append(member.name)
        if member.name == "b.2d":
            raise DiskFull("", target, "No space left on device", 0)
        return await real(self, member, target, **how)

    monkeypatch.setattr(Archive, "extract", extract)
    data = a_tar(("a.2d", b"1"), ("b.2d", b"2"), ("c.2d", b"3"))
    async with serving_exports(**archived(data, "a.2d", "b.2d", "NoDataFile", "c.2d")) as service:
        download = await downloaded(service, tmp_path, keep_tar=False)
    assert [type(file.error) for file in download] == [type(None), DiskFull, NoFile, DiskFull]
    assert tried == ["a.2d", "b.2d"]
    assert names_in(tmp_path) == [TAR.rpartition("/")[2], "a.2d"]


async def test_an_archive_that_is_there_is_looked_at_again(tmp_path: Path) -> None:
    """With `skip`, too, the second download tells what the first one told."""
    data = a_tar(("a.fits", FITS), ("list.txt", b"x"))
    async with serving_exports(**archived(data, "a.fits")) as service:
        first = await downloaded(service, tmp_path)
        again = await downloaded(service, tmp_path, exists="skip")
        assert service.count("file") == 1
    assert again.archive == first.archive
    assert [(file.record, file.path, file.sha256) for file in again] == [
        (file.record, file.path, file.sha256) for file in first
    ]
    assert all(file.fetched_bytes == 0 for file in again)


async def test_an_archive_that_lacks_a_file_says_which(tmp_path: Path) -> None:
    """And one whose FITS files are none: the others are taken out, and the archive is kept to look at."""
    data = a_tar(("a.fits", FITS), ("c.fits", PAGE))
    async with serving_exports(**archived(data, "a.fits", "b.fits", "c.fits", "NoDataFile")) as service:
        download = await downloaded(service, tmp_path, keep_tar=False)
    assert [file.record for file in download.failed] == [RECORD.format(1), RECORD.format(2)]
    assert [file.record for file in download.missing] == [RECORD.format(3)]
    assert names_in(tmp_path) == ["JSOC_20200101_001.tar", "a.fits"]


async def test_files_that_are_all_there_need_no_archive(tmp_path: Path) -> None:
    """With `skip`, an archive that was not kept is not fetched again; a record without a file changes nothing."""
    data = a_tar(("a.fits", FITS), ("list.txt", b"x"))
    async with serving_exports(**archived(data, "a.fits", "NoDataFile")) as service:
        first = await downloaded(service, tmp_path, keep_tar=False)
        assert first.ok and first.archive is None
        again = await downloaded(service, tmp_path, exists="skip")
        assert again.ok and service.count("file") == 1
        assert [file.sha256 for file in again] == [file.sha256 for file in first][:2]
    assert names_in(tmp_path) == ["a.fits", "list.txt"]


async def test_an_archive_that_has_gone_is_that_of_an_expired_export(tmp_path: Path) -> None:
    """As with single files."""
    async with serving_exports(**archived(b"", "a.fits")) as service, exports_at(service.base_url) as exports:
        service.files = {}
        export = await exports.submit(a_query())
        await export.wait()
        service.finished = {"status": 5, "error": "Request was completed but is now deleted"}
        with pytest.raises(ResultExpired):
            await export.download(tmp_path)


async def test_an_archive_that_cannot_be_fetched_is_one_error(tmp_path: Path) -> None:
    """There is one body, so there is one reason."""
    async with serving_exports(**archived(b"", "a.fits")) as service:
        service.files = {}
        with pytest.raises(NotFound):
            await downloaded(service, tmp_path)


# The report -----------------------------------------------------------------------------------------------------------


async def test_the_manifest_tells_everything(tmp_path: Path) -> None:
    """What came with its digest, what did not with its reason: as JSON, and as a table."""
    async with serving_exports(rows=rows("a.fits", "gone.fits", "NoDataFile")) as service:
        download = await downloaded(service, tmp_path)
    manifest = json.loads((await download.write_manifest(tmp_path / "manifest.json")).read_bytes())
    assert manifest["request_id"] == "JSOC_20200101_001"
    first, second, third = manifest["files"]
    assert first == {
        "record": RECORD.format(0),
        "url": f"{service.base_url}{FOLDER}/a.fits",
        "path": "a.fits",
        "bytes": len(FITS),
        "sha256": hashlib.sha256(FITS).hexdigest(),
        "error": None,
    }
    assert (second["path"], second["error"]["kind"]) == (None, "NotFound")
    assert third["error"]["kind"] == "NoFile"
    frame = download.to_pandas()
    assert list(frame["bytes"])[:1] == [len(FITS)]
    assert frame["error"].notna().tolist() == [False, True, True]


def test_a_download_is_the_sequence_of_its_files() -> None:
    """So that it can be looked through like any list."""
    empty = Download(request_id="JSOC_20200101_001", folder=Path("x"), files=())
    assert list(empty) == [] and len(empty) == 0 and empty.ok and empty[0:] == ()
    empty.raise_for_failures()
