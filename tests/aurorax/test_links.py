"""Addresses of pages; the facts are those that the official clients open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aurora_async.aurorax.links import page_url, swarmaurora_import_url, swarmaurora_url
from aurora_async.errors import InvalidInput

ID = "86b5e7b0-fe87-424a-a894-dd8c80f7beaa"


def test_pages_are_named_by_the_request() -> None:
    """AuroraX's own, in both forms, and Swarm-Aurora's with its import file."""
    assert page_url(ID) == f"https://aurorax.space/conjunctionSearch/standard?requestID={ID}"
    assert page_url(ID, expert=True) == f"https://aurorax.space/conjunctionSearch/expert?requestID={ID}"
    page = "https://swarm-aurora.com/conjunctionFinder"
    assert swarmaurora_url(ID) == f"{page}?aurorax_request_id={ID}"
    assert swarmaurora_import_url(ID) == f"{page}/generate_custom_import_json?aurorax_request_id={ID}"


@pytest.mark.parametrize("url_of", [page_url, swarmaurora_url, swarmaurora_import_url])
def test_an_identifier_cannot_change_the_address(url_of: Callable[[Any], str]) -> None:
    """It may come from a file or a form."""
    assert url_of("a&b=c#d/é").endswith("=a%26b%3Dc%23d%2F%C3%A9")
    for wrong in ("", "  ", None, 7):
        with pytest.raises(InvalidInput, match="request_id"):
            url_of(wrong)
