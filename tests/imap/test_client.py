"""The client against the local service: what is asked, what is told, what is said when nothing comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from aurora_async import Config
from aurora_async.errors import BadRequest, ClientClosed, DeadlineExceeded, InvalidInput, ServerError
from aurora_async.imap import (
    AncillaryFile,
    FileQuery,
    Imap,
    ImapConfig,
    NotAllowed,
    NotIdentified,
    ScienceFile,
    SpiceQuery,
    TableFile,
    Version,
    query_of_name,
)
from aurora_async.imap.catalog import Catalog
from aurora_async.testing import FaultScript, LocalServer


@pytest.fixture(scope="module")
def narrow_server() -> Iterator[LocalServer]:
    """As the service is behind its gateway, on a smaller scale: no pages, and few rows in one answer."""
    with LocalServer(imap={"is_paged": False, "answer_bytes": 60_000}) as server:
        yield server


async def test_a_query_finds_rows_with_types(imap_client: Imap) -> None:
    """Days are days, versions compare, and what is in the archive can be fetched as it stands there."""
    found = await imap_client.query(instrument="mag", data_level="l2", start_date="20260401", end_date="2026-04-12")
    row = found[-1]
    assert isinstance(row, ScienceFile)
    assert row.key == "imap/mag/l2/2026/04/imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
    assert (row.start_date, row.version) == (date(2026, 4, 12), Version(1, 8))
    assert found.keys == tuple(sorted(found.keys))
    assert found.note is None
    fetched = await imap_client.download(row)
    assert fetched.paths == [imap_client.config.data_dir / row.key]


async def test_every_filter_reaches_the_service(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """In its own words and order: days without dashes, numbers for pointings, versions in two parts."""
    await imap_client.query(
        extension="cdf",
        version="v001.0002",
        repointing="repoint00096",
        ingestion_end_date=datetime(2026, 5, 1, 12, tzinfo=UTC),
        ingestion_start_date="2026-01",
        end_date=date(2026, 1, 31),
        start_date="20260101",
        descriptor="hist",
        data_level="l1b",
        instrument="glows",
    )
    (seen,) = aurora_faults.requests("*/query")
    assert seen.path.partition("?")[2] == (
        "table=science&instrument=glows&data_level=l1b&descriptor=hist&start_date=20260101&end_date=20260131"
        "&ingestion_start_date=20260101&ingestion_end_date=20260501&repointing=96&major_version=1&minor_version=2"
        "&extension=cdf&offset=0&limit=5000"
    )


@pytest.mark.parametrize(
    ("filters", "sent"),
    [
        ({"version": "latest"}, "latest=true"),
        ({"version": "v002"}, "version=v002"),
        ({"version": "v002", "major_version": 1}, "version=v002&major_version=1"),
        ({"version": "latest", "major_version": 1}, "major_version=1"),
        ({"table": "ancillary", "version": "latest"}, ""),
        ({"table": "ancillary", "version": "v002"}, "version=v002"),
        ({"table": "quicklook", "version": "latest"}, ""),
        ({"table": "quicklook", "version": "v002"}, "minor_version=2"),
    ],
)
async def test_versions_are_asked_for_as_each_table_has_them(
    imap_client: Imap, aurora_faults: FaultScript, filters: dict[str, Any], sent: str
) -> None:
    """Only the science table ranks by itself, and not where a major version is named."""
    await imap_client.query(instrument="codice", **filters)
    (seen,) = aurora_faults.requests("*/query")
    middle = seen.path.partition("instrument=codice")[2].partition("&offset=0")[0].removeprefix("&")
    assert middle == sent


async def test_the_latest_ancillary_files_lose_none(imap_client: Imap) -> None:
    """A window beside an open range, which the service's own tests expect both of."""
    found = await imap_client.query(
        table="ancillary", instrument="codice", start_date="20260403", end_date="20260430", version="latest"
    )
    assert [row.file_name for row in found] == [
        "imap_codice_l1a-sci-lut_20260403_20260403_v001.json",
        "imap_codice_l1a-sci-lut_20260403_v002.json",
    ]
    assert all(isinstance(row, AncillaryFile) for row in found)


async def test_the_latest_of_a_major_version_is_asked_for_too(imap_client: Imap) -> None:
    """The service forgets "latest" where a major version is named, and tells all minors."""
    named = await imap_client.query(instrument="mag", major_version=1, version="latest")
    assert named.keys == (await imap_client.query(instrument="mag", version="latest")).keys


async def test_a_stream_gives_what_a_query_gives(imap_client: Imap) -> None:
    """Row by row."""
    streamed = [row.key async for row in imap_client.stream(instrument="swapi")]
    assert tuple(sorted(streamed)) == (await imap_client.query(instrument="swapi")).keys
    assert streamed


