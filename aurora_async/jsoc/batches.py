"""Exports in batches: what an export becomes in a journal, and how its files become one entry of it.

The files of an export lie in a folder of their own. What the journal calls its file is the list of them, written when
all are there: with lengths and digests, so that `verify` reads all of them again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs

from aurora_async.engine import Batch, Engine, RequestId
from aurora_async.engine.batch import Collecting, Order
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.journal import Entry, Planned
from aurora_async.engine.places import check_name
from aurora_async.errors import InvalidInput
from aurora_async.http import shown_url
from aurora_async.jsoc.downloads import DownloadOptions, Names
from aurora_async.jsoc.exports import Export, Exports
from aurora_async.jsoc.queries import ExportQuery
from aurora_async.jsoc.service import ExportService
from aurora_async.transfer import Saved
from aurora_async.transfer.sink import save

__all__ = ["ExportDesk", "export_batch"]

_KIND = "export"
_LIST = ".json"


class ExportDesk:
    """What a batch needs of JSOC. Engine and exports are the client's."""

    def __init__(self, engine: Engine, exports: Exports, folder: Path, options: DownloadOptions) -> None:
        self.engine = engine
        self._exports = exports
        self._folder = folder
        self._options = options

    def read(self, kind: str, document: Mapping[str, Any]) -> ExportQuery:
        """Return the export that a document asks."""
        return ExportQuery.from_document(document)

    def service(self, kind: str) -> ExportService:
        """Return the kind of request."""
        return self._exports.service

    def request(self, kind: str, request_id: RequestId, query: ExportQuery, *, is_new: bool) -> Export:
        """Return a handle of an export; `is_new` when it was submitted just now."""
        return self._exports.handle(request_id, query, attached=is_new)

    async def cut(self, query: Planned) -> Planned:
        """Return the export as it is: the service takes it whole, or says that it is too large."""
        return query

    def asked_format(self, entry: Entry) -> None:
        """Return no response format: the form of the files is part of the query."""

    async def collect(self, order: Order) -> Saved:
        """Fetch the files, and write the list of them. What is here already, from an earlier try, is kept."""
        query = self.read(order.kind, order.query)
        export = self.request(order.kind, order.request_id, query, is_new=False)
        export.detach()
        if order.status is not None:
            export.knows(order.status)
        folder = order.path.removesuffix(_LIST)
        download = await export.fetch(self._folder / folder, self._options, Deadline(None))
        for file in download.failed:
            assert file.error is not None
            raise file.error
        told = download.manifest() | {"folder": folder, "query": dict(order.query)}
        for file in told["files"]:
            if file["path"] is not None:
                file["path"] = f"{folder}/{file['path']}"
        text = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
        saved = await save(_once(text.encode()), Path(order.target), sha256=True)
        return attrs.evolve(saved, records=len(download.paths))

    def remote(self) -> Collecting:
        """Refuse: a cluster would ask a service for many files at once that wants to be asked for one."""
        raise InvalidInput("cluster", "does not help with exports: files come one at a time")

    async def merge(self, order: Order, windows: Sequence[Entry], parts: Sequence[Path]) -> NoReturn:
        """Refuse: no export is cut into windows."""
        raise InvalidInput("window", "exports are not cut")

    async def append(self, entry: Entry, windows: Sequence[Entry], file: Path, dataset: Path) -> NoReturn:
        """Refuse: files are no records."""
        raise InvalidInput("dataset", "files are not records of a table")


def export_batch(
    engine: Engine,
    exports: Exports,
    folder: Path | str,
    queries: Iterable[ExportQuery] | Mapping[str, ExportQuery],
    *,
    names: Names = "server",
) -> Batch:
    """Return a batch of exports.

    Args:
        engine: The client's.
        exports: The client's.
        folder: Holds the journal, for each export a folder of files and a list of them, and what is told of all.
        queries: Exports; with names that their folders get, or without.
        names: What files are called, see `DownloadOptions`.
    """
    facts = {
        "service": shown_url(exports.service.server.base_url),
        "format": "json",
        "lists_files": True,
        "file_names": names,
    }
    desk = ExportDesk(engine, exports, Path(folder), DownloadOptions(names=names))
    return Batch(folder, desk, _planned(queries), facts=facts)


def _planned(queries: Iterable[ExportQuery] | Mapping[str, ExportQuery]) -> Iterator[Planned]:
    named: Iterable[tuple[str | None, ExportQuery]]
    named = queries.items() if isinstance(queries, Mapping) else ((None, query) for query in queries)
    for number, (name, query) in enumerate(named):
        if not isinstance(query, ExportQuery):
            raise InvalidInput(f"queries[{number}]", f"{query!r} is not an ExportQuery")
        document = query.document()
        key = hashlib.sha256(json.dumps([_KIND, document], sort_keys=True).encode()).hexdigest()
        folder = f"{query.series.lower()}_{key[:8]}" if name is None else name
        if "/" in folder or "\\" in folder or folder.lower().endswith(_LIST):
            raise InvalidInput("name", f"{folder!r} cannot be the folder of an export: no / or {_LIST} in it, please")
        yield Planned(key=key, kind=_KIND, query=document, path=check_name(folder + _LIST))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
