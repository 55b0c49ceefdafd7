"""What the engine asks of a service, and the words both use about a request."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

import attrs

__all__ = ["Labelled", "LogEntry", "Named", "Output", "Phase", "RequestId", "RequestStatus", "Service"]

RequestId = str

QueryT_contra = TypeVar("QueryT_contra", contravariant=True)


class Phase(enum.Enum):
    """Where a request stands."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """True when waiting longer changes nothing."""
        return self is not _QUEUED and self is not _RUNNING


# Looking up a member by its class takes longer than all else about it, and each look asks several times.
_QUEUED, _RUNNING = Phase.QUEUED, Phase.RUNNING


@attrs.frozen
class LogEntry:
    """One line of a request's log on the server; `level` is debug, info, warn or error."""

    level: str
    summary: str
    timestamp: datetime | None = None


@attrs.frozen(kw_only=True)
class RequestStatus:
    """What the service last said about a request."""

    request_id: RequestId
    phase: Phase
    reason: str = ""
    """Why it failed, was cancelled or expired, in the service's words."""
    records: int | None = None
    """How many records the result has, once known."""
    result_bytes: int | None = None
    """Size of the stored result in bytes, once known; what is transferred may differ."""
    requested: datetime | None = None
    completed: datetime | None = None
    wait_hint_s: float | None = None
    """Seconds after which the service asks to be asked again."""
    logs: tuple[LogEntry, ...] = ()
    raw: bytes = attrs.field(default=b"", repr=False)
    """The whole status as the service sent it (JSON)."""

    @property
    def duration_s(self) -> float | None:
        """Seconds from arrival to completion by the service's own clock."""
        if self.requested is None or self.completed is None:
            return None
        return (self.completed - self.requested).total_seconds()


@attrs.frozen(kw_only=True)
class Output:
    """One body that a finished request offers, and how to fetch it."""

    name: str
    target: str
    method: str = "GET"
    body: bytes | None = None
    records: int | None = None
    """How many records it must hold, where the service said so."""
    size_bytes: int | None = None
    """About how large it is, where the service said so."""
    attempts: int | None = None
    """Most tries to fetch it; None: as configured."""
    about: Mapping[str, str] = attrs.field(factory=dict)
    """What a file of it may say of itself, such as the query."""


class Named(Protocol):
    """What has a short name for logs and progress (`conjunctions`)."""

    @property
    def name(self) -> str:
        """The name."""


@runtime_checkable
class Labelled(Protocol):
    """A service some of whose identifiers are not what people read."""

    def label(self, request_id: RequestId) -> str:
        """Return what people know the request by; "" where that is its identifier."""


class Service(Named, Protocol[QueryT_contra]):
    """A kind of request at one service, as the engine sees it. Errors are those of `aurora_async.errors`."""

    def new_request_id(self) -> RequestId | None:
        """Choose an identifier before anything is sent; None where the service chooses."""

    def likeness(self, query: QueryT_contra) -> Hashable:
        """Queries with equal likeness are expected to take similarly long."""

    async def submit(
        self, query: QueryT_contra, request_id: RequestId | None, *, sending: Callable[[], None]
    ) -> RequestId:
        """Submit, without repeating what may have been accepted, and return the identifier the service uses.

        `sending` is called before the first byte leaves: from then on the service may have the request.
        """

    async def refresh(self, request_id: RequestId) -> RequestStatus:
        """Ask for the status once."""

    async def cancel(self, request_id: RequestId) -> bool:
        """Ask the service to give up on the request; False when it does not know it. One that is over is no error."""

    def outputs(self, status: RequestStatus) -> Sequence[Output]:
        """Name the bodies of a finished request."""
