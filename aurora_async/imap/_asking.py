"""How the service is asked: one exchange below the prefix that the credentials open, and what its refusals mean."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from aurora_async.errors import AuroraError, BadRequest, Forbidden, HttpError, NotFound, Unauthorized
from aurora_async.http import Answer, Session, shown_url
from aurora_async.http.session import Lane
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.errors import NotAllowed, NotIdentified, NotOffered, QueryRefused

__all__ = ["LINKS", "ask", "explained", "is_of_link", "meaning_of"]

logger = logging.getLogger(__name__)

LINKS = 3
"""How many links to a file are asked for, one after the other, before the store's refusal is believed."""
_LINK_REFUSED = frozenset({400, 401, 403})


async def ask(
    session: Session,
    config: ImapConfig,
    path: str,
    params: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    repeat: bool | None = None,
    lane: Lane = "control",
) -> Answer:
    """Ask the service, and return its answer.

    Args:
        session: Borrowed.
        config: Says where the service is, and with which prefix it is asked.
        path: Below that: `query`.
        params: In their order.
        method: GET, or POST for what changes something.
        repeat: Whether the request may reach the service twice; None: by its method.
        lane: `body` for answers of many megabytes.

    Raises:
        QueryRefused: 400, with the service's own wording.
        NotIdentified, NotAllowed, NotOffered: 401, 403, 404.
        HttpError, TransportError: As of `Session.exchange`.
    """
    url = f"{config.service_url}/{path}"
    logger.info("asking: %s %s", method, shown_url(f"{url}?{urlencode(params)}" if params else url))
    with explained():
        return await session.exchange(method, url, params=params, repeat=repeat, lane=lane)


@contextmanager
def explained() -> Iterator[None]:
    """Raise what errors mean, in their place."""
    try:
        yield
    except HttpError as error:
        meaning = meaning_of(error)
        if meaning is error:
            raise
        raise meaning from error


def meaning_of(error: HttpError) -> AuroraError:
    """Return, of an error that any service may answer with, the one that says what to do about it here; else itself."""
    match error:
        case BadRequest(status=400):
            return QueryRefused(error.url, error.detail or "it gives no reason")
        case Unauthorized():
            return error.become(NotIdentified)
        case Forbidden():
            return error.become(NotAllowed)
        case NotFound():
            return error.become(NotOffered)
    return error


def is_of_link(error: AuroraError, url: str) -> bool:
    """Whether a store refused the link that the service gives for `url`, and not the service itself: a new one may do.

    The service may redirect to another host of its own, but not to another path.
    """
    if not isinstance(error, HttpError) or error.status not in _LINK_REFUSED:
        return False
    return urlsplit(error.url).path != urlsplit(shown_url(url)).path
