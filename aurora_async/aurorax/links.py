"""Addresses of pages that show the result of a conjunction search."""

from __future__ import annotations

from urllib.parse import quote

from aurora_async.errors import InvalidInput

__all__ = ["page_url", "swarmaurora_import_url", "swarmaurora_url"]

_AURORAX = "https://aurorax.space/conjunctionSearch"
_SWARM_AURORA = "https://swarm-aurora.com/conjunctionFinder"


def page_url(request_id: str, *, expert: bool = False) -> str:
    """Return the address of the AuroraX page, in its standard or its expert form."""
    return f"{_AURORAX}/{'expert' if expert else 'standard'}?requestID={_quoted(request_id)}"


def swarmaurora_url(request_id: str) -> str:
    """Return the address of the Swarm-Aurora page."""
    return f"{_SWARM_AURORA}?aurorax_request_id={_quoted(request_id)}"


def swarmaurora_import_url(request_id: str) -> str:
    """Return the address of Swarm-Aurora's custom import file, a JSON list of objects."""
    return f"{_SWARM_AURORA}/generate_custom_import_json?aurorax_request_id={_quoted(request_id)}"


def _quoted(request_id: str) -> str:
    if not isinstance(request_id, str) or not request_id.strip():
        raise InvalidInput("request_id", f"{request_id!r} is not the identifier of a request")
    return quote(request_id, safe="")
