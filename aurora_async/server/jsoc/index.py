"""The lists in an export's directory: `index.json`, `index.txt` and `index.html`, and the keywords of its records."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from aurora_async.server.jsoc.answers import as_json
from aurora_async.server.jsoc.records import Record

__all__ = ["NO_FILE", "NO_IMAGES", "Row", "write_index", "write_keywords"]

Row = tuple[str, str]
"""What a list says of a file: the record, and the file's name."""

NO_FILE = "NoDataFile"
NO_IMAGES = "warning=No FITS files were exported. The requested FITS files no longer exist."

_PAGE_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
<p>Made up by a local service, not by JSOC.</p>
<table>
"""
_PAGE_END = "</table>\n</body></html>\n"


def write_index(folder: Path, header: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Write the three lists; in each, every value of the header is a text."""
    _write(folder / "index.json", _json(header, rows))
    _write(folder / "index.txt", _text(header, rows))
    _write(folder / "index.html", _page(header, rows))


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="ascii", errors="xmlcharrefreplace", newline="\n") as file:
        file.writelines(lines)


def _json(header: Mapping[str, str], rows: Sequence[Row]) -> Iterator[str]:
    yield as_json(header).rstrip().removesuffix("}") + ',"data":['
    for number, (record, filename) in enumerate(rows):
        line = as_json({"record": record, "filename": filename}).rstrip()
        yield f"{',' if number else ''}\n {line}"
    yield "]}\n"


def _text(header: Mapping[str, str], rows: Sequence[Row]) -> Iterator[str]:
    yield "# JSOC Export File List\n"
    yield from (f"{name}={value}\n" for name, value in header.items())
    yield "# DATA\n"
    yield from (f"{record}\t{filename}\n" for record, filename in rows)


def _page(header: Mapping[str, str], rows: Sequence[Row]) -> Iterator[str]:
    request_id = header.get("requestid") or header.get("reqid", "")
    yield _PAGE_HEAD.format(title=html.escape(f"Export {request_id}"))
    for record, filename in rows:
        name = html.escape(filename)
        link = name if filename in ("", NO_FILE) or "tarfile" in header else f'<a href="{name}">{name}</a>'
        yield f"<tr><td>{html.escape(record)}</td><td>{link}</td></tr>\n"
    if tar := header.get("tarfile"):
        name = html.escape(tar.rpartition("/")[2])
        yield f'<tr><td>all files</td><td><a href="{name}">{name}</a></td></tr>\n'
    yield _PAGE_END


def write_keywords(path: Path, records: Iterable[Record]) -> None:
    """Write the keywords of records, one record a line, as they go with files whose headers do not have them."""

    def lines() -> Iterator[str]:
        for number, record in enumerate(records):
            names = [keyword.name for keyword in record.series.keywords]
            if number == 0:
                yield "\t".join(["record", *names]) + "\n"
            yield "\t".join([record.name(), *(record.text(name) for name in names)]) + "\n"

    _write(path, lines())
