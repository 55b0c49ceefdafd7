"""`jsoc`: the Joint Science Operations Center's series, records, exports and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.exits import Common, Failed
from aurora_async.cli.jsoc_client import address_of, ask_jsoc, jsoc_options
from aurora_async.cli.listing import Column, note
from aurora_async.cli.options import EVENTS, FILE, Number, Section, confirm, yes_option
from aurora_async.cli.output import Output, format_option

if TYPE_CHECKING:
    from aurora_async.jsoc import AddressStatus, Jsoc
    from aurora_async.jsoc.downloads import Exists, Names
    from aurora_async.jsoc.recordset import RecordSet

__all__ = ["jsoc"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_RECORD_SET = click.argument("record_set", metavar="RECORD_SET")
_WHERE = click.option(
    "--where", metavar="SQL", help="Only records that meet this condition: 'EXPTIME < 2 AND WAVELNTH = 211'."
)
_LIMIT = click.option("-n", "n", type=int, metavar="N", help="Only the first N records; a negative N: the last ones.")
_SERIES_COLUMNS = (Column("name"), Column("primekeys", head="prime keys", drop=1), Column("note", fold_at=24))


def _record_set(text: str, where: str | None) -> RecordSet:
    from aurora_async.jsoc.recordset import RecordSet

    asked = RecordSet.of(text)
    return asked if where is None else asked.where(where)


@click.group(
    "jsoc",
    cls=Section,
    short_help="Series, records and files of JSOC (HMI, AIA, MDI, IRIS).",
    headings={
        "Looking": ("series", "info", "count", "query"),
        "Files": ("export", "status", "download"),
        "You": ("email", "pending"),
    },
)
@jsoc_options
def jsoc() -> None:
    """Query and export the data of the Joint Science Operations Center, and of services like it.

    A record set names records of a series by its prime keys, in quotes for the shell:

    \b
      hmi.v_45s[2013.07.03_08:42_TAI/3m]
      aia.lev1_euv_12s[2021-07-03T14:25:00Z-2021-07-03T14:35:00Z][171,193]{image}
      hmi.sharp_720s[4864][2014.11.30_TAI/1d@2h][? QUALITY = 0 ?]

    Exports need a registered e-mail address: see email.
    """


@jsoc.command("series", short_help="List the series.")
@click.argument("pattern", required=False)
@format_option
@jsoc_options
@click.pass_obj
def _series(common: Common, pattern: str | None, output: Output) -> None:
    r"""List the series, or those whose names match PATTERN: a regular expression, such as '^hmi\.m_'."""
    found = ask_jsoc(common, lambda client: client.series(pattern, full=True))
    asked = "the service has no series" if pattern is None else f"no series matches {pattern!r}; series alone lists all"
    columns = [
        column for column in _SERIES_COLUMNS if column.name != "primekeys" or any(one.primekeys for one in found)
    ]
    output.print_records(common, columns, found, empty=asked)


@jsoc.command("info", short_help="Show what a series is made of.")
@click.argument("series")
@click.argument("keywords", nargs=-1, metavar="[KEYWORD...]")
@click.option("--only", type=click.Choice(["keywords", "segments", "links"]),
              help="Only this table; csv and jsonl have the keywords unless told otherwise.")  # fmt: skip
@format_option
@jsoc_options
@click.pass_obj
def _info(common: Common, series: str, keywords: tuple[str, ...], only: Any, output: Output) -> None:
    """Show the keywords, segments (files) and links of SERIES, or just what is known of each KEYWORD."""
    from aurora_async.cli.jsoc_info import print_info

    if keywords and only not in (None, "keywords"):
        raise click.UsageError(f"--only {only} and the names of keywords contradict each other")
    print_info(common, ask_jsoc(common, lambda client: client.info(series)), keywords, only, output)


@jsoc.command("count", short_help="Count the records of a record set.")
@_RECORD_SET
@_WHERE
@_LIMIT
@jsoc_options
@click.pass_obj
def _count(common: Common, record_set: str, where: str | None, n: int | None) -> None:
    """Print how many records RECORD_SET names."""
    asked = _record_set(record_set, where)
    click.echo(ask_jsoc(common, lambda client: client.count(asked, n=n)))


@jsoc.command("query", short_help="Show keywords and files of records.")
@_RECORD_SET
@click.option("--keywords", "-k", "keywords", multiple=True, metavar="NAMES",
              help="Keywords, separated by commas; '**ALL**' for all.  [default: the prime keys]")  # fmt: skip
@click.option("--segments", "-s", "segments", multiple=True, metavar="NAMES",
              help="Also the paths of these files; '**ALL**' for all.")  # fmt: skip
@click.option("--links", "links", multiple=True, metavar="NAMES", help="Also the records these links lead to.")
@_WHERE
@_LIMIT
@click.option("--names", is_flag=True, help="Also the name of each record.")
@format_option
@jsoc_options
@click.pass_obj
def _query(
    common: Common, record_set: str, keywords: tuple[str, ...], segments: tuple[str, ...], links: tuple[str, ...],
    where: str | None, n: int | None, names: bool, output: Output,
) -> None:  # fmt: skip
    """Show what is known of the records in RECORD_SET.

    \b
      aurora-async jsoc query 'hmi.v_45s[2013.07.03_08:42_TAI/3m]' -k T_OBS
      aurora-async jsoc query 'hmi.v_45s[2013.07.03_08:42_TAI/3m]' --json \\
        -k T_OBS,QUALITY -s Dopplergram

    Tables and CSV show values as the service writes them. In JSON numbers are numbers, what is missing is null, and
    times carry their zone.
    """
    from aurora_async.cli.jsoc_info import print_records

    asked = _record_set(record_set, where)
    print_records(common, asked, keywords, segments, links, n=n, names=names, output=output)


# Files ---------------------------------------------------------------------------------------------------------------


def _download_options(function: FunctionT) -> FunctionT:
    for option in (
        click.option("--events", type=EVENTS, metavar="FILE",
                     help="Append what happens to this file, as JSON Lines; - is stdout, instead of the paths."),
        click.option("--deadline", "deadline_s", type=Number(min=0, min_open=True), metavar="SECONDS",
                     help="Give up after this long; the export lives on at the service.  [default: never]"),
        click.option("--manifest", type=FILE, metavar="FILE",
                     help="Write what became of every file there: record, URL, path, digest or error (JSON)."),
        click.option("--tar", type=click.Choice(["both", "extract", "keep"]), default="both", show_default=True,
                     help="What to do with the tar file of method url-tar. extract: take the files out, and remove it. "
                          "keep: leave it as it is."),
        click.option("--exists", type=click.Choice(["check", "skip", "replace", "refuse", "unique"]), default="check",
                     show_default=True,
                     help="What to do about a file that is there. check: keep it if it has the length and the date of "
                          "the service's. skip: keep it without asking. unique: give the new one another name."),
        click.option("--names", type=click.Choice(["server", "record"]), default="server", show_default=True,
                     help="Call files as the service does, or by series, prime keys and segment."),
        click.option("--dir", "-d", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(),
                     metavar="DIR", help="Folder for the files; made if need be.  [default: this one]"),
    ):  # fmt: skip
        function = option(function)
    return function


class _Step(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3
    """A processing step and its arguments: `rebin:scale=0.25,method=boxcar`."""

    name = "step"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not isinstance(value, str):
            return value
        name, _, rest = value.partition(":")
        arguments: dict[str, Any] = {}
        for pair in filter(None, rest.split(",")):
            key, is_pair, text = pair.partition("=")
            if not is_pair or not key.strip():
                self.fail(f"{pair!r} is not NAME=VALUE; write {name}:name=value,name=value", param, ctx)
            arguments[key.strip()] = _plain(text.strip())
        return name.strip(), arguments


class _Pair(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3
    """`NAME=VALUE`."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not isinstance(value, str):
            return value
        key, is_pair, text = value.partition("=")
        if not is_pair or not key.strip():
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return key.strip(), _plain(text.strip())


