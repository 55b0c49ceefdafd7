"""Archives of strangers: their files come out whole and inside the folder, or nothing does."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from support.exporting import a_tar

from aurora_async.errors import TargetExists, TargetNotWritable, WrongContent
from aurora_async.transfer.untar import Archive, Member


def header(kind: bytes, **fields: object) -> tarfile.TarInfo:
    """A header of a kind of its own."""
    made = tarfile.TarInfo("x")
    made.type = kind
    for name, value in fields.items():
        setattr(made, name, value)
    return made


async def members(path: Path) -> tuple[Member, ...]:
    """The files of an archive."""
    async with Archive(path) as archive:
        return await archive.members()


def packed(folder: Path, data: bytes) -> Path:
    path = folder / "packed.tar"
    path.write_bytes(data)
    return path


async def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    """Names, bytes and digests; folders around them are no files."""
    large = bytes(range(256)) * 80_000  # more than one piece
    data = a_tar(("./sub", header(tarfile.DIRTYPE)), ("./sub/a.fits", large), ("b.txt", b""))
    async with Archive(packed(tmp_path, data)) as archive:
        first, second = await archive.members()
        assert [first.name, second.name] == ["sub/a.fits", "b.txt"]
        saved = await archive.extract(first, tmp_path / "out" / "a.fits")
        assert saved.path.read_bytes() == large
        assert saved.sha256 == hashlib.sha256(large).hexdigest()
        assert (await archive.extract(second, tmp_path / "out" / "b.txt")).bytes == 0


async def test_what_takes_its_name_meanwhile_is_not_read(tmp_path: Path) -> None:
    """A file of the archive's own name, taken out of it, for example."""
    path = packed(tmp_path, a_tar(("packed.tar", b"E" * 20_000), ("a.2d", b"R" * 3000)))
    async with Archive(path) as archive:
        first, second = await archive.members()
        await archive.extract(first, path)
        await archive.extract(second, tmp_path / "a.2d")
    assert path.read_bytes() == b"E" * 20_000
    assert (tmp_path / "a.2d").read_bytes() == b"R" * 3000


async def test_an_archive_that_is_not_there_is_told_as_ours(tmp_path: Path) -> None:
    """Whoever handles the errors of this package handles this one."""
    with pytest.raises(TargetNotWritable):
        await members(tmp_path / "gone.tar")


