"""Ephemeris: searching it, and, for those who maintain a data source, loading and deleting it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from urllib.parse import quote

import msgspec

from aurora_async.aurorax.models import DataSource, Ephemeris, EphemerisQuery
from aurora_async.aurorax.records import ChunkOutcome, Uploader, UploadReport, ephemeris_document, names_of
from aurora_async.aurorax.searches import Searches
from aurora_async.aurorax.sources import known_source, source_path
from aurora_async.aurorax.wire import decode_answer
from aurora_async.errors import InvalidInput
from aurora_async.times import TimeLike, TimeRange, end_of, start_of, to_wire

__all__ = ["EphemerisSearches"]

_Texts = list[str]


class EphemerisSearches(Searches[EphemerisQuery, Ephemeris]):
    """Searches for positions and footprints. `source` is a data source, or its identifier."""

    async def upload(
        self,
        source: DataSource | int,
        records: Iterable[Ephemeris] | AsyncIterable[Ephemeris],
        *,
        chunk_size: int = 500,
        at_once: int = 4,
        validate: bool = True,
        on_chunk: Callable[[ChunkOutcome], object] | None = None,
    ) -> UploadReport:
        """Load records of `source`; one takes the place of the one with its epoch. Needs the role Maintainer.

        Args:
            source: Whose records they are.
            records: Any number of them. A list is checked whole before anything is sent; what an iterable gives is
                checked and sent a chunk at a time, in constant memory.
            chunk_size: Records in one exchange.
            at_once: Most exchanges at one moment.
            validate: Whether metadata are compared with the schema of the source: names, types and allowed values.
            on_chunk: Called with each outcome, in order of completion.

        Returns:
            What became of each chunk. The service works on what it accepted, and a search finds it seconds later.

        Raises:
            InvalidInput: A record cannot be right; `field` says which and where (`records[17].metadata.state`).
            UploadFailed: Chunks were not accepted; `report` says which and why. They may be sent again.

        Source: AuroraX API, POST api/v1/data_sources/{id}/ephemeris.
        """
        known = await known_source(self._engine, source, with_schemas=validate)
        uploader = Uploader(
            session=self._engine.session,
            target=f"{source_path(known.identifier)}/ephemeris",
            encode=ephemeris_document(known, known.ephemeris_metadata_schema if validate else None),
            chunk_size=chunk_size,
            at_once=at_once,
            on_chunk=on_chunk,
        )
        return await uploader.upload(records)

    async def delete(self, source: DataSource | int, start: TimeLike, end: TimeLike) -> None:
        """Delete the records of `source` from `start` to `end`, both inclusive. Needs the role Maintainer.

        The service does it later; `delete_jobs` tells of it.

        Source: AuroraX API, DELETE api/v1/data_sources/{id}/ephemeris.
        """
        span = TimeRange(start_of(start, "start"), end_of(end, "end"))
        known = await known_source(self._engine, source)
        body = msgspec.json.encode(names_of(known) | {"start": to_wire(span.start), "end": to_wire(span.end)})
        await self._engine.session.exchange("DELETE", f"{source_path(known.identifier)}/ephemeris", body=body)

    async def delete_jobs(self, source: DataSource | int) -> list[str]:
        """Return the deletions of the last hour."""
        return await self._texts(f"{source_path(source)}/ephemeris/delete_jobs")

    async def delete_job(self, source: DataSource | int, job: str) -> list[str]:
        """Return what the service tells about one deletion.

        Raises:
            NotFound: It does not know it, or not any more.
        """
        if not isinstance(job, str) or job.strip(". ") == "":
            raise InvalidInput("job", f"{job!r} is not the identifier of a deletion")
        return await self._texts(f"{source_path(source)}/ephemeris/delete_jobs/{quote(job, safe='')}")

    async def _texts(self, target: str) -> list[str]:
        return decode_answer(await self._engine.session.exchange("GET", target), _Texts)
