"""Exports on their way: accepted, pending, then finished, failed, given up or gone; across restarts as well.

An export is worked on at once, in a thread, and is over when that is done and its time has passed. Everything that is
decided about a request is decided in the event loop without a pause, so that limits hold and no id is given twice.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from aurora_async.server.jsoc.catalog import Catalog
from aurora_async.server.jsoc.index import NO_FILE
from aurora_async.server.jsoc.ledger import Entry, Ledger
from aurora_async.server.jsoc.making import ExportFailed, ExportFile, GivenUp, Making, listed_name
from aurora_async.server.jsoc.orders import Opened, Order, Refused, open_records
from aurora_async.server.jsoc.settings import JsocSettings
from aurora_async.server.site import Fate
from aurora_async.server.store import Store

__all__ = ["CheckAddress", "Exports"]

logger = logging.getLogger(__name__)

CheckAddress = Callable[[str], str | None]
"""Returns what is wrong with an address, None when it is registered."""

_HELP = "jsoc_help@jsoc.stanford.edu"
_EXPIRED = "Request was completed but is now deleted, 7 day limit exceeded"
_FORGOTTEN_US = 3_600_000_000
"""Pending exports that are older than this do not count against limits."""
_FIRST_UNIT = 7_000_000_000
"""Storage units from here on are directories of exports."""
_NEVER_S = 999_999
_NO_IDEA_S = 10


class Exports:
    """The exports of a JSOC.

    Args:
        store: Where they are kept (borrowed).
        catalog: Whose records are exported.
        folder: Where their lists go.
        settings: Limits and times.
        check_address: Tells who may export.
    """

    def __init__(
        self, store: Store, catalog: Catalog, folder: Path, settings: JsocSettings, check_address: CheckAddress
    ) -> None:
        self.ledger = Ledger(store)
        self._catalog = catalog
        self._folder = folder
        self._settings = settings
        self._check_address = check_address
        self._pending: dict[str, _Running] = {}
        self._last_number = self.ledger.last_number()
        self._last_id: tuple[str, int] = ("", 0)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="jsoc")

    def resume(self) -> None:
        """Go on with what a former service has left unfinished, and remove what has had its time."""
        for entry in self.ledger.pending():
            self._start(entry, None)
        for entry in self.ledger.expired(_now_us()):
            self._remove_files(entry)

    async def close(self) -> None:
        """Stop working; what is unfinished stays so."""
        running, self._pending = list(self._pending.values()), {}
        for one in running:
            one.stop()
        await asyncio.gather(*(one.task for one in running if one.task is not None), return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)

    # Asking for them ------------------------------------------------------------------------------------------------

    async def submit(self, order: Order, ip_address: str, fate: Fate) -> dict[str, Any]:
        """Accept an export, or answer it at once; return the answer.

        Raises:
            Refused: It is not accepted.
        """
        if message := self._check_address(order.address):
            raise Refused(4, f"Cannot process your request. {message}")
        self._check_room(order.address, ip_address)
        opened = await asyncio.to_thread(open_records, order, self._catalog, self._settings)
        has_fate = fate != Fate()
        if not order.is_quick and not order.is_test and not has_fate and (known := self._like(opened.fingerprint)):
            return _accepted(known)
        if opened.refusal is not None:
            raise opened.refusal
        if order.is_quick:
            return await asyncio.to_thread(_quick_answer, order, opened)
        self._check_room(order.address, ip_address)  # others have come meanwhile
        entry = self._new_entry(order, opened, ip_address, fate)
        if entry.is_pending:
            self._pending[entry.request_id] = _Running(entry)
        try:
            await self.ledger.add(entry)
        except BaseException:
            self._pending.pop(entry.request_id, None)
            raise
        if entry.is_pending:
            self._start(entry, opened)
        return _accepted(entry)

    def _check_room(self, address: str, ip_address: str) -> None:
        settings, since_us = self._settings, _now_us() - _FORGOTTEN_US
        counted = [one.entry for one in self._pending.values() if one.entry.requested_us > since_us]
        theirs = [entry.request_id for entry in counted if entry.address.lower() == address.lower()]
        if settings.max_pending is not None and len(theirs) >= settings.max_pending:
            text = (
                f"User {address} has {len(theirs)} pending export requests ({', '.join(theirs)}); please wait until at"
                " least one request has completed before submitting a new one."
            )
            raise Refused(7, text)
        from_there = sum(entry.ip_address == ip_address for entry in counted)
        if settings.max_pending_per_ip is not None and from_there >= settings.max_pending_per_ip:
            text = (
                f"There are too many requests from {ip_address}; please wait until at least one request has completed"
                " before submitting a new one."
            )
            raise Refused(7, text)

    def _like(self, fingerprint: str) -> Entry | None:
        if not self._settings.duplicates_s:
            return None
        for one in self._pending.values():
            if one.entry.fingerprint == fingerprint:
                return one.entry
        now_us = _now_us()
        return self.ledger.like(fingerprint, now_us - round(self._settings.duplicates_s * 1e6), now_us)

    def _new_entry(self, order: Order, opened: Opened, ip_address: str, fate: Fate) -> Entry:
        now_us = _now_us()
        due_us = None if fate.never_ends or order.is_test else now_us + round(self._settings.export_s * 1e6)
        self._last_number += 1
        return Entry(
            number=self._last_number,
            request_id=self._new_id(),
            address=order.address,
            ip_address=ip_address,
            order=order,
            fingerprint=opened.fingerprint if fate == Fate() and not order.is_test else None,
            requested_us=now_us,
            due_us=due_us,
            status=12 if order.is_test else 2,
            records=len(opened.records),
            megabytes=opened.megabytes,
            fate=fate.fails_with,
            expires=fate.expires,
            count_off=fate.count_off,
        )

    def _new_id(self) -> str:
        prefix = f"JSOC_{datetime.now(UTC):%Y%m%d}_"
        if self._last_id[0] != prefix:
            known = self.ledger.last_id(prefix)
            self._last_id = prefix, int(known.removeprefix(prefix)) if known else 0
        self._last_id = prefix, self._last_id[1] + 1
        return f"{prefix}{self._last_id[1]:03d}"

    # Asking about them ----------------------------------------------------------------------------------------------

    async def status(self, request_id: str) -> bytes | dict[str, Any] | None:
        """Return the answer about an export: a document, or the finished one's list as it is; None of an unknown id."""
        running = self._pending.get(request_id)
        entry = running.entry if running else self.ledger.by_id(request_id)
        if entry is None:
            return None
        if entry.status == 0:
            if self.is_expired(entry):
                return _document(entry, 5, _NEVER_S, error=_EXPIRED)
            return await asyncio.to_thread((self.folder_of(entry) / "index.json").read_bytes)
        if entry.status in (2, 12):
            return _document(entry, 1 if entry.is_pending else entry.status, _wait_s(entry))
        return _document(entry, entry.status, _NEVER_S, error=entry.error or "", contact=_HELP)

    def is_expired(self, entry: Entry) -> bool:
        """Tell whether a finished export's files have had their time; removes them if they have just had it."""
        if entry.expires_us is None or entry.expires_us > _now_us():
            return False
        if self.folder_of(entry).exists():
            self._remove_files(entry)
        return True

    def pending_of(self, address: str) -> list[str]:
        """Return the ids of an address's pending exports, oldest first."""
        return [id for id, one in self._pending.items() if one.entry.address.lower() == address.lower()]

    async def give_up(self, address: str) -> list[str]:
        """Give all pending exports of an address up; return their ids."""
        ids = self.pending_of(address)
        for request_id in ids:
            running = self._pending.pop(request_id)
            running.stop()
            error = "The request was cancelled by its user."
            await self.ledger.end(attrs.evolve(running.entry, status=-1, error=error))
        return ids

    # Their files ----------------------------------------------------------------------------------------------------

    def folder_of(self, entry: Entry) -> Path:
        """Return where an export's lists are here."""
        return self._folder / entry.request_id

    def in_unit(self, sunum: int) -> Entry | None:
        """Return the finished export whose directory a storage unit is."""
        entry = self.ledger.by_number(sunum - _FIRST_UNIT) if sunum > _FIRST_UNIT else None
        return entry if entry is not None and entry.status == 0 and not self.is_expired(entry) else None

    def _remove_files(self, entry: Entry) -> None:
        shutil.rmtree(self.folder_of(entry), ignore_errors=True)
        self.ledger.forget_files(entry.number)

    # Working on them ------------------------------------------------------------------------------------------------

    def _start(self, entry: Entry, opened: Opened | None) -> None:
        running = self._pending.setdefault(entry.request_id, _Running(entry))
        if entry.due_us is not None and entry.is_pending:
            running.task = asyncio.create_task(self._carry_out(running, opened), name=entry.request_id)

    async def _carry_out(self, running: _Running, opened: Opened | None) -> None:
        entry = running.entry
        files: list[ExportFile] = []
        try:
            if entry.fate is not None:
                raise ExportFailed(entry.fate)
            loop = asyncio.get_running_loop()
            files = await loop.run_in_executor(self._threads, self._make, running, opened)
            status, error = 0, None
        except (ExportFailed, Refused) as failure:
            status, error = 4, failure.args[-1]
        except GivenUp:
            return
        except Exception:
            logger.exception("export %s failed", entry.request_id)
            status, error = 4, "an error inside the local service; its log has the details"
        assert entry.due_us is not None
        await asyncio.sleep(max(0, entry.due_us - _now_us()) / 1e6)
        if running.stopped.is_set():
            return
        life_us = 0 if entry.expires else round(self._settings.export_life_s * 1e6)
        expires_us = _now_us() + life_us if status == 0 else None
        await self.ledger.end(attrs.evolve(entry, status=status, error=error, expires_us=expires_us), files)
        # Only now: whoever hears that it is over may ask for its files, which the database knows.
        self._pending.pop(entry.request_id, None)

    def _make(self, running: _Running, opened: Opened | None) -> list[ExportFile]:
        entry = running.entry
        if opened is None:
            opened = open_records(entry.order, self._catalog, self._settings)
        files = Making(
            request_id=entry.request_id,
            order=entry.order,
            opened=opened,
            directory=directory_of(entry),
            folder=self.folder_of(entry),
            count_off=entry.count_off,
            is_wanted=lambda: not running.stopped.is_set(),
        ).make()
        if running.stopped.is_set():
            shutil.rmtree(self.folder_of(entry), ignore_errors=True)
            raise GivenUp
        return files


