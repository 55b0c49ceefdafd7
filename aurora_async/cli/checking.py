"""What `check` finds out about a server."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aurora_async.aurorax import AuroraX
from aurora_async.cli.client import Access
from aurora_async.cli.exits import PROGRAM
from aurora_async.errors import Forbidden, NotFound, Unauthorized

__all__ = ["checked"]


async def checked(access: Access) -> dict[str, Any]:
    """Ask the server for little, and tell what came.

    Raises:
        AuroraError: It does not answer, or is no AuroraX server.
    """
    async with access.client() as client:
        began = time.perf_counter()
        answer = await client.request("GET", "/")
        answer_ms = round((time.perf_counter() - began) * 1000, 1)
        sources = await client.sources.list(level="identifier_only")
        return {
            "server": access.config.base_url,
            "answers_in_ms": answer_ms,
            "software": answer.headers.get("Server"),
            "protocol": "AuroraX API v1",
            "data_sources": len(sources),
            "key": await _key_is(client, access),
            "client": f"{PROGRAM} {_own_version()}",
        }


async def _key_is(client: AuroraX, access: Access) -> str:
    """Say what the server thinks of the credentials. It looks at them only where some are needed."""
    if access.config.api_key is None and access.email_address is None:
        return "none given; searching needs none"
    try:
        # The narrowest thing that only an administrator may read.
        await client.admin.search_requests(search_type="ephemeris", active=True, error_condition=True)
    except Unauthorized:
        return "refused"
    except Forbidden:
        return "accepted"
    except NotFound:
        return "not looked at by this server"
    return "accepted, of an administrator"


def _own_version() -> str:
    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "(not installed)"
