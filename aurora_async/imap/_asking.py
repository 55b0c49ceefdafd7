"""How the service is asked: one exchange below the prefix that the credentials open, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aurora_async.errors import BadRequest, Forbidden, NotFound, Unauthorized
from aurora_async.http import Answer, Session
from aurora_async.http.session import Lane
from aurora_async.imap.config import ImapConfig
from aurora_async.imap.errors import NotAllowed, NotIdentified, NotOffered, QueryRefused

__all__ = ["ask", "explained"]


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
    with explained():
        return await session.exchange(method, f"{config.service_url}/{path}", params=params, repeat=repeat, lane=lane)


@contextmanager
def explained() -> Iterator[None]:
    """Make of the errors that any service may answer with those that say what to do about them here."""
    try:
        yield
    except BadRequest as error:
        if error.status != 400:
            raise
        raise QueryRefused(error.url, error.detail or "it gives no reason") from error
    except (Unauthorized, Forbidden, NotFound) as error:
        kind = {401: NotIdentified, 403: NotAllowed}.get(error.status, NotOffered)
        told = kind(*error.args)
        told.body = error.body
        raise told from error
