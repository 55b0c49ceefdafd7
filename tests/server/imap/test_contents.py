"""Files that are made up: valid ones of their formats, the same each time, that say what they are."""

from __future__ import annotations

import csv
import io
import json
import struct
import zipfile
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree

import cdflib
import pytest
from PIL import Image

from aurora_async.imap.vocabulary import EXTENSIONS
from aurora_async.server.imap.contents import NOTE, made_up

SCIENCE = "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
NAMES = [
    SCIENCE,
    "imap/swe/l0/2024/01/imap_swe_l0_sci_20240105_20240105_v00-05.pkts",
    "imap/glows/l0/2026/01/imap_glows_l0_raw_20260101-repoint00096_v001.0002.pkts",
    *(f"imap/spice/x/{name}" for name in ("naif0012.tls", "de440.bsp", "earth_200101_260101_250601.bpc")),
    *(f"imap/spice/x/{name}" for name in ("imap_2026_001_2026_002_01.spin", "imap_2026_191_01.repoint")),
    "imap/mag/calibration/test_calibration.txt",
    *(f"imap/ancillary/mag/imap_mag_x_20260101_v001.{extension}" for extension in EXTENSIONS["ancillary"]),
    *(f"imap/quicklook/mag/l1a/2026/01/imap_mag_l1a_x_20260101_v001.0001.{it}" for it in EXTENSIONS["quicklook"]),
]


@pytest.mark.parametrize("key", NAMES, ids=lambda key: key.rpartition("/")[2])
def test_a_file_is_the_same_each_time(key: str) -> None:
    """Unlike one of another name, or of another version."""
    content = made_up(key)
    assert content == made_up(key) != made_up(key, version=2)
    is_table = key.endswith((".spin", ".repoint", ".pkts", ".xlsx", ".zip"))
    assert is_table or NOTE.encode() in content


def test_science_is_a_cdf_that_others_read(tmp_path: Path) -> None:
    """With times of the day of its name, as TT2000."""
    path = tmp_path / "made.cdf"
    path.write_bytes(made_up(SCIENCE))
    file = cdflib.CDF(path)
    assert file.globalattsget()["Logical_file_id"] == ["imap_mag_l2_norm-dsrf_20260412_v001.0008"]
    epoch = file.varget("epoch")
    assert cdflib.cdfepoch.encode(epoch)[0] == "2026-04-12T00:00:00.000000000"
    assert file.varget("made_up").shape == (len(epoch), 3)


def test_kernels_begin_as_what_they_are() -> None:
    """So that whoever loads them finds nothing in them, and says so, instead of stumbling."""
    assert made_up("naif0012.tls").startswith(b"KPL/LSK\n")
    assert made_up("imap_130.tf").startswith(b"KPL/FK\n")
    for name, kind in (("de440.bsp", b"DAF/SPK "), ("imap_2025_358_2026_085_004.ah.bc", b"DAF/CK  ")):
        content = made_up(name)
        assert content.startswith(kind) and len(content) == 4096
        doubles, integers = struct.unpack_from("<ii", content, 8)
        first, last, free = struct.unpack_from("<iii", content, 76)
        assert (doubles, integers, first, last, free) == (2, 6, 3, 3, 513)
        assert struct.unpack_from("<ddd", content, 2048) == (0, 0, 0)  # no summary, and no further record of them


def test_tables_have_the_columns_of_real_ones() -> None:
    """Spins all day, and a manoeuvre a day whose numbers are those of the published files; the last is not over."""
    spins = list(csv.DictReader(io.StringIO(made_up("imap_2026_001_2026_002_01.spin").decode())))
    assert len(spins) == 24 * 60 * 4 and spins[0]["spin_start_utc"] == "2026-01-01 00:00:00.000000"
    assert {"spin_number", "spin_start_sec_sclk", "spin_period_sec", "thruster_firing"} < spins[0].keys()
    turns = list(csv.DictReader(io.StringIO(made_up("imap_2026_191_01.repoint").decode())))
    days = {datetime.fromisoformat(row["repoint_start_utc"]).date(): row["repoint_id"] for row in turns}
    assert (days[date(2026, 1, 1)], days[date(2026, 5, 26)]) == ("96", "260")
    assert turns[-1]["repoint_end_utc"] == turns[-1]["repoint_end_sec_sclk"] == "NaN"
    assert turns[-2]["repoint_end_utc"] == "2026-07-10 00:15:00.000000"


def test_pictures_documents_and_archives_open() -> None:
    """In what others have written for them."""
    stem = "imap_mag_x_20260101_v001"
    for extension, size in (("png", 16), ("jpg", 128), ("pgm", 16)):
        with Image.open(io.BytesIO(made_up(f"{stem}.{extension}"))) as image:
            image.load()
            assert image.size == (size, size) and len(image.getcolors(1 << 16)) > 20
    with zipfile.ZipFile(io.BytesIO(made_up(f"{stem}.zip"))) as archive:
        assert archive.namelist() == [f"{stem}.txt"] and NOTE in archive.read(f"{stem}.txt").decode()
    with zipfile.ZipFile(io.BytesIO(made_up(f"{stem}.xlsx"))) as book:
        for part in book.namelist():
            ElementTree.fromstring(book.read(part))
        assert NOTE in book.read("xl/worksheets/sheet1.xml").decode()
    assert json.loads(made_up(f"{stem}.json"))["note"] == NOTE
    document = made_up(f"{stem}.pdf")
    place = int(document.split(b"startxref\n")[1].split(b"\n")[0])
    assert document[place:].startswith(b"xref\n") and document.endswith(b"%%EOF\n")
    for number, line in enumerate(document[place:].split(b"\n")[3:8], 1):
        assert document[int(line[:10]) :].startswith(b"%d 0 obj" % number)
