"""The packet service: how it is asked for the packets of an instrument, some APIDs at a time.

It reads queries by itself, in a notation of its own (`?time>=…&time<…&project(packet)`), and bounds are half-open.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import anyio
import attrs

from aurora_async.errors import (
    AuroraError,
    ConnectionLost,
    IncompleteBody,
    InvalidInput,
    MalformedAnswer,
    ReadTimeout,
    Unauthorized,
    raise_bare,
)
from aurora_async.http import Body, Session, shown_url
from aurora_async.imap._ccsds import PacketWalk
from aurora_async.imap._pieces import Piece
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.vocabulary import APIDS
from aurora_async.times import TimeLike, TimeRange
from aurora_async.transfer.download import fill
from aurora_async.transfer.sink import Data, refuse_other_length

__all__ = ["SYSTEMS", "LoginRefused", "PacketService", "Window", "all_of"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "SID1": "flight telemetry after launch",
        "SID2": "flight telemetry before launch",
        "SID3": "simulators",
    }
)
"""Where packets come from."""

_MOST_APID = 2047
_DAY = timedelta(days=1)
_TIMES = "project(time)&formatTime(%22yyyy-MM-dd'T'HH:mm:ss%22)"
_PACKETS = "project(packet)"


class LoginRefused(Unauthorized):
    """401 of the packet service, which has logins of its own."""

    hint = (
        "give a login of the packet service (webpoda_token=, --webpoda-token or IMAP_WEBPODA_TOKEN): base64 of "
        "user:password"
    )


@attrs.frozen
class Window:
    """From `start` up to `end`, which is not included."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: TimeLike, end: TimeLike | None) -> Window:
        """Return what lies between two times as users give them: both included, to their last second."""
        both = TimeRange(start, start if end is None else end)
        return cls(both.start, both.end.replace(microsecond=0) + timedelta(seconds=1))

    @classmethod
    def of_day(cls, day: date, buffer: timedelta) -> Window:
        """Return a day, and so much more of the days before and after."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return cls(midnight - buffer, midnight + _DAY + buffer)

    def days(self) -> Iterator[date]:
        """Yield all days that something of it lies in."""
        day = self.start.date()
        while Window.of_day(day, timedelta()).start < self.end:
            yield day
            day += _DAY

    def query(self, column: str) -> str:
        """Return the condition, as it stands in an address."""
        start, end = (when.replace(tzinfo=None).isoformat(timespec="microseconds") for when in (self.start, self.end))
        return f"{column}%3E={start}&{column}%3C{end}"


async def all_of(calls: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Await all, together; the first error ends the others and is raised bare."""
    try:
        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(call)
    except BaseExceptionGroup as group:
        raise_bare(group)