async def test_many_pages_are_one_answer(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """Each begins with the last row of the one before, in the order that the service has."""
    whole = await imap_client.query(start_date="2010")
    session = imap_client._open_engine.session
    paged = Catalog(session, imap_client.config, page_rows=50)
    assert [row.key for row in await paged.find(FileQuery(start_date="2010"))] == list(whole.keys)
    assert len(aurora_faults.requests("*/query")) == 1 + -(-(len(whole) - 1) // 49)


async def test_what_overflows_a_server_without_pages_comes_whole(narrow_server: LocalServer) -> None:
    """Broad queries of the real service end in 500; here they end in all rows, and those of one day as well."""
    config = ImapConfig(base_url=narrow_server.imap_url, api_key=narrow_server.imap_key, trust_environment=False)
    async with Imap(config) as imap:
        with pytest.raises(ServerError):
            await imap._open_engine.session.exchange(
                "GET", f"{config.service_url}/query", params={"table": "science", "start_date": "20100101"}, attempts=1
            )
        found = await imap.query(start_date="2010")
        newest = await imap.query(start_date="2010", version="latest")
    assert len(found) > 500
    assert len(set(found.keys)) == len(found)
    assert newest.keys == found.latest().keys


async def test_a_moment_of_trouble_is_no_reason_to_ask_for_less(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """503 is tried again as it was."""
    aurora_faults.status(503, "*/query", times=2)
    assert await imap_client.query(instrument="swapi")
    paths = [seen.path for seen in aurora_faults.requests("*/query")]
    assert len(paths) == 3
    assert len(set(paths)) == 1


async def test_nothing_found_without_a_key_is_explained(aurora_server: LocalServer) -> None:
    """To the service it is a success, and to its user it looks like an empty archive."""
    async with Imap(base_url=aurora_server.imap_url) as imap:
        hidden = await imap.query(instrument="swe", data_level="l0")
        assert not hidden
        assert hidden.note is not None
        assert hidden.note.startswith(
            "only released files were searched: give an API key (api_key=, --api-key or IMAP_API_KEY)"
        )
        assert hidden.note in str(hidden)
        assert (await imap.query(instrument="mag", data_level="l2")).note is None
    async with Imap(base_url=aurora_server.imap_url, access_token=aurora_server.imap_token) as imap:
        assert await imap.query(instrument="swe", data_level="l0")
        assert (await imap.query(descriptor="no-such-thing")).note is None


async def test_wrong_credentials_are_told_by_what_helps(aurora_server: LocalServer) -> None:
    """The names of the settings and variables are those of this service."""
    async with Imap(base_url=aurora_server.imap_url, access_token="out-of-date") as imap:
        with pytest.raises(NotIdentified, match=r"answered 401 .* IMAP_ACCESS_TOKEN\) that is valid for this server"):
            await imap.query(instrument="mag")
    async with Imap(base_url=aurora_server.imap_url, api_key="unknown") as imap:
        with pytest.raises(NotAllowed, match=r"answered 403 \(Forbidden\); the key or token is unknown to this server"):
            await imap.query(instrument="mag")


async def test_bad_input_sends_nothing(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """Not even for a stream, which is refused before its first row is asked for."""
    with pytest.raises(InvalidInput, match="instrument: 'moon' is not one of codice"):
        await imap_client.query(instrument="moon")
    with pytest.raises(InvalidInput, match="query: it has no filter"):
        imap_client.stream()
    with pytest.raises(InvalidInput, match="query: is given, and so is instrument"):
        await imap_client.query(FileQuery(instrument="mag"), instrument="mag")
    with pytest.raises(TypeError, match="unexpected keyword argument 'level'"):
        await imap_client.query(level="l2")  # type: ignore[call-arg]
    assert not aurora_faults.requests("*/query")


async def test_a_refusal_is_told_without_its_quotes(imap_client: Imap) -> None:
    """The service sends its texts as JSON."""
    session = imap_client._open_engine.session
    with pytest.raises(BadRequest) as error:
        await session.exchange("GET", f"{imap_client.config.service_url}/query", params={"table": "moon"})
    assert error.value.detail.startswith("moon is not a valid table.")


async def test_time_that_runs_out_is_told(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """As that, and not as a cancellation; by every verb that asks."""
    aurora_faults.delay("*/imap/*", seconds=30)
    with pytest.raises(DeadlineExceeded, match=r"the query of science files was not done within 0.2 s"):
        await imap_client.query(instrument="mag", deadline_s=0.2)
    for asked in (
        imap_client.spin_tables(deadline_s=0.05),
        imap_client.metakernel("2026-01-01", "2026-01-02", deadline_s=0.05),
        imap_client.metakernel_files("2026-01-01", "2026-01-02", deadline_s=0.05),
        imap_client.reprocess("20260101", "20260102", deadline_s=0.05),
        imap_client.processing_jobs(deadline_s=0.05),
        imap_client.processing_log("a/stream", deadline_s=0.05),
    ):
        with pytest.raises(DeadlineExceeded, match=r"was not done within 0.05 s"):
            await asked


async def test_a_query_of_kernels_is_a_value_too(imap_client: Imap, aurora_faults: FaultScript) -> None:
    """What `query_of_name` makes is asked as it is; what is said twice is refused."""
    query = query_of_name("naif0012.tls")
    assert isinstance(query, SpiceQuery)
    found = await imap_client.spice_query(query)
    assert [row.file_name for row in found] == ["naif0012.tls"]
    assert found.query is query
    spins = await imap_client.spice_query(SpiceQuery(type="spin"))
    assert {type(row) for row in spins} == {TableFile}
    asked = len(aurora_faults.requests("*/imap/*"))
    with pytest.raises(InvalidInput, match="query: is given, and so is start: give one of them"):
        await imap_client.spice_query(query, start=0)
    assert len(aurora_faults.requests("*/imap/*")) == asked


async def test_a_client_is_made_of_a_config_and_what_differs(aurora_server: LocalServer) -> None:
    """And is of no use outside its block."""
    imap = Imap(ImapConfig(api_key="k"), base_url=aurora_server.imap_url)
    assert imap.config == attrs.evolve(ImapConfig(api_key="k"), base_url=aurora_server.imap_url)
    with pytest.raises(ClientClosed):
        await imap.query(instrument="mag")
    with pytest.raises(InvalidInput, match="config: Config is not an ImapConfig"):
        Imap(Config())  # type: ignore[arg-type]
