"""How the service's CGIs are asked: a form in the address, or in the body where the address would become too long."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import anyio
import attrs

from aurora_async.errors import ConnectionLost, IncompleteBody, ReadTimeout
from aurora_async.http import Answer, Body, Session

__all__ = ["LONGEST_URL", "Asking", "ask", "read"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_URL = 2000
"""Characters; servers and proxies refuse longer ones, each from a length of its own."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@attrs.frozen
class Asking:
    """A question to a CGI, in the form it is sent in."""

    method: str
    url: str
    body: bytes | None = None

    @classmethod
    def of(cls, url: str, params: Mapping[str, str]) -> Asking:
        """Return the question for `params`; everything is encoded, brackets too, as the service's own pages do it."""
        form = urlencode(params)
        if len(url) + 1 + len(form) <= LONGEST_URL:
            return cls("GET", f"{url}?{form}" if form else url)
        return cls("POST", url, form.encode())

    @property
    def how(self) -> dict[str, Any]:
        """The arguments that `Session.exchange` and `Session.open` want beside method and address."""
        return {} if self.body is None else {"body": self.body, "headers": _FORM}


async def ask(
    session: Session,
    url: str,
    params: Mapping[str, str],
    *,
    repeat: bool = True,
    attempts: int | None = None,
    sending: Callable[[], None] | None = None,
) -> Answer:
    """Ask a CGI, and return its answer.

    Args:
        session: Borrowed.
        url: Of the CGI.
        params: Its arguments, in their order.
        repeat: Whether the service may get the question twice.
        attempts: Most tries; None: as configured.
        sending: Called before each try.
    """
    asking = Asking.of(url, params)
    return await session.exchange(
        asking.method, asking.url, repeat=repeat, attempts=attempts, sending=sending, **asking.how
    )


async def read(session: Session, url: str, params: Mapping[str, str], reading: Callable[[Body], Awaitable[T]]) -> T:
    """Ask a CGI, and return what `reading` makes of its answer while it arrives; one that is cut is asked for again.

    Args:
        session: Borrowed.
        url: Of the CGI.
        params: Its arguments, in their order. The question must change nothing.
        reading: Reads the body, from its beginning each time.
    """
    asking = Asking.of(url, params)
    waits = session.retry_policy.waits()
    left = session.config.retries.attempts
    while True:
        left -= 1
        try:
            # Not through the pool for bodies, where a question of a moment would wait for the end of a download.
            async with session.open(asking.method, asking.url, repeat=True, lane="control", **asking.how) as body:
                return await reading(body)
        except (ConnectionLost, ReadTimeout, IncompleteBody) as error:
            if left <= 0:
                raise
            logger.info("asking again, because %s", error)
        await anyio.sleep(next(waits))