def _plain(text: str) -> int | float | str:
    """Return the number that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@jsoc.command("export", short_help="Export files of records, and fetch them.")
@_RECORD_SET
@click.option("--method", type=click.Choice(["url_quick", "url", "url-tar"]), default="url_quick", show_default=True,
              help="url_quick: files on disk, at once. url: copies of them. url-tar: one tar file.")  # fmt: skip
@click.option("--protocol", type=click.Choice(["as-is", "fits", "jpg", "mpg", "mp4", "png"]), default="as-is",
              show_default=True,
              help="as-is: files as they are stored. fits: with the keywords in their headers. Others: images, "
                   "movies.")  # fmt: skip
@click.option("--protocol-arg", "protocol_args", type=_Pair(), multiple=True, metavar="NAME=VALUE",
              help="Of images and movies: ct, scaling, size, min, max; may be repeated.")  # fmt: skip
@click.option("--process", "steps", type=_Step(), multiple=True, metavar="STEP:ARGS",
              help="Process images: rebin:scale=0.25,method=boxcar; may be repeated, in order.")  # fmt: skip
@click.option("--filename-format", metavar="FORMAT",
              help="Names of files: '{seriesname}.{T_REC:A}.{segment}'.  [default: as in --names record]")  # fmt: skip
@_WHERE
@_LIMIT
@click.option("--size-ratio", type=Number(min=0, min_open=True), metavar="RATIO",
              help="Size of the result over that of what is stored: lets cut-outs of many images pass.")  # fmt: skip
@click.option("--requestor", metavar="NAME", help="Who asks.  [default: the name in the address]")
@click.option("--detach", is_flag=True, help="Do not wait: print the identifier, which download takes, and go.")
@_download_options
@jsoc_options
@click.pass_obj
def _export(
    common: Common, /, record_set: str, where: str | None, steps: tuple[tuple[str, dict[str, Any]], ...],
    protocol_args: tuple[tuple[str, Any], ...], detach: bool, folder: Path, names: Names, exists: Exists, tar: str,
    manifest: str | None, deadline_s: float | None, events: str | None, **fields: Any,
) -> None:  # fmt: skip
    """Export the files of RECORD_SET, wait until they are there, and fetch them into DIR.

    \b
      aurora-async jsoc export 'hmi.v_45s[2016.04.01_TAI/1d@6h]' -d files
      aurora-async jsoc export 'hmi.ic_720s[2017.01.08_TAI/1h]' -d files \\
        --protocol jpg --protocol-arg size=4

    The paths of the files are printed on stdout, progress and failures on stderr. Given again, the command fetches what
    is missing. Ctrl-C cancels the export if it is your only one there, as the service can cancel all or none; otherwise
    it goes on, and what is printed says how to fetch its files.
    """
    from aurora_async.cli.jsoc_export import Downloading, detached, export

    if len({name for name, _ in steps}) < len(steps):
        raise click.UsageError("--process has the same step twice")
    arguments = fields | {"process": dict(steps) or None, "protocol_args": dict(protocol_args) or None}
    asked = _record_set(record_set, where)
    if detach:
        click.echo(detached(common, asked, arguments))
        return
    how = Downloading(folder, names, exists, tar, manifest, deadline_s, events)
    export(common, asked, arguments, how)


@jsoc.command("status", short_help="Say where an export stands.")
@click.argument("export_id")
@format_option
@jsoc_options
@click.pass_obj
def _status(common: Common, export_id: str, output: Output) -> None:
    """Say where an export stands, by the identifier that the service gave it (JSOC_20240919_001)."""
    from aurora_async.cli.jsoc_export import print_status

    print_status(common, export_id, output)


@jsoc.command("download", short_help="Fetch the files of an export made before.")
@click.argument("export_id")
@_download_options
@jsoc_options
@click.pass_obj
def _download(
    common: Common, export_id: str, folder: Path, names: Names, exists: Exists, tar: str, manifest: str | None,
    deadline_s: float | None, events: str | None,
) -> None:  # fmt: skip
    """Fetch the files of an export made before, here or anywhere, waiting until they are there."""
    from aurora_async.cli.jsoc_export import Downloading, download

    download(common, export_id, Downloading(folder, names, exists, tar, manifest, deadline_s, events))


# You -----------------------------------------------------------------------------------------------------------------

_KNOWN_AS = {1: "mail sent", 2: "registered", 3: "pending", 4: "unknown", -2: "no address"}


@jsoc.command("email", short_help="See whether an address is registered; register one.")
@click.argument("address", required=False)
@click.option("--register", is_flag=True, help="Have it registered: the service sends a mail that must be replied to.")
@click.option("--name", help="Your name, for the registration.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the registration is complete.")
@click.option("--deadline", "deadline_s", type=Number(min=0, min_open=True), metavar="SECONDS",
              help="Wait no longer than this.  [default: until the service gives up]")  # fmt: skip
@format_option
@jsoc_options
@click.pass_obj
def _email(
    common: Common, address: str | None, register: bool, name: str | None, wait: bool, deadline_s: float | None,
    output: Output,
) -> None:  # fmt: skip
    """See whether exports can be made for ADDRESS, by default your own. The exit code is 0 if it is registered."""
    from aurora_async.cli.listing import print_fields

    who = address_of(common, address)

    async def work(client: Jsoc) -> AddressStatus:
        if not register:
            return await client.check_email(who)
        status = await client.register_email(who, name=name, wait=False)
        if wait and status.is_pending:
            note(common, f"{who} gets a mail, which must be replied to; Ctrl-C ends no more than the waiting for that")
            return await client.register_email(who, name=name, deadline_s=deadline_s)
        return status

    found = ask_jsoc(common, work)
    known_as = _KNOWN_AS.get(found.status, str(found.status))
    if output.is_table:
        if not common.quiet:
            print_fields({"address": found.address, "status": known_as, "message": found.message}.items())
    else:
        output.print_one({"address": found.address, "status": found.status, "registered": found.is_registered,
                          "message": found.message})  # fmt: skip
    if found.is_registered or (register and not wait):
        return
    again = common.command("jsoc", "email", who, "--register")
    hint = "reply to the mail that came" if found.is_pending else again
    raise Failed(f"{who} cannot export anything yet; to register it: {hint}")


@jsoc.command("pending", short_help="See, or give up, the exports that are under way.")
@click.argument("address", required=False)
@click.option("--cancel", is_flag=True, help="Give up on all of them, whichever program asked for them.")
@yes_option
@format_option
@jsoc_options
@click.pass_obj
def _pending(common: Common, address: str | None, cancel: bool, yes: bool, output: Output) -> None:
    """See which exports of ADDRESS, by default your own, are under way: the service takes only so many at a time."""
    who = address_of(common, address)
    if cancel:
        confirm(f"Give up on all pending exports of {who}?", yes=yes, otherwise="nothing was given up")
    found = ask_jsoc(common, lambda client: client.cancel_pending(who) if cancel else client.pending(who))
    if not output.is_table:
        output.print_one({"address": found.address, "pending": found.is_pending,
                          "request_ids": list(found.request_ids), "message": found.message})  # fmt: skip
        return
    if found.is_pending:
        click.echo("\n".join(found.request_ids) or found.message)
    note(common, found.message or f"{who} has no pending exports")
