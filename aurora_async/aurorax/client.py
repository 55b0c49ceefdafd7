"""The AuroraX client: one session, one task group, and everything that AuroraX can be asked."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import msgspec

from aurora_async.aurorax.admin import Account, Administration
from aurora_async.aurorax.availability import AvailabilityCounts
from aurora_async.aurorax.batches import SearchDesk, planned
from aurora_async.aurorax.conjunctions import ConjunctionSearches
from aurora_async.aurorax.data_products import DataProductSearches
from aurora_async.aurorax.ephemeris import EphemerisSearches
from aurora_async.aurorax.models import Query
from aurora_async.aurorax.plans import Plan, PlannedSearch, searches_of, shown_window
from aurora_async.aurorax.searches import ResponseFormat, Searches, encode_format
from aurora_async.aurorax.sources import Sources
from aurora_async.aurorax.splitting import Window
from aurora_async.aurorax.windowed import WindowedResult
from aurora_async.aurorax.wire import KINDS, decode_answer, kind_of
from aurora_async.config import Config
from aurora_async.engine import BatchFolder, Request, Run, Service
from aurora_async.engine.batch import Batch, Collecting, Collector
from aurora_async.engine.client import ServiceClient
from aurora_async.engine.cluster import ClusterLike, check_cluster, on_cluster
from aurora_async.engine.deadline import Deadline
from aurora_async.engine.manager import Later, Work
from aurora_async.engine.remote import check_address
from aurora_async.engine.split import check_window
from aurora_async.engine.waiting import Waiting
from aurora_async.errors import BadRequest, InvalidInput, MalformedAnswer, Unauthorized
from aurora_async.http import Answer, shown_url
from aurora_async.times import parse_wire, to_wire
from aurora_async.transfer import Format, check_format, ending, ensure_writable

__all__ = ["AuroraX"]

_Texts = list[str]

_SEARCHES: Mapping[str, type[Searches[Any, Any]]] = {
    "conjunctions": ConjunctionSearches,
    "ephemeris": EphemerisSearches,
    "data_products": DataProductSearches,
}


class AuroraX(ServiceClient):
    """AuroraX, asynchronously: `async with AuroraX() as client`.

    Args:
        config: All settings; nothing is read from the environment unless it was made by `Config.from_environment`.
        base_url: Another server than `config`'s, such as a local service.
        api_key: Another key than `config`'s. Reading is anonymous; searches made with a key are private to its owner.
        synchronous: Whether small ephemeris and data product searches are made in one exchange instead of four.

    Attributes:
        conjunctions, ephemeris, data_products: The three kinds of search.
        sources: The data sources.
        availability: How many records they have, day by day.
        admin: What only administrators may do.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        synchronous: bool = True,
    ) -> None:
        """Make a client; nothing is opened before `async with`."""
        config = config or Config()
        if base_url is not None:
            config = attrs.evolve(config, base_url=base_url)
        if api_key is not None:
            config = attrs.evolve(config, api_key=api_key)
        super().__init__(config)
        self._synchronous = synchronous
        self._is_logged_in = False

    def _ended(self) -> None:
        self._is_logged_in = False

    @property
    def conjunctions(self) -> ConjunctionSearches:
        """When footprints came close."""
        return ConjunctionSearches(self._open_engine, KINDS["conjunctions"], synchronous=self._synchronous)

    @property
    def ephemeris(self) -> EphemerisSearches:
        """Positions and footprints, minute by minute."""
        return EphemerisSearches(self._open_engine, KINDS["ephemeris"], synchronous=self._synchronous)

    @property
    def data_products(self) -> DataProductSearches:
        """Keograms, montages, movies and plots."""
        return DataProductSearches(self._open_engine, KINDS["data_products"], synchronous=self._synchronous)

    @property
    def sources(self) -> Sources:
        """Spacecraft, instruments and event lists."""
        return Sources(self._open_engine)

    @property
    def availability(self) -> AvailabilityCounts:
        """How many records there are, day by day."""
        return AvailabilityCounts(self._open_engine)

    @property
    def admin(self) -> Administration:
        """What only administrators may do."""
        return Administration(self._open_engine)

    def run(
        self,
        queries: Iterable[Query] | AsyncIterable[Query],
        *,
        at_once: int = 100,
        folder: Path | str | None = None,
        format: Format = "json",
        name: Callable[[int, Query], str] | None = None,
        response_format: ResponseFormat | None = None,
        window: Window | None = None,
        deadline_s: float | None = None,
    ) -> Run[Query]:
        """Make many searches, of any kind, and give their outcomes in order of completion.

        ```python
        async for outcome in client.run(queries, at_once=500, folder="results"):
            print(outcome.query.start, outcome.error or outcome.saved.path)
        ```

        Args:
            queries: Any number of them, also endless or asynchronous: they are taken when there is room.
            at_once: How many are under way on the service at one moment.
            folder: Where results are streamed to, a file each; None collects the records in memory.
            format: Of the files: `json`, `jsonl`, `csv`, `parquet` or `body`, see `Request.download`.
            name: Gives a file's name for the number and the query; by default kind, start, end and a counter.
            response_format: Asked of every result.
            window: Longer searches are cut into windows, each a request, and merged again; see `Searches`.
            deadline_s: For each query.

        A search that fails is an outcome with an `error`; the others go on.
        """
        engine = self._open_engine
        target = None if folder is None else Path(folder)
        names = name or _file_name(format)
        taken: set[str] = set()
        # What is wrong with every query is said once, and before anything is sent.
        Deadline(deadline_s)
        check_format(format)
        encode_format(response_format)
        if window is not None and window != "auto":
            check_window(window)

        never = Deadline(None)
        searches = {name: kind(engine, KINDS[name], synchronous=self._synchronous) for name, kind in _SEARCHES.items()}
        services: dict[str, Service[Any]] = {}
        paths: dict[int, Path] = {}

        async def begin(index: int, query: Query, work: Work) -> Waiting | Callable[[], Awaitable[None]] | None:
            name = kind_of(query).name
            kind = searches[name]
            service = services.get(name) or services.setdefault(name, kind.service(response_format))
            deadline = never if deadline_s is None else Deadline(deadline_s)
            if target is not None:
                path = paths[index] = _path_inside(target, names(index, query), taken)
                await ensure_writable(path)
            asked = await kind.begin(service, query, response_format, window, deadline)
            work.request_id = asked.request_id
            return asked if isinstance(asked, Waiting) else partial(collect, index, work, asked, deadline)

        async def finish(index: int, query: Query, work: Work, ready: Waiting) -> None:
            request = searches[kind_of(query).name].handle(ready.request_id, query, response_format)
            assert ready.status is not None
            request.knows(ready.status)
            await collect(index, work, request, ready.deadline)

        async def collect(
            index: int, work: Work, answer: Request[Any] | WindowedResult[Any], deadline: Deadline
        ) -> None:
            if target is None:
                work.records = await answer.collect(deadline)
            else:
                work.saved = await answer.save(paths.pop(index), format, True, deadline)

        return Run(queries, begin, at_once=at_once, start=engine.start, later=Later(engine, finish))

    def batch(
        self,
        folder: Path | str,
        queries: Plan | Iterable[Query | PlannedSearch] = (),
        *,
        format: Format | None = None,
        window: Window | None = None,
        response_format: ResponseFormat | None = None,
        reuse: Iterable[Path | str] = (),
        cluster: ClusterLike | None = None,
        outputs: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        dataset: Path | str | None = None,
    ) -> Batch:
        """Keep many searches in a folder, so that they survive whatever ends this process; see `Batch`.

        ```python
        async with client.batch("survey", queries, format="parquet") as batch:
            async for entry in batch.run():
                print(entry.path, entry.error or f"{entry.records} records")
        ```

        Args:
            folder: Holds the journal, a file a query, `manifest.json` and `report.md`.
            queries: A plan, or queries; those the folder knows already are not added again. Equal ones are run once.
            format: Of the files: `jsonl` by default, or `json`, `csv`, `parquet`, `body`.
            window: Longer searches are cut into windows, each a request, and merged to one file again, which is that
                of one request; `body` is so as JSON only, not byte by byte.
            response_format: Asked of every result.
            reuse: Folders of other batches: what they have is taken from there.
            cluster: Whose workers fetch and write the results: address of a dask.distributed scheduler, `"local"`, how
                many processes to start here, or what `open_cluster` gave. All must see the folder, or the `outputs`.
            outputs: Address of another place for the files (`s3://bucket/survey`, whatever fsspec knows); the folder
                keeps journal and manifest.
            storage_options: What fsspec is told beside that address, such as credentials; they are not kept.
            dataset: Folder of one Parquet dataset, partitioned by program, platform and day (`append`), to which every
                result is added, once, besides its own file (JSON Lines). Several batches may share it.

        What is None is as the plan says, or else as the folder was begun.
        """
        plan = queries if isinstance(queries, Plan) else Plan(searches=())
        begun = BatchFolder(folder)
        kept = begun.facts() if begun.is_batch else {}
        chosen_format: Format = format or plan.format or kept.get("format") or "jsonl"
        trees = (response_format, plan.response_format, kept.get("response_format"))
        chosen_tree = next((tree for tree in trees if tree is not None), None)
        chosen_window = window or plan.window
        if chosen_window not in (None, "auto"):
            check_window(chosen_window)
        check_format(chosen_format)
        encode_format(chosen_tree)
        if cluster is not None:
            check_cluster(cluster)
        facts = {
            "name": plan.name,
            "service": shown_url(self.config.base_url),
            "format": chosen_format,
            "response_format": chosen_tree,
            "window": None if chosen_window is None else shown_window(chosen_window),
            "outputs": None if outputs is None else check_address(outputs),
            "dataset": None if dataset is None else str(Path(dataset).absolute()),
        }
        if dataset is not None:
            if chosen_format != "jsonl" or chosen_tree is not None or outputs is not None:
                reason = (
                    "is made from whole records in local files: with format jsonl, without response_format, outputs"
                )
                raise InvalidInput("dataset", reason)
            check_format("parquet")
        return Batch(
            folder,
            self._desk(chosen_tree, chosen_window),
            planned(searches_of(queries), format=chosen_format, response_format=chosen_tree),
            facts={name: value for name, value in facts.items() if value is not None},
            reuse=reuse,
            crew=None if cluster is None else partial(on_cluster, cluster),
            storage_options=storage_options,
        )

    def _desk(self, response_format: ResponseFormat | None = None, window: Window | None = None) -> SearchDesk:
        return SearchDesk(
            self._open_engine,
            {name: getattr(self, name) for name in KINDS},
            self.availability,
            self._remote,
            response_format=response_format,
            window=window,
        )

    def _remote(self) -> Collecting:
        if self._is_logged_in:
            raise InvalidInput("cluster", "a login (authenticate) is not handed to its workers; use an API key")
        # Once: whoever handed out the request counts the tries, and waits between them, for all workers.
        return partial(_collector, attrs.evolve(self.config, retries=attrs.evolve(self.config.retries, attempts=1)))

    async def authenticate(self, email_address: str, password: str) -> Account:
        """Log in, and return one's account; all that this client sends from now on is sent by it.

        The token the service gives dies after half an hour without use; the client then logs in again by itself.

        Raises:
            Unauthorized: Address or password are wrong.

        Source: AuroraX API, POST api/v1/authenticate.
        """
        for name, value in (("email_address", email_address), ("password", password)):
            if not isinstance(value, str) or not value:
                raise InvalidInput(name, "is empty" if value == "" else "is not a text")
        session = self._open_engine.session
        body = msgspec.json.encode({"email_address": email_address, "password": password})

        async def log_in() -> Answer:
            answer = await session.exchange(
                "POST", "/api/v1/authenticate", body=body, repeat=True, lane="urgent", anonymous=True
            )
            if not answer.headers.get("Authorization"):
                raise MalformedAnswer(answer.url, "Authorization", "the header with the token is missing")
            return answer

        async def renew() -> Mapping[str, str]:
            return {"Authorization": (await log_in()).headers["Authorization"]}

        answer = await log_in()
        account = decode_answer(answer, Account)
        token = {"Authorization": answer.headers["Authorization"]}
        session.add_credential(self.config.base_url, token, renew=renew)
        self._is_logged_in = True
        return account

    async def end_session(self) -> None:
        """Log out: the service forgets the token, and this client with it. Without a login nothing happens."""
        session = self._open_engine.session
        if not self._is_logged_in:
            return
        self._is_logged_in = False
        session.add_credential(self.config.base_url, {})  # a token that has died meanwhile is not renewed for this
        try:
            with suppress(Unauthorized, BadRequest):
                await session.exchange("POST", "/api/v1/authenticate/end_session", repeat=True)
        finally:
            session.remove_credential(self.config.base_url)

    async def time_zones(self) -> list[str]:
        """Return the names of the time zones that `to_utc` understands."""
        return decode_answer(await self._open_engine.session.exchange("GET", "/api/v1/utils/timezones"), _Texts)

    async def to_utc(self, timestamp: datetime | str, time_zone: str) -> datetime:
        """Return what a clock in `time_zone` showed as `timestamp` (ISO 8601) as an instant, aware UTC.

        Source: AuroraX API, GET api/v1/utils/timezones/convert.
        """
        if isinstance(timestamp, datetime) and timestamp.fold:
            raise InvalidInput("timestamp", "is the second of two equal ones (fold=1): the service cannot be told")
        text = timestamp.isoformat() if isinstance(timestamp, datetime) else timestamp
        for name, value in (("timestamp", text), ("time_zone", time_zone)):
            if not isinstance(value, str) or not value.strip():
                raise InvalidInput(name, f"{value!r} is not a text")
        target = "/api/v1/utils/timezones/convert"
        answer = await self._open_engine.session.exchange("GET", target, params={"ts": text, "tz": time_zone})
        converted = decode_answer(answer, str)
        try:
            return parse_wire(converted)
        except ValueError as error:
            raise MalformedAnswer(answer.url, "$", f"expected a timestamp, got {converted!r}") from error

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send any request and return the answer as it came: status, headers and body.

        Args:
            method: `GET`, `POST`, …; those that may do harm when sent twice are sent once.
            path: Below the base URL (`/api/v1/…`), or a URL, which gets our credentials only at the same origin.
            params: Go into the query; encoded here. A list repeats its name, None leaves it out.
            body: Sent as it is when it is bytes or a text, as JSON otherwise; None sends none.
            headers: Beside those that every request has.

        Raises:
            HttpError: The service answered with an error status.
        """
        session = self._open_engine.session
        if not isinstance(method, str) or not method.isalpha():
            raise InvalidInput("method", f"{method!r} is not an HTTP method")
        if not isinstance(path, str) or not path.startswith(("/", "http://", "https://")):
            raise InvalidInput("path", f"{path!r} does not begin with / (or http:// or https://)")
        for field, given in (("params", params), ("headers", headers)):
            if given is not None and not isinstance(given, Mapping):
                raise InvalidInput(field, f"{given!r} is not a dictionary")
        for name, value in (headers or {}).items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise InvalidInput(f"headers.{name}", f"{value!r} is not a text")
        texts = {str(name): _param(value) for name, value in (params or {}).items() if value is not None}
        return await session.exchange(method, path, params=texts or None, body=_encoded(body), headers=headers)


@asynccontextmanager
async def _collector(config: Config) -> AsyncGenerator[Collector, None]:
    """Collect in another process."""
    async with AuroraX(config) as client:
        yield client._desk().collect


def _param(value: object) -> str | list[str]:
    if isinstance(value, list | tuple):
        return [_text(one) for one in value]
    return _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _encoded(body: object) -> bytes | None:
    if body is None:
        return None
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("body", f"is not JSON: {error}") from None


def _path_inside(folder: Path, name: str, taken: set[str]) -> Path:
    """Return the file `name` in `folder`, which no other result of the run has and which cannot lie outside."""
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise InvalidInput("name", f"{name!r} is not the name of a file inside {folder}")
    spelling = os.path.normcase(os.path.normpath(name))
    if spelling in taken:
        raise InvalidInput("name", f"{name!r} is the file of another query of this run already")
    taken.add(spelling)
    return folder / name


def _file_name(format: Format) -> Callable[[int, Query], str]:
    def name(index: int, query: Query) -> str:
        start, end = (to_wire(moment).replace("-", "").replace(":", "") for moment in (query.start, query.end))
        return f"{kind_of(query).name}_{start}_{end}_{index:06d}.{ending(format)}"

    return name
