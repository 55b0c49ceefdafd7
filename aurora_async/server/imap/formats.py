"""Files of many formats, the least that readers of them take: pictures, documents, archives, kernels; with a note."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["daf", "jpeg", "pdf", "pgm", "png", "xlsx", "zipped"]

_OLDEST = (1980, 1, 1, 0, 0, 0)
"""The earliest date that an archive can hold, so that the same content makes the same bytes."""

# Pictures: rows of grey values ----------------------------------------------------------------------------------------

Grey = Sequence[bytes]


def png(pixels: Grey, note: str) -> bytes:
    """Return a PNG picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 0, 0, 0, 0)
    text = b"Comment\0" + note.encode("latin-1", "replace")
    data = zlib.compress(b"".join(b"\0" + row for row in pixels), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, part) for kind, part in ((b"IHDR", header), (b"tEXt", text), (b"IDAT", data), (b"IEND", b""))
    )


def pgm(pixels: Grey, note: str) -> bytes:
    """Return a PGM picture, in its binary form."""
    return f"P5\n# {note}\n{len(pixels[0])} {len(pixels)}\n255\n".encode() + b"".join(pixels)


def jpeg(pixels: Grey, note: str) -> bytes:
    """Return a JPEG picture in which each pixel is a square of eight by eight."""
    # Only the mean of a block is coded, as the step from the block before: its number of bits, then those. All codes
    # are of four bits; that there is nothing else in a block is one more bit.
    bits, last = [], 0
    for row in pixels:
        for value in row:
            step, last = (value - 128) - last, value - 128
            size = abs(step).bit_length()
            bits.append(f"{size:04b}{step if step > 0 else step + (1 << size) - 1:0{size}b}0" if size else "00000")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    frame = struct.pack(">BHHB", 8, len(pixels) * 8, len(pixels[0]) * 8, 1) + b"\1\x11\0"
    twelve_of_four_bits = bytes([0, 0, 0, 12, *[0] * 12])
    one_of_one_bit = bytes([1, *[0] * 15])
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            segment(0xFE, note.encode()),
            segment(0xDB, b"\0" + bytes([8] * 64)),
            segment(0xC0, frame),
            segment(0xC4, b"\0" + twelve_of_four_bits + bytes(range(12))),
            segment(0xC4, b"\x10" + one_of_one_bit + b"\0"),
            segment(0xDA, b"\1\1\0\0\x3f\0"),
            scan,
            b"\xff\xd9",
        )
    )


# Documents and archives -----------------------------------------------------------------------------------------------


def pdf(lines: Sequence[str]) -> bytes:
    """Return a PDF document of one page."""
    shown = " T* ".join("({}) Tj".format(line.translate({40: "[", 41: "]", 92: "/"})) for line in lines)
    text = f"BT /F1 11 Tf 40 800 Td 14 TL {shown} ET".encode("latin-1", "replace")
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj%b endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return file + b"xref\n0 6\n0000000000 65535 f \n%btrailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(file),
    )


def zipped(files: Mapping[str, str]) -> bytes:
    """Return a ZIP archive of texts by their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _OLDEST), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def xlsx(rows: Sequence[Sequence[str | float]]) -> bytes:
    """Return a workbook of one sheet."""

    def cell(value: str | float) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    return zipped(
        {
            "[Content_Types].xml": f'{xml}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/></Types>',
            "_rels/.rels": f'{xml}<Relationships xmlns="{relations}"><Relationship Id="rId1"'
            f' Type="{kinds}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'{xml}<workbook xmlns="{main}" xmlns:r="{kinds}"><sheets>'
            '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'{xml}<Relationships xmlns="{relations}"><Relationship Id="rId1"'
            f' Type="{kinds}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/worksheets/sheet1.xml": f'{xml}<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
        }
    )


# Kernels --------------------------------------------------------------------------------------------------------------


def daf(kind: str, integers: int, name: str, note: str) -> bytes:
    """Return a binary kernel without a segment: a file record, a comment, and an empty list of summaries.

    Args:
        kind: `SPK`, `CK` or `PCK`.
        integers: How many whole numbers a summary holds.
        name: What the file calls itself.
        note: Its comment.
    """
    head = f"DAF/{kind}".ljust(8).encode() + struct.pack("<ii", 2, integers) + name[:60].ljust(60).encode()
    head += struct.pack("<iii", 3, 3, 513) + b"LTL-IEEE"
    # What a transfer as text would spoil, so that it is noticed.
    mended = b"FTPSTR:\r:\n:\r\n:\r\0:\x81:\x10\xce:ENDFTP"
    first = head.ljust(699, b"\0") + mended
    comment = (note + "\0\x04").encode("ascii", "replace")[:1000]
    summaries = struct.pack("<ddd", 0.0, 0.0, 0.0)
    return first.ljust(1024, b"\0") + comment.ljust(1024) + summaries.ljust(1024, b"\0") + b" " * 1024
