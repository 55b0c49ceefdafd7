"""`Client`, the object everything is asked through."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from aurora_async.compat.drms._errors import refusal, their_errors
from aurora_async.compat.drms._exports import ExportRequest, answer_of
from aurora_async.compat.drms._frames import frame, numbers
from aurora_async.compat.drms._series import SeriesInfo
from aurora_async.compat.drms.config import ServerConfig
from aurora_async.compat.drms.exceptions import DrmsExportError, DrmsOperationNotSupported, DrmsQueryError
from aurora_async.compat.drms.json import HttpJsonClient, split
from aurora_async.jsoc.processing import STEPS
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.recordset import RecordSetError

if TYPE_CHECKING:
    import pandas

__all__ = ["Client", "ExportRequest", "SeriesInfo", "__version__", "logger"]
__dir__ = __all__.copy

__version__ = "0.9.0"
"""The release of drms whose names these are."""

logger = logging.getLogger(__package__)

_ALWAYS_NUMBERS = ("*recnum*", "*sunum*", "*size*")
_SERIES = re.compile(r"\s*([\w.]+)")
_WHAT = {
    "series": "series list access",
    "info": "series info",
    "query": "DRMS queries",
    "email": "user emails",
    "export": "export requests",
}


class Client:
    """JSOC, or another DRMS server, by drms's names: `client = drms.Client(email="me@example.com")`.

    Args:
        server: The name of a registered server, in any case, or a `ServerConfig`.
        email: The address that exports are made for. It is checked at once, and refused with a ValueError.

    A connection is opened by the first question, kept, and closed at the end of the program or when the object is gone.
    It may be used by many threads.
    """

    def __init__(self, server: str | ServerConfig = "jsoc", *, email: str | None = None) -> None:
        """Make the object; nothing is sent unless there is an address to check."""
        self._json = HttpJsonClient(server)
        self._email: str | None = None
        if email is not None:
            self.email = email

    def __repr__(self) -> str:
        return f"<Client: {self._server.name}>"

    @property
    def _server(self) -> ServerConfig:
        return self._json.server

    @property
    def email(self) -> str | None:
        """The address that exports are made for. Setting it checks it."""
        return self._email

    @email.setter
    def email(self, value: str) -> None:
        if not self.check_email(value):
            raise ValueError("Email address is invalid or not registered")
        self._email = value

    # Series and records -----------------------------------------------------------------------------------------------

    def series(self, regex: str | None = None, *, full: bool = False) -> list[str] | pandas.DataFrame:
        """Return the names of series, or with `full` a table of them.

        Args:
            regex: Found anywhere in the name, in any case; after `NOT ` those that do not match. None lists all.
            full: Whether notes are wanted too, and prime keys where the server lists them.
        """
        self._need("series")
        if self._server.url_show_series_wrapper is not None:
            d = self._json.show_series_wrapper(regex, info=full)
            if d.get("errMsg"):
                raise DrmsQueryError(f"{d['errMsg']} [status={d.get('status', 1)}]")
            if not full:
                return list(d["seriesList"])
            listed = [pair for one in d["seriesList"] for pair in one.items()]
            return frame({"name": [name for name, _ in listed], "note": [told["description"] for _, told in listed]})
        d = self._answer(self._json.show_series(regex))
        if not full:
            return [one["name"] for one in d["names"]]
        return frame(
            {
                "name": [one["name"] for one in d["names"]],
                "primekeys": [split(one["primekeys"]) for one in d["names"]],
                "note": [one["note"] for one in d["names"]],
            }
        )

    def info(self, ds: str) -> SeriesInfo:
        """Return the structure of a series.

        Args:
            ds: A series, or a record set of one.
        """
        self._need("info")
        name = _series(ds).lower()
        return SeriesInfo(self._structure(name), name=name)

    def keys(self, ds: str) -> list[str]:
        """Return the names of the keywords of a series."""
        return list(self.info(ds).keywords.index)

    def pkeys(self, ds: str) -> list[str]:
        """Return the names of the primary keys of a series."""
        return [name for name in self.info(ds).primekeys or () if name is not None]

    def query(
        self,
        ds: str,
        *,
        key: str | Iterable[str] | None = None,
        seg: str | Iterable[str] | None = None,
        link: str | Iterable[str] | None = None,
        convert_numeric: bool = True,
        skip_conversion: Sequence[str] | None = None,
        pkeys: bool = False,
        rec_index: bool = False,
        n: int | None = None,
    ) -> Any:
        """Return what is known of the records of a record set: a table, or several, of keywords, segments, links.

        Args:
            ds: The records.
            key, seg, link: Names, in a list or a text with commas or blanks between; each given one gives a table.
            convert_numeric: Whether numeric keywords are numbers, NaN where there is none; all are texts otherwise.
            skip_conversion: Keywords that stay texts all the same.
            pkeys: Whether all primary keys come before `key`.
            rec_index: Whether the rows are called by the names of the records.
            n: At most so many, from the beginning or, if negative, from the end.
        """
        self._need("query")
        if pkeys:
            first = self.pkeys(ds)
            key = [*first, *(name for name in split(key or ()) if name not in first)]
        d = self._answer(self._json.rs_list(ds, key=key, seg=seg, link=link, recinfo=rec_index, n=n))
        index = [one["name"] for one in d.get("recinfo", ())] if rec_index else None
        tables = []
        if key is not None:
            columns = {one["name"]: one["values"] for one in d.get("keywords", ())}
            if convert_numeric:
                columns = self._with_numbers(ds, columns, skip_conversion or ())
            tables.append(frame(columns, index=index))
        for given, member in ((seg, "segments"), (link, "links")):
            if given is not None:
                tables.append(frame({one["name"]: one["values"] for one in d.get(member, ())}, index=index))
        return tables[0] if len(tables) == 1 else tuple(tables)

    def _with_numbers(
        self, ds: str, columns: Mapping[str, Sequence[Any]], skipped: Sequence[str]
    ) -> dict[str, Sequence[Any]]:
        if not columns:
            return {}
        types = {row["name"]: row["type"] for row in self._structure(_series(ds).lower())["keywords"]}
        found = dict(columns)
        for name, values in columns.items():
            kind = "longlong" if name in _ALWAYS_NUMBERS else types.get(name, "string")
            if name not in skipped and kind in ("short", "int", "longlong", "float", "double"):
                found[name] = numbers(values, whole=kind not in ("float", "double"))
        return found

    def _structure(self, series: str) -> Mapping[str, Any]:
        with their_errors():
            return self._json.jsoc.info(series).raw

    def _need(self, operation: str) -> None:
        if not self._server.check_supported(operation):
            raise DrmsOperationNotSupported(f"Server does not support {_WHAT[operation]}")

    @staticmethod
    def _answer(d: dict[str, Any]) -> dict[str, Any]:
        """Return an answer, or raise what the service has to say instead of one."""
        if (status := int(d.get("status", -1))) != 0:
            said = d.get("error") or d.get("errmsg") or "DRMS Query failed."
            raise DrmsQueryError(f"{said} [status={status}]")
        return d

    # Exports ----------------------------------------------------------------------------------------------------------

    def check_email(self, email: str) -> bool:
        """Whether an address is registered."""
        self._need("email")
        return int(self._json.check_address(email)["status"]) == 2

    def export(
        self,
        ds: str,
        *,
        method: str = "url_quick",
        protocol: str = "as-is",
        protocol_args: Mapping[str, Any] | None = None,
        filenamefmt: str | Literal[False] | None = None,
        n: int | None = None,
        email: str | None = None,
        requester: str | Literal[False] | None = None,
        process: Mapping[str, Mapping[str, Any]] | None = None,
        sizeratio: float | None = None,
    ) -> ExportRequest:
        """Ask for the files of records, and return the request; what the service refuses is a request that has failed.

        While the service takes no more requests of one user (status 7), this waits until it does.

        Args:
            ds: The records, of one series, with `{segments}` behind them.
            method: `url_quick` is answered at once where that can be, `url` makes a folder, `url-tar` an archive.
            protocol: `as-is`, `fits`, or images and movies: `jpg`, `mpg`, `mp4`.
            protocol_args: For images: `ct` (color table), `scaling`, `size` (divides), `min`, `max`.
            filenamefmt: Names of files on the server; None tells them apart by primary keys, False leaves them to it.
            n: At most so many records, from the beginning or, if negative, from the end.
            email: A registered address; by default the client's.
            requester: A name; by default what stands before the @, False sends none.
            process: Steps that images go through, and their arguments: `{"im_patch": {"x": 10, …}}`.
            sizeratio: How large the files will be, compared with those stored: below 1 for cut-outs, which then pass
                the service's limit. (The original has no such argument.)
        """
        self._need("export")
        email = self._email if email is None else email
        if email is None:
            raise ValueError("The email argument is required, when no default email address was set.")
        for step in process or ():
            if step not in STEPS:
                raise ValueError(f"{step} is not one of the allowed processing options: {list(STEPS)}")
        try:
            query = ExportQuery(
                ds,
                method=method,
                protocol=protocol,
                protocol_args=protocol_args,
                filename_format="" if filenamefmt is False else filenamefmt,
                n=n,
                email=email,
                requestor="" if requester is False else requester,
                process=process,
                size_ratio=sizeratio,
            )
            with their_errors():
                export = self._json.jsoc.export(query)
        except (DrmsExportError, DrmsQueryError, RecordSetError) as error:
            # To the service's users, a refusal is an export that has failed.
            return ExportRequest(refusal(error), self)
        export.detach()
        d = {
            "status": 2,
            "requestid": export.request_id,
            "method": "url" if query.method == "url_quick" else query.method,
            "protocol": str(query.protocol),
        }
        return ExportRequest(d if export.status is None else answer_of(export.status), self, export=export)

    def export_from_id(self, requestid: str) -> ExportRequest:
        """Return an export that was asked for before, here or anywhere."""
        self._need("export")
        return ExportRequest(self._json.exp_status(requestid), self)


def _series(ds: str) -> str:
    found = _SERIES.match(ds)
    if found is None:
        raise ValueError(f"{ds!r} does not begin with the name of a series")
    return found[1]
