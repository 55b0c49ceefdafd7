"""Data products: searching them, fetching their files, and, for maintainers, loading and deleting them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import aclosing
from itertools import islice
from pathlib import Path

import msgspec

from aurora_async.aurorax.files import FetchedProduct, places
from aurora_async.aurorax.models import DATA_PRODUCT_TYPES, DataProduct, DataProductQuery, DataSource
from aurora_async.aurorax.records import ChunkOutcome, Uploader, UploadReport, data_product_document, names_of
from aurora_async.aurorax.searches import Searches
from aurora_async.aurorax.sources import known_source, source_path
from aurora_async.errors import InvalidInput
from aurora_async.times import TimeLike, TimeRange, end_of, start_of
from aurora_async.transfer import Fetcher, FetchOptions, FetchOutcome, File

__all__ = ["DataProductSearches"]

_URLS_AT_ONCE = 500


class DataProductSearches(Searches[DataProductQuery, DataProduct]):
    """Searches for keograms, montages, movies and plots. `source` is a data source, or its identifier."""

    async def fetch_files(
        self,
        records: Iterable[DataProduct],
        folder: Path | str = ".",
        *,
        at_once: int = 8,
        options: FetchOptions | None = None,
        on_outcome: Callable[[FetchedProduct], object] | None = None,
        on_bytes: Callable[[str, int, int | None], object] | None = None,
    ) -> list[FetchedProduct]:
        """Fetch the files that records point to, and return what became of each, in the order of the records.

        They go to `program/platform/instrument type/date/name` below `folder`: `trex/gillam/RGB ASI/2020-01-01/….png`.
        The date is that of the record's start, the name what the URL ends in. Files of one name do not meet there
        unless they have different URLs and the same data source and day; then eight digits, which are the same
        another time, tell them apart. A URL that several records have is fetched once.

        One that fails does not stop the others, and none is ever there in part. The same call again fetches what is
        missing or has changed. Your credentials go to the service alone, and not to other places that URLs lead to.

        Args:
            records: What a search found.
            folder: Made when it is not there.
            at_once: How many files are fetched at one moment; `Limits.body_connections` bounds those of one host.
            options: What a file that is there already means, how slow is too slow, …
            on_outcome: Told of each file when it is over.
            on_bytes: Told URL, how many bytes are there, and of how many, as they arrive.

        Raises:
            InvalidInput: `records` are not data products.
        """
        found = list(records)
        for number, record in enumerate(found):
            if not isinstance(record, DataProduct):
                raise InvalidInput(f"records[{number}]", f"{type(record).__name__} is not a DataProduct")
        numbers: dict[str, list[int]] = {}
        for number, record in enumerate(found):
            numbers.setdefault(record.url, []).append(number)
        outcomes: dict[int, FetchedProduct] = {}

        def share(outcome: FetchOutcome) -> None:
            for number in numbers[outcome.file.url]:
                outcomes[number] = shared = FetchedProduct(
                    index=number, record=found[number], fetched=outcome.fetched, error=outcome.error
                )
                if on_outcome is not None:
                    on_outcome(shared)

        files = [File(url=url, name=name) for url, name in places(found).items()]
        await Fetcher(self._engine.session, options).fetch_many(
            files, folder, at_once=at_once, on_outcome=share,
            on_bytes=None if on_bytes is None else lambda index, there, of: on_bytes(files[index].url, there, of),
        )  # fmt: skip
        return [outcomes[number] for number in range(len(found))]

    async def upload(
        self,
        source: DataSource | int,
        records: Iterable[DataProduct] | AsyncIterable[DataProduct],
        *,
        chunk_size: int = 500,
        at_once: int = 4,
        validate: bool = True,
        on_chunk: Callable[[ChunkOutcome], object] | None = None,
    ) -> UploadReport:
        """Load records of `source`; one takes the place of the one with its URL. Needs the role Maintainer.

        Arguments, result and errors are those of `EphemerisSearches.upload`.

        Source: AuroraX API, POST api/v1/data_sources/{id}/data_products.
        """
        known = await known_source(self._engine, source, with_schemas=validate)
        uploader = Uploader(
            session=self._engine.session,
            target=f"{source_path(known.identifier)}/data_products",
            encode=data_product_document(known, known.data_product_metadata_schema if validate else None),
            chunk_size=chunk_size,
            at_once=at_once,
            on_chunk=on_chunk,
        )
        return await uploader.upload(records)

    async def delete_urls(self, source: DataSource | int, urls: Iterable[str]) -> None:
        """Delete the records of `source` with these URLs. Needs the role Maintainer.

        Many go in several exchanges. After a failure it may simply be called again: one that is gone is no error.

        Source: AuroraX API, DELETE api/v1/data_sources/{id}/data_products.
        """
        if isinstance(urls, str) or not isinstance(urls, Iterable):
            raise InvalidInput("urls", f"{urls!r} is no list of URLs")
        wanted = list(dict.fromkeys(urls))
        for number, url in enumerate(wanted):
            if not isinstance(url, str) or not url.strip():
                raise InvalidInput(f"urls[{number}]", f"{url!r} is not a URL")
        known = await known_source(self._engine, source)
        names = names_of(known)
        left = iter(wanted)
        while batch := list(islice(left, _URLS_AT_ONCE)):
            body = msgspec.json.encode(names | {"urls": batch})
            await self._engine.session.exchange("DELETE", f"{source_path(known.identifier)}/data_products", body=body)

    async def delete(
        self,
        source: DataSource | int,
        start: TimeLike,
        end: TimeLike,
        *,
        data_product_types: Iterable[str] = (),
    ) -> list[str]:
        """Delete the records of `source` that lie from `start` to `end`, of some types or all; return their URLs.

        They are searched for first, as the service can only delete by URL. After a failure it may simply be called
        again, and then returns the rest.
        """
        span = TimeRange(start_of(start, "start"), end_of(end, "end"))
        types = (data_product_types,) if isinstance(data_product_types, str) else tuple(data_product_types)
        if unknown := set(types) - set(DATA_PRODUCT_TYPES):
            allowed = ", ".join(DATA_PRODUCT_TYPES)
            raise InvalidInput("data_product_types", f"{min(unknown)!r} is unknown; use {allowed}")
        known = await known_source(self._engine, source)
        names = names_of(known)
        query = DataProductQuery(
            start=span.start,
            end=span.end,
            programs=[names["program"]],
            platforms=[names["platform"]],
            instrument_types=[names["instrument_type"]],
            data_product_types=types,
        )
        async with aclosing(self.stream(query, response_format={"url": True})) as found:
            urls: list[str] = [record["url"] async for record in found]
        await self.delete_urls(known, urls)
        return urls
