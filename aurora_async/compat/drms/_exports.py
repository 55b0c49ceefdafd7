"""An export as drms shows it: what the service last said, the files, and their way to a folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING, Any

from aurora_async.compat.drms._errors import their_errors
from aurora_async.compat.drms._frames import frame
from aurora_async.compat.drms.exceptions import DrmsExportError
from aurora_async.engine import RequestStatus
from aurora_async.engine.places import digest_file
from aurora_async.errors import DeadlineExceeded, RequestError
from aurora_async.jsoc.downloads import DownloadedFile, url_of
from aurora_async.jsoc.errors import NoSuchExport
from aurora_async.jsoc.wire import readable

if TYPE_CHECKING:
    import pandas

    from aurora_async.compat.drms.client import Client
    from aurora_async.sync import Export

__all__ = ["ExportRequest", "answer_of"]

logger = logging.getLogger(__name__)

_DONE = 0
_UNDER_WAY = (1, 2, 6, 12)  # 6: not registered yet; 12: queued as a test
_BETWEEN_LOOKS_S = 1.0
_MOVIE = "movie of the following data"


class ExportRequest:
    """An export; made by `Client.export` and `Client.export_from_id`.

    Its attributes are what the service last said. Those that only a finished export has wait for it first, and raise
    `DrmsExportError` if it failed.
    """

    def __init__(self, d: Mapping[str, Any], client: Client, *, export: Export | None = None) -> None:
        """Read the service's answer `d`; `export` is the export itself, where it is in hand."""
        self._client = client
        self._export = export
        self._id: str | None = None
        self._read(d)

    def __repr__(self) -> str:
        return f"<ExportRequest: id={self._id}, status={self._status}>"

    @property
    def id(self) -> str | None:
        """By which `export_from_id` finds it again; None for one that was answered at once."""
        return self._id

    @property
    def status(self) -> int:
        """The service's number for it: 0 is finished, 1, 2, 6 and 12 are under way, others failed.

        While it is under way, reading this asks the service, once a second at most.
        """
        if self._status in _UNDER_WAY and time.monotonic() - self._read_at >= _BETWEEN_LOOKS_S:
            self._look()
        return self._status

    @property
    def method(self) -> str | None:
        """`url_quick`, `url` or `url-tar`."""
        return self._d.get("method")

    @property
    def protocol(self) -> str | None:
        """The form of the files, with its options."""
        return self._d.get("protocol")

    @property
    def dir(self) -> str | None:
        """The path of the export's folder; None for one that was answered at once."""
        return self._finished().get("dir") or None

    @property
    def tarfile(self) -> str | None:
        """The path of the archive, of method `url-tar`."""
        return self._finished().get("tarfile") or None

    @property
    def keywords(self) -> str | None:
        """The path of a list of the records' keywords, where there is one."""
        return self._finished().get("keywords") or None

    @property
    def request_url(self) -> str | None:
        """The address of the export's folder; None for one that was answered at once."""
        return None if self.dir is None else self._url(self.dir)

    @property
    def data(self) -> pandas.DataFrame:
        """What was exported: `record` and `filename`."""
        rows: Sequence[Mapping[str, Any]] = self._finished().get("data") or ()
        return frame({name: [row[name] for row in rows] for name in ("record", "filename")})

    @property
    def urls(self) -> pandas.DataFrame:
        """Where the files are: `record`, `filename`, `url`; the rows of records without a file are left out."""
        if not (self._finished().get("method") or "").startswith("url"):
            raise RuntimeError(f"Download is not supported for export method {self.method}")
        if self.tarfile is not None:
            return frame({"record": [None], "filename": [basename(self.tarfile)], "url": [self._url(self.tarfile)]})
        data, folder = self.data, self.dir
        data = data[~data.filename.isin(("NoDataFile", ""))]
        paths = [name if folder is None else f"{folder}/{name}" for name in data.filename]
        names = [basename(name) if folder is None else name for name in data.filename]
        records = [None if record == _MOVIE else record for record in data.record]
        return frame({"record": records, "filename": names, "url": list(map(self._url, paths))}, index=data.index)

    def has_finished(self, *, skip_update: bool = False) -> bool:
        """Whether it is over, one way or the other; with `skip_update`, as far as is known."""
        return (self._status if skip_update else self.status) not in _UNDER_WAY

    def has_succeeded(self, *, skip_update: bool = False) -> bool:
        """Whether its files are there."""
        return (self._status if skip_update else self.status) == _DONE

    def has_failed(self, *, skip_update: bool = False) -> bool:
        """Whether the service has given up on it."""
        return self.has_finished(skip_update=skip_update) and not self.has_succeeded(skip_update=True)

    def wait(self, *, timeout: float | None = None, sleep: float | None = 5, retries_notfound: int = 5) -> bool:
        """Wait until it is over: True when its files are there, False when they are not yet after `timeout` seconds.

        How often the service is asked depends on what it says about the time it takes; `sleep` and `retries_notfound`
        are accepted, and change nothing.
        """
        if self._status in _UNDER_WAY and not self._is_over(timeout):
            return False
        self._raise_if_failed()
        return True

    def download(
        self,
        directory: str | Path,
        *,
        index: int | Sequence[int] | None = None,
        fname_from_rec: bool | None = None,
        timeout: float = 60,
    ) -> pandas.DataFrame:
        """Wait, then bring the files into a folder, each whole or not there; a transfer that is cut is continued.

        Args:
            directory: Exists.
            index: Which rows of `urls`, by position; None for all.
            fname_from_rec: Whether files are named by series, primary keys and segment, as those of method `url_quick`
                always are; otherwise as the server calls them.
            timeout: Accepted, and changes nothing: the silence of a server is judged as in all its other answers.

        Returns:
            `record`, `url` and `download`, the path; None where a file did not come, with a warning in the log. What
            is in the folder is never overwritten: another file of the same name gets `.1` behind its own.
        """
        folder = Path(directory).absolute()
        if not folder.is_dir():
            raise OSError(f"Download directory {directory} does not exist")
        urls = self.urls
        if index is not None and self.tarfile is None:
            urls = urls.iloc[list(index) if isinstance(index, Iterable) else [index]]
        wanted = None if self.tarfile is not None else [int(row) for row in urls.index]
        before = {path.name for path in folder.iterdir()}
        with their_errors():
            got = self._in_hand.download(
                folder, names="record" if fname_from_rec else "server", exists="unique", extract=False, index=wanted
            )
        paths = {row: _path(file, before) for row, file in zip(dict.fromkeys(urls.index), got.files, strict=True)}
        return frame({"record": urls.record, "url": urls.url, "download": [paths[row] for row in urls.index]})

    def _finished(self) -> Mapping[str, Any]:
        self.wait()
        return self._d

    def _is_over(self, timeout: float | None) -> bool:
        """Wait for the end, whichever it is."""
        if timeout is not None and timeout <= 0:
            self._look()
            return self._status not in _UNDER_WAY
        with their_errors():
            try:
                self._in_hand.wait(deadline_s=timeout)
            except DeadlineExceeded:
                return False
            except NoSuchExport as error:
                self._read({"status": 4, "error": error.reason})
                return True
            except RequestError:
                pass  # in the service's words, below
            seen = self._in_hand.status
        assert seen is not None
        self._read(answer_of(seen))
        return True

    @property
    def _in_hand(self) -> Export:
        if self._export is None:
            if self._id is None:
                raise DrmsExportError(f"This export has no id to ask for. [status={self._status}]")
            self._export = self._client._json.jsoc.resume(self._id)
        return self._export

    def _look(self) -> None:
        if self._id is not None:
            self._read(self._client._json.exp_status(self._id))

    def _read(self, d: Mapping[str, Any]) -> None:
        self._d = d
        self._read_at = time.monotonic()
        # What refuses an export, and what cannot find one, names none.
        self._id = d.get("requestid") or d.get("reqid") or self._id
        self._status = int(d["status"])

    def _raise_if_failed(self) -> None:
        if self._status != _DONE:
            said = self._d.get("error") or "DRMS export request failed."
            raise DrmsExportError(f"{said} [status={self._status}]")

    def _url(self, path: str) -> str:
        return url_of(path, (self._client._server.http_download_baseurl or "").rstrip("/"))


def answer_of(status: RequestStatus) -> dict[str, Any]:
    """Return what the service said."""
    said: dict[str, Any] = json.loads(readable(status.raw))
    return said


def _path(file: DownloadedFile, before: Container[str]) -> str | None:
    """Return where a file is; a second copy of what was there `before` is not kept."""
    if file.path is None:
        logger.warning("%s did not come: %s", file.url, file.error)
        return None
    stem, _, number = file.path.name.rpartition(".")
    older = file.path.with_name(stem)
    if number.isdecimal() and stem in before and digest_file(older) == file.sha256:
        file.path.unlink()
        return str(older)
    return str(file.path)