@pytest.mark.parametrize("name", ["../x.fits", "a/../../x.fits", "/etc/x.fits", "a\\..\\x.fits", "a\nb.fits"])
async def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is taken out of such an archive, the honest files in it neither."""
    with pytest.raises(WrongContent, match="nothing of the archive was taken out"):
        await members(packed(tmp_path, a_tar(("good.fits", b"x"), (name, b"x"))))
    assert [path.name for path in tmp_path.iterdir()] == ["packed.tar"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE]
)
async def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    """A link that is followed by a file of its name writes wherever it points to."""
    archive = packed(tmp_path, a_tar(("evil", header(kind, linkname="/etc")), ("evil/passwd", b"x")))
    if kind == tarfile.CONTTYPE:  # an old spelling of a plain file
        assert len(await members(archive)) == 2
        return
    with pytest.raises(WrongContent, match="'evil'"):
        await members(archive)


@pytest.mark.parametrize("size", [-512, -1024, -(1 << 40)])
async def test_a_size_below_nothing_is_refused(tmp_path: Path, size: int) -> None:
    """The file behind it would be the one before, again and again."""
    archive = packed(tmp_path, a_tar(("a.fits", b"x"), ("b.fits", header(tarfile.REGTYPE, size=size))))
    with pytest.raises(WrongContent):
        await members(archive)


async def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    """A few bytes could become terabytes."""
    sparse = io.BytesIO()
    with tarfile.open(fileobj=sparse, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("big.fits")
        info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.map": "0,512", "GNU.sparse.size": str(1 << 50)}
        info.size = 512
        tar.addfile(info, io.BytesIO(bytes(512)))
    with pytest.raises(WrongContent, match="no plain file"):
        await members(packed(tmp_path, sparse.getvalue()))


@pytest.mark.parametrize("kept", [100, 512, 700, 1024, 1536])
async def test_an_archive_that_is_cut_is_refused(tmp_path: Path, kept: int) -> None:
    """Also where it is cut between two files, and looks like a shorter one."""
    whole = a_tar(("a.fits", bytes(512)), ("b.fits", bytes(512)))
    with pytest.raises(WrongContent, match="fetch it again"):
        await members(packed(tmp_path, whole[:kept]))


@pytest.mark.parametrize("data", [b"", b"<html>sorry</html>" * 100, bytes(100)])
async def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    """A page that tells of an error, for example."""
    with pytest.raises(WrongContent):
        await members(packed(tmp_path, data))


async def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """The second would replace the first; there are systems on which these two names are one."""
    with pytest.raises(WrongContent, match="two of its files"):
        await members(packed(tmp_path, a_tar(("a.fits", b"1"), ("A.fits", b"2"))))


async def test_an_archive_that_shrinks_meanwhile_leaves_nothing(tmp_path: Path) -> None:
    """A file under its name is whole."""
    path = packed(tmp_path, a_tar(("a.fits", bytes(4096))))
    async with Archive(path) as archive:
        (member,) = await archive.members()
        os.truncate(path, 2048)
        with pytest.raises(WrongContent, match=r"ends within 'a\.fits'"):
            await archive.extract(member, tmp_path / "a.fits")
    assert [path.name for path in tmp_path.iterdir()] == ["packed.tar"]


async def test_an_existing_file_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    """`overwrite=False` is what a batch that must not lose anything says."""
    target = tmp_path / "a.fits"
    target.write_bytes(b"old")
    async with Archive(packed(tmp_path, a_tar(("a.fits", b"new")))) as archive:
        (member,) = await archive.members()
        with pytest.raises(TargetExists):
            await archive.extract(member, target, overwrite=False)
        assert target.read_bytes() == b"old"
        await archive.extract(Member(member.name, member.offset, member.size), target)
    assert target.read_bytes() == b"new"


def raw(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, size: int | None = None) -> bytes:
    """A header and what follows it, to the letter."""
    made = header(kind, size=len(content) if size is None else size)
    made.name = name
    return made.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def attributes(**values: str) -> bytes:
    """An extended header that says these of the next file."""
    lines = b""
    for name, value in values.items():
        line = f" {name.replace('__', '.')}={value}\n"
        length = next(n for n in range(1000) if len(f"{n}{line}") == n)
        lines += f"{length}{line}".encode()
    return raw("pax", lines, tarfile.XHDTYPE)


@pytest.mark.parametrize(
    "data",
    [
        raw("././@LongLink", b"abcd\0", tarfile.GNUTYPE_LONGNAME) * 2000,
        attributes(comment="x") * 2000,
        attributes(size=str(10**30)),
        attributes(size="-512"),
        attributes(GNU__sparse__major="0", GNU__sparse__map="a,b", GNU__sparse__size="5"),
        attributes(GNU__sparse__major="1", GNU__sparse__minor="0"),
        raw("pax", b"999999999999999999999 a=b\n".ljust(512, b"x"), tarfile.XHDTYPE),
    ],
    ids=["long names", "chain", "huge", "below nothing", "sparse map", "sparse file", "long record"],
)
async def test_headers_that_make_no_sense_are_refused(tmp_path: Path, data: bytes) -> None:
    """As one error of ours, whatever they make tarfile stumble over."""
    with pytest.raises(WrongContent):
        await members(packed(tmp_path, data + raw("a.fits", b"x" * 1024) + bytes(1024)))


async def test_a_header_does_not_take_all_memory(tmp_path: Path) -> None:
    """Names and attributes are read in one piece; gigabytes of them can be sent packed, or lie in a sparse file."""
    path = packed(tmp_path, raw("././@LongLink", b"", tarfile.GNUTYPE_LONGNAME, size=1 << 30))
    os.truncate(path, 2 << 30)
    with pytest.raises(WrongContent, match=r"a header of 1,073,741,8\d\d bytes"):
        await members(path)