@attrs.frozen(eq=False)
class PacketService:
    """Asks for the packets of one instrument. The login goes with each request, and to no other place."""

    session: Session
    config: ImapConfig
    instrument: str
    apids: tuple[int, ...]
    system: str
    slots: anyio.CapacityLimiter

    @classmethod
    def of(
        cls,
        session: Session,
        config: ImapConfig,
        instrument: str,
        *,
        apids: Iterable[int] | None = None,
        system: str,
        at_once: int,
    ) -> PacketService:
        """Make one of what a caller gave; nothing is sent.

        Raises:
            InvalidInput: Something of it cannot be right, or there is no login.
        """
        if instrument not in APIDS:
            why = " (data of other missions at L1)" if instrument == "l1const" else ""
            raise InvalidInput("instrument", f"{instrument!r}{why} has no packets; those that have: {', '.join(APIDS)}")
        if system not in SYSTEMS:
            raise InvalidInput("system", f"{system!r} is not one of {', '.join(SYSTEMS)}")
        if isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1:
            raise InvalidInput("at_once", f"{at_once!r} is not a positive whole number")
        asked = APIDS[instrument] if apids is None else tuple(apids)
        for apid in asked:
            if isinstance(apid, bool) or not isinstance(apid, int) or not 0 <= apid <= _MOST_APID:
                raise InvalidInput("apids", f"{apid!r} is not a whole number from 0 to {_MOST_APID}")
        if config.webpoda_token is None:
            raise InvalidInput("webpoda_token", f"is missing; {LoginRefused.hint}")
        return cls(session, config, instrument, asked, system, anyio.CapacityLimiter(at_once))

    def url(self, apid: int, ending: str, query: str) -> str:
        """Return an address, spelled as the service's own clients spell it."""
        return f"{self.config.packets_url.rstrip('/')}/{self.system}/apid_{apid}.{ending}?{query}"

    async def times(self, window: Window) -> list[list[datetime]]:
        """Return the spacecraft times of what was received on Earth in a window, by APID."""
        return await self._each("txt", f"{window.query('ert')}&{_TIMES}", lambda apid, body: _read_times(body))

    async def packets(self, window: Window) -> list[bytes]:
        """Return what was sent in a window, by APID, in memory."""
        return await self._each("bin", f"{window.query('time')}&{_PACKETS}", _read_packets)

    async def save(self, apid: int, window: Window, piece: Piece) -> None:
        """Write what was sent in a window into a file, whatever was in it before."""

        async def use(apid: int, body: Body) -> None:
            walk = PacketWalk(shown_url(body.url), apid)

            def checked(data: Data) -> tuple[Data]:
                walk.feed(data)
                return (data,)

            await piece.run(piece.start_over)
            received = await fill(body, piece, checked)
            refuse_other_length(received, body.length, shown_url(body.url), piece.target)
            walk.finish()

        await self._read(apid, "bin", f"{window.query('time')}&{_PACKETS}", use)

    async def _each(self, ending: str, query: str, use: Callable[[int, Body], Awaitable[T]]) -> list[T]:
        found: dict[int, T] = {}

        async def one(apid: int) -> None:
            found[apid] = await self._read(apid, ending, query, use)

        await all_of(partial(one, apid) for apid in self.apids)
        return [found[apid] for apid in self.apids]

    async def _read(self, apid: int, ending: str, query: str, use: Callable[[int, Body], Awaitable[T]]) -> T:
        """Ask for one APID, and all over again when its body is cut: the service has no ranges.

        What is no answer to the question is asked for once more: it may be of a proxy, and of that moment.
        """
        url = self.url(apid, ending, query)
        headers = {"Authorization": f"Basic {self.config.webpoda_token}"}
        waits = self.session.retry_policy.waits()
        tries_left = self.session.config.retries.attempts
        while True:
            tries_left -= 1
            async with self.slots:
                try:
                    async with self.session.open("GET", url, headers=headers) as body:
                        try:
                            _refuse_other_answer(body)
                            return await use(apid, body)
                        except (ConnectionLost, IncompleteBody, ReadTimeout) as error:
                            failed: AuroraError = error
                        except MalformedAnswer as error:
                            failed, tries_left = error, min(tries_left, 1)
                except Unauthorized as error:
                    raise error.become(LoginRefused) from error
            left_s = anyio.current_effective_deadline() - anyio.current_time()
            wait_s = self.session.retry_policy.wait_s(failed, next(waits), left_s) if tries_left > 0 else None
            if wait_s is None:
                raise failed
            logger.debug("%s; trying again in %.2f s", failed, wait_s)
            await anyio.sleep(wait_s)


async def _read_packets(apid: int, body: Body) -> bytes:
    walk = PacketWalk(shown_url(body.url), apid)
    chunks = []
    async for chunk in body.chunks():
        walk.feed(chunk)
        chunks.append(chunk)
    refuse_other_length(sum(map(len, chunks)), body.length, shown_url(body.url), None)
    walk.finish()
    return b"".join(chunks)


async def _read_times(body: Body) -> list[datetime]:
    times: list[datetime] = []
    async for number, line in _lines(body):
        try:
            when = datetime.fromisoformat(line.decode("ascii"))
        except ValueError:  # UnicodeDecodeError among them
            raise MalformedAnswer(shown_url(body.url), f"line {number}", f"{line[:80]!r} is not a time") from None
        times.append(when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC))
    return times


async def _lines(body: Body) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers, while they arrive."""
    received, number, rest = 0, 0, b""
    async for chunk in body.chunks():
        received += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield number, line.strip()
    refuse_other_length(received, body.length, shown_url(body.url), None)
    if rest.strip():
        yield number + 1, rest.strip()


def _refuse_other_answer(body: Body) -> None:
    """Raise where something else came than data: a page, of a login or a proxy, or a status without an answer."""
    if body.status != 200:
        raise MalformedAnswer(shown_url(body.url), "status", f"{body.status} came, and only 200 says what there is")
    kind = body.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise MalformedAnswer(shown_url(body.url), "Content-Type", f"a page came ({kind}) and no packets")
