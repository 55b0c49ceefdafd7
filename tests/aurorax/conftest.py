"""A local service in this loop, with one account of each role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.clients import ClientAs, held_open

from aurora_async import AuroraX
from aurora_async.server.app import Account, LocalService, ServiceSettings

KEYS = {
    f"key-{role.lower()}": Account(role=role, email_address=f"{role.lower()}@example.org")
    for role in ("User", "Maintainer", "Owner", "Administrator")
}


@pytest.fixture(scope="session")
def days_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Computed days of ephemeris, shared by the services of all tests here."""
    return tmp_path_factory.mktemp("days")


@pytest.fixture
async def service(days_dir: Path) -> AsyncIterator[LocalService]:
    """A local service that computes in threads: one that starts in no time."""
    async with LocalService(ServiceSettings(days_dir=days_dir, workers=0, api_keys=KEYS)) as running:
        yield running


@pytest.fixture
def client_as(service: LocalService) -> ClientAs:
    """Makes a client that asks as `user`, `maintainer`, `owner` or `administrator`, or as nobody (None)."""

    def make(role: str | None) -> AuroraX:
        return AuroraX(base_url=service.base_url, api_key=None if role is None else f"key-{role}")

    return make


@pytest.fixture
async def client(client_as: ClientAs) -> AsyncIterator[AuroraX]:
    """A client of the service that asks as nobody."""
    async with held_open(client_as(None)) as open_client:
        yield open_client
