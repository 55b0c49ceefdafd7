"""The arguments of the official program, read by the same parser: abbreviations and refusals come out alike."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aurora_async.compat.imap_dialect import CURRENT, OLD, RELEASE_VARIABLE, url_of
from aurora_async.imap.vocabulary import INSTRUMENTS, KERNEL_TYPES, RELEASE_TYPES

__all__ = ["parse"]

_Add = Callable[[str, str], argparse.ArgumentParser]

_PROGRAM = "imap-data-access"
_FLAGS = ("--debug", "--verbose", "-v")
_SETTINGS = ("--api-key", "--access-token", "--webpoda-token", "--data-dir", "--url", "--client-version")
_OLD_INSTRUMENTS = tuple(name for name in INSTRUMENTS if name not in ("ialirt", "l1const", "spacecraft"))
_ANYWHERE = "The program's own options, such as --url, may stand here, too."


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command line of the release that it, or the environment, names.

    Wrong ones end the program with exit code 2, `--help` and `--version` with 0.
    """
    arguments = _hoisted(arguments)
    release = _release(arguments)
    parser = _old() if release == OLD else _current()
    found = parser.parse_args(arguments)
    found.client_version = release
    if found.data_dir is not None:
        found.data_dir = found.data_dir.absolute()
        if not found.data_dir.is_dir():
            parser.error(f"Data directory {found.data_dir} does not exist")
    return found


def _hoisted(arguments: Sequence[str]) -> list[str]:
    """Bring the program's own options before the command's name, wherever they were typed.

    Only where they are spelled out: what abbreviates an option of a command goes on doing so.
    """
    first: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*first, *rest, word, *left]
        if word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _SETTINGS)):
            first.append(word)
        elif word in _SETTINGS and left:
            first += [word, left.pop(0)]
        else:
            rest.append(word)
    return first + rest


def _release(arguments: Sequence[str]) -> str:
    asked = argparse.ArgumentParser(prog=_PROGRAM, add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
    asked.add_argument("--client-version")
    typed = asked.parse_known_args(arguments)[0].client_version
    release = os.environ.get(RELEASE_VARIABLE) or CURRENT if typed is None else typed
    if release not in (CURRENT, OLD):
        source = RELEASE_VARIABLE if typed is None else "--client-version"
        _current().error(f"{source}: {release!r} is not a release this speaks like (choose from {CURRENT}, {OLD})")
    return str(release)


def _program(release: str, about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=about)
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {release}",
                        help="show the release this speaks like, and exit")  # fmt: skip
    parser.add_argument("--client-version", metavar="RELEASE",
                        help=f"speak like this release: {CURRENT} (as without it) or {OLD}; "
                             f"env: {RELEASE_VARIABLE}")  # fmt: skip
    parser.add_argument("--api-key", metavar="KEY", help="shows all files, and lets you upload; env: IMAP_API_KEY")
    parser.add_argument("--access-token", metavar="TOKEN",
                        help="of LASP's login, used where there is no key; env: IMAP_ACCESS_TOKEN")  # fmt: skip
    parser.add_argument("--webpoda-token", metavar="TOKEN",
                        help="base64 of user:password, for raw packets; env: IMAP_WEBPODA_TOKEN")  # fmt: skip
    parser.add_argument("--data-dir", type=Path, metavar="DIR",
                        help="where files go and are looked for; env: IMAP_DATA_DIR; default: ./data")  # fmt: skip
    parser.add_argument("--url",
                        help=f"the service to ask; env: IMAP_DATA_ACCESS_URL; default: {url_of(release)}")  # fmt: skip
    parser.add_argument("--debug", action="store_true", help="log everything that happens")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is asked")
    return parser


def _commands(parser: argparse.ArgumentParser, names: Sequence[str]) -> _Add:
    commands = parser.add_subparsers(required=True, dest="command", metavar=f"{{{','.join(names)}}}")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=f"{about.capitalize()}.", epilog=_ANYWHERE)

    return add


def _add_instrument(command: argparse.ArgumentParser, names: Sequence[str] = INSTRUMENTS, **rest: Any) -> None:
    command.add_argument("--instrument", choices=names, metavar="INSTRUMENT", help=", ".join(names), **rest)


