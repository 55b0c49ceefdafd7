"""Our own client writes to the service: what the one sends is what the other understands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aurora_async import AuroraX, EphemerisQuery
from aurora_async.aurorax.models import Ephemeris, Location
from aurora_async.errors import AuroraError, Forbidden, NotFound, Unauthorized
from aurora_async.server.app import Account, LocalService, Login, ServiceSettings

START = datetime(2020, 1, 1, tzinfo=UTC)
OWNER = Login(Account(role="Owner", email_address="owner@example.org"), "secret")
NAMES = {"program": "mine", "platform": "balloon", "instrument_type": "camera"}


@pytest.fixture
def settings() -> ServiceSettings:
    """One owner, who logs in, and one administrator, who has a key."""
    return ServiceSettings(workers=0, logins=(OWNER,), api_keys={"admin": Account(role="Administrator")})


async def test_a_data_source_and_its_records(settings: ServiceSettings) -> None:
    """Logged in: added, loaded, searched, counted, emptied, removed."""
    async with LocalService(settings) as service, AuroraX(base_url=service.base_url) as client:
        account = await client.authenticate("owner@example.org", "secret")
        assert (account.role, account.disabled) == ("Owner", False) and account.this_login is not None
        source = await client.sources.add(**NAMES, source_type="leo", display_name="Balloon")
        source = await client.sources.update(source.identifier, metadata={"height": 30})
        assert (source.owner, source.metadata) == ("owner@example.org", {"height": 30})
        place = Location(lat=50.0, lon=-110.0)
        places = dict.fromkeys(("location_geo", "location_gsm", "nbtrace", "sbtrace"), place)
        records = [
            Ephemeris(data_source=source, epoch=START + timedelta(minutes=n), metadata={"n": n}, **places)
            for n in range(1200)
        ]
        report = await client.ephemeris.upload(source, records, validate=False)
        assert (report.records, len(report.failed)) == (1200, 0)
        query = EphemerisQuery(start=START, end=START + timedelta(days=1), programs=["mine"])
        found = await client.ephemeris.search(query)
        assert [one.metadata["n"] for one in found] == list(range(1200)) and found[0].location_geo == place
        (available,) = await client.availability.ephemeris("2020-01-01", "2020-01-02", program="mine")
        assert available.days == {START.date(): 1200}
        with pytest.raises(AuroraError, match="existing data"):
            await client.sources.delete(source.identifier)
        await client.ephemeris.delete(source, START, START + timedelta(days=1))
        (job,) = await client.ephemeris.delete_jobs(source)
        assert "Deleted 1200 uploaded records" in await client.ephemeris.delete_job(source, job)
        assert await client.ephemeris.search(query) == []
        assert (await client.sources.replace(source)).metadata == {"height": 30}
        await client.sources.delete(source.identifier)
        with pytest.raises(NotFound):
            await client.sources.get(source.identifier)
        await client.end_session()
        with pytest.raises(Unauthorized):
            await client.sources.delete(3)


async def test_whose_searches_are_whose(settings: ServiceSettings, queries: Any) -> None:
    """A handle made with a login is of no use without; administrators list accounts and searches."""
    async with LocalService(settings) as service, AuroraX(base_url=service.base_url) as client:
        await client.authenticate("owner@example.org", "secret")
        request = await client.ephemeris.submit(queries.ephemeris())
        assert len(await request.records()) == 10
        with pytest.raises(Forbidden):
            await client.admin.accounts()
        await client.end_session()
        with pytest.raises(NotFound):
            await client.ephemeris.status(request.request_id)
        async with AuroraX(base_url=service.base_url, api_key="admin") as admin:
            assert [one.request_id for one in await admin.admin.search_requests()] == [request.request_id]
            await admin.admin.delete_search_request(request.request_id)
            accounts = await admin.admin.accounts(role="Owner")
            assert [one.email_address for one in accounts] == ["owner@example.org"]
            assert await admin.admin.search_requests() == []


async def test_computed_records_fit_the_schema_of_their_source(settings: ServiceSettings) -> None:
    """What was downloaded can be uploaded again as it is, checked: who tries that first should not meet an error."""
    async with LocalService(settings) as service, AuroraX(base_url=service.base_url, api_key="admin") as client:
        swarm_a = await client.sources.find("swarm", "swarma", "footprint")
        query = EphemerisQuery(start=START, end=START + timedelta(minutes=9), platforms=["swarma"])
        found = await client.ephemeris.search(query)
        report = await client.ephemeris.upload(swarm_a, found, validate=True)
        assert (report.records, len(report.failed)) == (10, 0)
        assert await client.ephemeris.search(query) == found
