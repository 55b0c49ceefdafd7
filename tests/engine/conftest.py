"""The scripted service as a fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.scripted import Scripted, serving


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """A scripted service on loopback."""
    async with serving(Scripted()) as service:
        yield service