def _add_download(add: _Add) -> None:
    _add_file(add("download", "fetch a file into the data directory"))


def _add_upload(add: _Add) -> None:
    _add_file(add("upload", "deliver a file to the archive"))


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument("file_path", type=Path, help="such as imap/mag/l0/2025/01/imap_mag_l0_raw_20250101_v001.pkts")


def _add_product(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-level", metavar="LEVEL", help="l0, l1a, l2 and so on")
    command.add_argument("--descriptor", help="the product: raw, burst and so on")


def _add_days(command: argparse.ArgumentParser, *, required: bool = False) -> None:
    command.add_argument("--start-date", metavar="YYYYMMDD", required=required, help="files of this day or later")
    command.add_argument("--end-date", metavar="YYYYMMDD", required=required, help="files of this day or before")


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--extension", help="how names end: cdf, pkts and so on")
    command.add_argument("--output-format", choices=("table", "json"), default="table", help="how they are printed")


def _old() -> argparse.ArgumentParser:
    """Build the parser of release 0.2.0."""
    parser = _program(OLD, "Query, fetch and deliver files of the IMAP Science Data Center, as in January 2024.")
    add = _commands(parser, ("download", "query", "upload"))
    _add_download(add)
    query = add("query", "list files")
    _add_instrument(query, _OLD_INSTRUMENTS)
    _add_product(query)
    _add_days(query)
    query.add_argument("--version", metavar="vNN-NN", help="of this version")
    _add_output(query)
    _add_upload(add)
    return parser


def _current() -> argparse.ArgumentParser:
    """Build the parser of release 1.3.0."""
    parser = _program(CURRENT, "Query, fetch and deliver files of the IMAP Science Data Center.")
    add = _commands(parser, ("download", "query", "upload", "webpoda", "reprocess", "release"))
    _add_download(add)

    query = add("query", "list files")
    query.add_argument("--table", choices=("science", "ancillary", "spice"), default="science",
                       help="where to look; science unless told otherwise")  # fmt: skip
    _add_instrument(query)
    _add_product(query)
    _add_days(query)
    query.add_argument("--ingestion-start-date", metavar="YYYYMMDD", help="files that came on this day or later")
    query.add_argument("--ingestion-end-date", metavar="YYYYMMDD", help="files that came on this day or before")
    query.add_argument("--repointing", help="the number of a pointing: 96 or repoint00096")
    query.add_argument("--version", help="vXXX, vMMM.mmmm, or latest: the newest of each product and day or pointing")
    query.add_argument("--major-version", metavar="M", help="first part of the version; if left out, the highest")
    query.add_argument("--minor-version", metavar="N", help="second part of the version")
    _add_output(query)
    query.add_argument("--filename", help="find the file of this name; no other filter beside it")
    query.add_argument("--type", help=f"kernels of a type, with --table spice: {', '.join(KERNEL_TYPES)}")

    _add_upload(add)

    webpoda = add("webpoda", "fetch raw packets of an instrument")
    _add_instrument(webpoda, required=True)
    webpoda.add_argument("--start-date", metavar="YYYYMMDD", required=True, help="the first day")
    webpoda.add_argument("--end-date", metavar="YYYYMMDD", help="the last day; the first one, if left out")
    webpoda.add_argument("--query-mode", choices=("ert", "sct"), default="ert",
                         help="days on which packets were received on Earth (ert) or made (sct)")  # fmt: skip
    webpoda.add_argument("--upload-to-sdc", action="store_true", help="deliver what is new or has changed")

    reprocess = add("reprocess", "have files made anew")
    _add_days(reprocess, required=True)
    _add_instrument(reprocess)
    _add_product(reprocess)

    release = add("release", "make files public")
    release.add_argument("--release-type", choices=RELEASE_TYPES, required=True,
                         help="release is the only one that the service does so far")  # fmt: skip
    release.add_argument("--manifest-file", type=Path, metavar="PATH",
                         help="which: imap_<instrument>_data-release-<nnn>_<start>_<end>_<version>.txt")  # fmt: skip
    return parser
