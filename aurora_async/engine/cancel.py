"""Calling off requests on a service, by tasks of the client's own: whoever was cancelled need not survive it."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import anyio.abc

from aurora_async.engine.protocol import RequestId, Service
from aurora_async.engine.workers import Workers
from aurora_async.errors import AuroraError

__all__ = ["Canceller", "outlast"]

logger = logging.getLogger(__name__)

_AT_ONCE = 32
# A POST that we gave up on may still be on its way when its cancellation arrives.
_ASK_AGAIN_S = 1.0
_REMEMBERED = 10_000


class Canceller:
    """Cancels requests, a bounded number at once, each within `cancel_s` of its turn.

    One that is over is not cancelled again: the client that closes and the task that waited may both ask for it, in
    any order, and to AuroraX a second DELETE means the result.

    A service that answers none for as long is not waited for any further: the rest goes on there, and the log says how
    many. The task group is borrowed; its cancellation does not stop what has begun here.
    """

    def __init__(self, tasks: anyio.abc.TaskGroup, cancel_s: float) -> None:
        self._workers = Workers(tasks, self._cancel, "cancel requests", most=_AT_ONCE, outlives=True)
        self._cancel_s = cancel_s
        self._pending: dict[RequestId, anyio.Event] = {}
        self._cancelled: dict[tuple[str, RequestId], None] = {}
        self._given_up = 0
        self._answered_at = 0.0

    def start(self, service: Service[Any], request_id: RequestId, *, sure: bool = True) -> anyio.Event:
        """Begin to cancel a request; `sure` is False when the service may not have heard of it yet."""
        if request_id in self._pending:
            return self._pending[request_id]
        ended = anyio.Event()
        if (service.name, request_id) in self._cancelled:
            ended.set()
            return ended
        if not self._pending:
            self._answered_at = anyio.current_time()
        self._pending[request_id] = ended
        self._workers.put((service, request_id, sure))
        return ended

    async def _cancel(self, order: tuple[Service[Any], RequestId, bool]) -> None:
        service, request_id, sure = order
        try:
            with anyio.CancelScope(shield=True):
                if anyio.current_time() - self._answered_at <= self._cancel_s:
                    await self._try(service, request_id, sure)
                else:
                    self._given_up += 1
        finally:
            ended = self._pending.pop(request_id)
            if not self._pending and self._given_up:
                logger.warning("%d requests were not cancelled and go on on the service", self._given_up)
                self._given_up = 0
            ended.set()

    async def _try(self, service: Service[Any], request_id: RequestId, sure: bool) -> None:
        try:
            known = await self._ask(service, request_id)
            if not known and not sure:
                await anyio.sleep(_ASK_AGAIN_S)
                known = await self._ask(service, request_id)
            if known:
                self._cancelled[service.name, request_id] = None
                if len(self._cancelled) > _REMEMBERED:
                    del self._cancelled[next(iter(self._cancelled))]
            else:
                logger.info("request %s was not cancelled: the service does not know it", request_id)
        except TimeoutError:
            logger.warning("request %s: no answer to its cancellation within %g s", request_id, self._cancel_s)
        except AuroraError as error:
            logger.warning("request %s could not be cancelled and goes on on the service: %s", request_id, error)
        except Exception:
            logger.exception("request %s could not be cancelled", request_id)

    async def _ask(self, service: Service[Any], request_id: RequestId) -> bool:
        with anyio.fail_after(self._cancel_s):
            known = await service.cancel(request_id)
        self._answered_at = anyio.current_time()
        return known


async def outlast(event: anyio.Event) -> None:
    """Wait for clean-up while being cancelled. A second cancellation ends the wait, not the clean-up."""
    with anyio.CancelScope(shield=True):
        await event.wait()