class _Running:
    """An export that is pending, and the task that works on it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.stopped = threading.Event()
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Have it end soon, and keep nothing."""
        self.stopped.set()
        if self.task is not None:
            self.task.cancel()


def directory_of(entry: Entry) -> str:
    """Return an export's directory, as the service's clients know it."""
    return f"/SUM{entry.number % 90 + 10}/D{_FIRST_UNIT + entry.number}/S00000"


def _now_us() -> int:
    return time.time_ns() // 1000


def _wait_s(entry: Entry) -> int:
    return _NO_IDEA_S if entry.due_us is None else max(0, round((entry.due_us - _now_us()) / 1e6))


def _accepted(entry: Entry) -> dict[str, Any]:
    return {
        "status": 12 if entry.status == 12 else 2,
        "requestid": entry.request_id,
        "method": entry.order.method,
        "protocol": entry.order.protocol,
        "wait": _wait_s(entry),
        "rcount": entry.records,
        "size": entry.megabytes,
    }


def _document(entry: Entry, status: int, wait_s: int, **more: str) -> dict[str, Any]:
    return {
        "status": status,
        "requestid": entry.request_id,
        "method": entry.order.method,
        "protocol": entry.order.protocol,
        "wait": wait_s,
        "rcount": 0,
        "size": entry.megabytes,
        **more,
    }


def _quick_answer(order: Order, opened: Opened) -> dict[str, Any]:
    rows = [
        {
            "record": listed_name(order, record, segment),
            "filename": NO_FILE if stored is None else record.segment_path(segment),
        }
        for record, segment, stored in opened.files(order)
    ]
    return {
        "rcount": len(opened.records),
        "count": len(rows),
        "size": opened.megabytes,
        "dir": "",
        "data": rows,
        "requestid": "",
        "method": order.method,
        "protocol": order.protocol,
        "wait": 0,
        "status": 0,
    }
