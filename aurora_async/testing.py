"""A pytest plugin: AuroraX, JSOC and IMAP on this computer, going wrong on demand, for tests of programs that use them.

It comes with the package (and needs its extra `server`); nothing has to be imported or configured.

```python
async def test_we_survive_a_broken_download(aurora_client, aurora_faults, tmp_path):
    cut = aurora_faults.cut("*/data", at=0.5, times=1)           # the first download breaks off in the middle
    aurora_faults.status(503, "*/requests/*", times=2, retry_after=0.1)
    query = EphemerisQuery(start="2020-01-01", end="2020-01-03", programs="themis-asi", platforms="gillam")
    saved = await aurora_client.ephemeris.download(query, tmp_path / "gillam.json")
    assert saved.records == 2476 and cut.hits == 1


def test_our_script_asks_once(aurora_server, aurora_faults):
    our_script.main(["--base-url", aurora_server.base_url])
    assert len(aurora_faults.requests("*/search", method="POST")) == 1
```

Fixtures:
    aurora_server: The running services, a `LocalServer`: `base_url` for whatever is tested.
    aurora_faults: What goes wrong, a `FaultScript`; everything is well again after the test.
    aurora_client: An open `aurora_async.AuroraX`, for tests under pytest-asyncio (in its mode `auto`, or marked with
        `pytest.mark.asyncio`) or anyio's plugin.
    aurora_sync_client: An open `aurora_async.sync.AuroraX`, for tests that are plain functions.
    jsoc_client: An open `aurora_async.Jsoc` with a registered address, otherwise like `aurora_client`. Exports are
        submitted at `*/jsoc_fetch`, and `/SUM*` are their files.
    jsoc_sync_client: An open `aurora_async.sync.Jsoc`.
    imap_client: An open `aurora_async.Imap` with a key that sees and may do everything, and a data directory of its
        own. Everything is at `*/imap/*`; files come from a port of their own, at `/imap/mag/*` and so on.
    imap_sync_client: An open `aurora_async.sync.Imap`.
    imap_config: The `aurora_async.ImapConfig` of both.
    aurora_config: The `aurora_async.Config` of all clients: they try again sooner than others. Define it yourself for
        an API key or other waits.
    aurora_server_settings: Fields of `ServiceSettings` as a dictionary, such as `{"server_time_s": 2}`. Define it
        yourself, with the scope of the server.

One server serves all tests of a run, so searches and uploads of one test are there in the next. With
`aurora_server_scope = "function"` (or `class`, `module`, `package`) in pytest's configuration each has its own.

The server runs in a thread, with an event loop of its own: a test may block, and faults act at once.
"""

from __future__ import annotations

import base64
import fnmatch
import inspect
import types
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypedDict, TypeVar, Unpack
from urllib.parse import urlencode

import pytest

if TYPE_CHECKING:
    from aurora_async import AuroraX, Config, Jsoc, sync
    from aurora_async.imap import Imap, ImapConfig
    from aurora_async.server.app import LocalService, ServiceSettings
    from aurora_async.server.faults import Fault, Faults, Seen
    from aurora_async.server.rules import FaultRule, Place

__all__ = ["FaultScript", "LocalServer", "Which"]

P = ParamSpec("P")
T = TypeVar("T")

_SCOPES = ("session", "package", "module", "class", "function")


class LocalServer:
    """The local services in a thread: `with LocalServer() as server: … server.base_url …`.

    Args:
        settings: Fields of `aurora_async.server.app.ServiceSettings`, of which `jsoc` and `imap` may be
            dictionaries of fields of `JsocSettings` and `ImapSettings`. Searches are computed in threads, and exports
            take no time, unless they say otherwise.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = {"workers": 0, "product_urls": "local", "jsoc": {}, "imap": {}, **settings}
        self._exits = ExitStack()
        self._service: LocalService | None = None

    def __repr__(self) -> str:
        return f"<LocalServer {'stopped' if self._service is None else self.base_url}>"

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        from aurora_async.errors import MissingExtra

        try:
            from aurora_async.server.app import ImapSettings, JsocSettings, LocalService, ServiceSettings
            from aurora_async.server.rules import refuse_unknown
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in ("numpy", "sgp4"):
                raise
            raise MissingExtra("server", missing) from error
        refuse_unknown(self._settings, list(inspect.signature(ServiceSettings).parameters), "ServiceSettings.")
        settings = dict(self._settings)
        if isinstance(jsoc := settings["jsoc"], Mapping):
            refuse_unknown(jsoc, list(inspect.signature(JsocSettings).parameters), "ServiceSettings.jsoc.")
            settings["jsoc"] = JsocSettings(**{"export_s": 0.0, "registration_s": 0.2, **jsoc})
        if isinstance(imap := settings["imap"], Mapping):
            refuse_unknown(imap, list(inspect.signature(ImapSettings).parameters), "ServiceSettings.imap.")
            settings["imap"] = ImapSettings(**imap)
        service = LocalService(ServiceSettings(**settings))
        with ExitStack() as exits:
            portal = exits.enter_context(start_blocking_portal("asyncio"))
            exits.enter_context(portal.wrap_async_context_manager(service))
            self._exits = exits.pop_all()
        self._service = service
        return self

    def __exit__(self, *_: object) -> None:
        self._service = None
        self._exits.close()

    @property
    def settings(self) -> ServiceSettings:
        """What the services were told."""
        return self._running.settings

    @property
    def _running(self) -> LocalService:
        if self._service is None:
            raise RuntimeError("the server is not running")
        return self._service

    @property
    def base_url(self) -> str:
        """What a client is given: `http://127.0.0.1:PORT`."""
        return self._running.base_url

    @property
    def email(self) -> str | None:
        """An address that is registered for exports, None if the settings name none."""
        return next(iter(self._running.settings.jsoc.addresses), None)

    @property
    def imap_url(self) -> str:
        """What a client of IMAP is given: `http://127.0.0.1:PORT/imap`."""
        return self._running.imap_url

    @property
    def imap_objects_url(self) -> str:
        """Where IMAP's files come from and go to: another port."""
        return self._running.imap_objects_url

    @property
    def imap_key(self) -> str | None:
        """An API key that may do everything at IMAP, None if the settings name none."""
        keys = self._running.settings.imap.api_keys
        return next((key for key, scope in keys.items() if scope == "full"), None)

    @property
    def imap_token(self) -> str | None:
        """An access token for IMAP, None if the settings name none."""
        return next(iter(self._running.settings.imap.access_tokens), None)

    @property
    def faults(self) -> Faults:
        """The rules by which things go wrong; a `FaultScript` has words for them."""
        return self._running.faults

    def file_url(self, size: int, seed: str = "a", *, digest: bool = False) -> str:
        """Return the URL of a file of `size` bytes, another for each seed; with `digest` it has a Repr-Digest."""
        query = {"seed": seed, "digest": "true"} if digest else {"seed": seed}
        return f"{self.base_url}/_local/bytes/{size}?{urlencode(query)}"

    def file_bytes(self, size: int, seed: str = "a", *, version: int = 1) -> bytes:
        """Return what is in that file, or in another version of it, which `FaultScript.change` serves."""
        from aurora_async.server.files import made_bytes

        return made_bytes(size, seed, version=version)


class Which(TypedDict, total=False):
    """Which of the exchanges on a path go wrong: fields of `aurora_async.server.rules.FaultRule`."""

    method: str
    ranged: bool
    nth: int | tuple[int, ...]
    skip: int
    every: int
    times: int
    probability: float
    seed: int
    each_path: bool
    delay_s: float


def _worded(method: Callable[P, Fault]) -> Callable[P, Fault]:
    """Have a word that is misspelt refused by the words of its own method, not by the fields of a rule."""
    words = [*list(inspect.signature(method).parameters)[1:-1], *Which.__annotations__]

    @wraps(method)
    def checked(*args: P.args, **named: P.kwargs) -> Fault:
        from aurora_async.server.rules import refuse_unknown

        refuse_unknown(named, words)
        return method(*args, **named)

    return checked


class FaultScript:
    """What goes wrong on a server, in words. Each returns a `Fault`, which counts its `hits`.

    A path is a pattern in which `*` stands for anything: `*/data` are the results of searches, `*/requests/*` are these
    and their statuses, `*/search` is where they are submitted, `*/search_synchronous` is where small ones are answered
    at once (unless the client was made with `synchronous=False`), `*/jsoc_fetch` is where exports are submitted and
    asked about, `/SUM*` are their files, `*/imap/*` is all of IMAP, `/imap/mag/*` are files of its, `*` is everything.

    All take the fields of `Which` as well: `times=2` lets the first two go wrong, `nth=3` the third, `every=10` every
    tenth, `probability=0.1, seed=1` as chance has it; `each_path=True` counts each path on its own.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __repr__(self) -> str:
        return f"<FaultScript {list(self._faults)}>"

    def add(self, rule: FaultRule | None = None, **fields: Any) -> Fault:
        """Add a rule, or one with the fields of a `FaultRule`: for what no other method has a word for."""
        return self._faults.add(rule, **fields)

    def remove(self, fault: Fault) -> None:
        """Have one act no more."""
        self._faults.remove(fault)

    def clear(self) -> None:
        """Have all go well, and forget which requests came."""
        self._faults.clear()
        self._faults.recording = True

    def requests(self, path: str = "*", *, method: str | None = None) -> list[Seen]:
        """Return the requests that reached the server during the test, in order."""
        return [
            seen
            for seen in list(self._faults.requests)
            if fnmatch.fnmatchcase(seen.path.partition("?")[0], path) and method in (None, seen.method)
        ]

    # Answers --------------------------------------------------------------------------------------------------------

    @_worded
    def status(
        self,
        status: int,
        path: str = "*",
        *,
        retry_after: float | None = None,
        as_date: bool = False,
        body: str | None = None,
        **which: Unpack[Which],
    ) -> Fault:
        """Answer with a status; `retry_after` in seconds, written as a date if wanted."""
        return self.add(
            path=path, status=status, retry_after_s=retry_after, retry_after_date=as_date, body=body, **which
        )

    @_worded
    def maintenance(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Answer 503 as in maintenance mode."""
        return self.add(path=path, maintenance=True, **which)

    @_worded
    def html_page(self, path: str = "*", *, status: int = 200, **which: Unpack[Which]) -> Fault:
        """Answer with a page that a proxy might show, by default with status 200."""
        page = "<!doctype html><html><head><title>Error</title></head><body><h1>Please try again</h1></body></html>"
        return self.add(path=path, status=status, body=page, **which)

    @_worded
    def malformed_json(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Damage the body in its middle."""
        return self.add(path=path, malformed=True, **which)

    @_worded
    def truncated_json(self, path: str = "*", *, short_by: int = 2, **which: Unpack[Which]) -> Fault:
        """Leave out the last bytes of the body; the message looks whole."""
        return self.add(path=path, short_by=short_by, overlook="Accept-Encoding", **which)

    @_worded
    def truncated_gzip(self, path: str = "*", *, short_by: int = 8, **which: Unpack[Which]) -> Fault:
        """Compress the body, asked or not, and leave out the last bytes; the message looks whole."""
        return self.add(path=path, gzip=True, short_by=short_by, **which)

    @_worded
    def wrong_length(self, path: str = "*", *, off: int, **which: Unpack[Which]) -> Fault:
        """Say that the body is longer by `off` bytes than it is, or (below 0) shorter."""
        return self.add(path=path, content_length_off=off, **which)

    @_worded
    def chunked(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Send the body in chunks, without its length."""
        return self.add(path=path, chunked=True, **which)

    # Time and connections -------------------------------------------------------------------------------------------

    @_worded
    def delay(self, path: str = "*", *, seconds: float, **which: Unpack[Which]) -> Fault:
        """Carry requests out later; other rules act on them as well."""
        which["delay_s"] = seconds
        return self.add(path=path, **which)

    @_worded
    def trickle(self, path: str = "*", *, bytes_per_s: float, **which: Unpack[Which]) -> Fault:
        """Send bodies slowly."""
        return self.add(path=path, bytes_per_s=bytes_per_s, **which)

    @_worded
    def stall(
        self,
        path: str = "*",
        *,
        at: float | Place | None = None,
        after: int | None = None,
        seconds: float | None = None,
        **which: Unpack[Which],
    ) -> Fault:
        """Fall silent at a part of the body (a half unless said otherwise), after some bytes of it, or at a `Place`.

        Without `seconds` it lasts until the client leaves or the test ends.
        """
        if at is None and after is None:
            at = 0.5
        return self.add(path=path, stall_at=at, stall_after=after, stall_s=seconds, **which)

    @_worded
    def cut(
        self,
        path: str = "*",
        *,
        at: float | Place | None = None,
        after: int | None = None,
        reset: bool = False,
        chunked: bool = False,
        **which: Unpack[Which],
    ) -> Fault:
        """Close the connection at a part of the body (by default a half), after some bytes, at a place."""
        if at is None and after is None:
            at = 0.5
        return self.add(path=path, cut_at=at, cut_after=after, reset=reset, chunked=chunked, **which)

    @_worded
    def lose_answer(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Carry the request out, then reset the connection before a byte of the answer is sent."""
        return self.add(path=path, cut_at="answer", reset=True, **which)

    # Files ----------------------------------------------------------------------------------------------------------

    @_worded
    def ignore_ranges(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Send the whole file also where a part is asked for."""
        return self.add(path=path, overlook="Range", **which)

    @_worded
    def wrong_range(self, path: str = "*", *, off: int = 1, **which: Unpack[Which]) -> Fault:
        """Say of a part that it begins and ends `off` bytes later than it does."""
        return self.add(path=path, content_range_off=off, **which)

    @_worded
    def no_validators(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Send neither ETag nor Last-Modified."""
        return self.add(path=path, headers={"ETag": "", "Last-Modified": ""}, **which)

    @_worded
    def change(
        self,
        path: str = "*",
        *,
        version: int = 2,
        kept: Literal["ETag", "Last-Modified"] | tuple[str, ...] = (),
        mixed: bool = False,
        **which: Unpack[Which],
    ) -> Fault:
        """Serve another version of the file from the second request on (`skip=1`, unless said otherwise).

        `kept` are validators that did not change with it. With `mixed`, the server sends parts of it also to who has a
        part of the first version and asked for no other (`If-Range`).
        """
        if "nth" not in which:
            which.setdefault("skip", 1)
        return self.add(path=path, version=version, kept=kept, overlook="If-Range" if mixed else (), **which)

    @_worded
    def expired_link(self, path: str, **which: Unpack[Which]) -> Fault:
        """Refuse the link to a file of IMAP's, such as `/imap/mag/*`, as one whose time is over."""
        body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'
        return self.add(path=path, status=403, body=body, content_type="application/xml", **which)

    # Searches and exports ---------------------------------------------------------------------------------------------

    @_worded
    def never_finishes(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Have searches and exports that are submitted never end."""
        return self.add(path=path, never_finishes=True, **which)

    @_worded
    def fails(self, path: str = "*", *, text: str = "a scripted fault", **which: Unpack[Which]) -> Fault:
        """Have searches and exports that are submitted end in an error, with `text` in its log or as its error."""
        return self.add(path=path, error_condition=text, **which)

    @_worded
    def expires(self, path: str = "*", **which: Unpack[Which]) -> Fault:
        """Have searches and exports that are submitted lose their results as they end."""
        return self.add(path=path, expired=True, **which)

    @_worded
    def wrong_count(self, path: str = "*", *, off: int, **which: Unpack[Which]) -> Fault:
        """Have what is submitted promise `off` results or files more than it has, or (below 0) fewer."""
        return self.add(path=path, result_count_off=off, **which)


# The plugin ---------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what can be configured."""
    parser.addini("aurora_server_scope", f"how long an aurora_server lives: {', '.join(_SCOPES)}", default="session")


def pytest_configure(config: pytest.Config) -> None:
    """Have the asynchronous client opened by pytest-asyncio, where that is there."""
    if config.getini("aurora_server_scope") not in _SCOPES:
        raise pytest.UsageError(f"aurora_server_scope: use one of {', '.join(_SCOPES)}")
    if config.pluginmanager.hasplugin("asyncio"):
        import pytest_asyncio

        # In its strict mode it takes care of its own fixtures only, and this module must not need it.
        fixtures = types.ModuleType("aurora_async.testing.asyncio")
        for name, opening in (("aurora", _open_aurora), ("jsoc", _open_jsoc), ("imap", _open_imap)):
            fixtures.__dict__[name] = pytest_asyncio.fixture(opening, name=f"_{name}_client_asyncio")
        config.pluginmanager.register(fixtures, "aurora-async-asyncio")


def _server_scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getini("aurora_server_scope")


@pytest.fixture(scope=_server_scope)
def aurora_server_settings() -> Mapping[str, Any]:
    """Settings of `aurora_server`, to be defined by whoever wants others."""
    return {}


@pytest.fixture(scope="session")
def _aurora_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Where servers that live shorter find the days that those before them have computed.
    return tmp_path_factory.mktemp("aurora-days")


@pytest.fixture(scope=_server_scope)
def aurora_server(aurora_server_settings: Mapping[str, Any], _aurora_days: Path) -> Iterator[LocalServer]:
    """AuroraX on this computer, in a thread."""
    with LocalServer(**{"days_dir": _aurora_days, **aurora_server_settings}) as server:
        yield server


@pytest.fixture
def aurora_faults(aurora_server: LocalServer) -> Iterator[FaultScript]:
    """What goes wrong on `aurora_server` during the test."""
    script = FaultScript(aurora_server.faults)
    script.clear()
    yield script
    aurora_server.faults.clear()


@pytest.fixture
def aurora_config(aurora_server: LocalServer) -> Config:
    """Settings of the clients: those that every client has, but for shorter waits."""
    from aurora_async import Config, Retries

    return Config(base_url=aurora_server.base_url, retries=Retries(first_s=0.02), trust_environment=False)


@pytest.fixture
def aurora_sync_client(aurora_config: Config) -> Iterator[sync.AuroraX]:
    """A blocking client of `aurora_server`."""
    from aurora_async.sync import AuroraX

    with AuroraX(aurora_config) as client:
        yield client


@pytest.fixture
def jsoc_sync_client(aurora_config: Config, aurora_server: LocalServer) -> Iterator[sync.Jsoc]:
    """A blocking client of the JSOC of `aurora_server`."""
    from aurora_async.sync import Jsoc

    with Jsoc(aurora_config, email=aurora_server.email) as client:
        yield client


@pytest.fixture
def imap_config(aurora_config: Config, aurora_server: LocalServer, tmp_path: Path) -> ImapConfig:
    """Settings of the clients of IMAP: those of the others, with a key, and a data directory of the test's own."""
    from aurora_async.imap import ImapConfig

    logins = aurora_server.settings.imap.webpoda_logins
    return ImapConfig(
        base_url=aurora_server.imap_url,
        api_key=aurora_server.imap_key,
        webpoda_token=base64.b64encode(logins[0].encode()).decode() if logins else None,
        data_dir=tmp_path / "imap-data",
        timeouts=aurora_config.timeouts,
        retries=aurora_config.retries,
        polling=aurora_config.polling,
        trust_environment=aurora_config.trust_environment,
    )


@pytest.fixture
def imap_sync_client(imap_config: ImapConfig) -> Iterator[sync.Imap]:
    """A blocking client of the IMAP of `aurora_server`."""
    from aurora_async.sync import Imap

    with Imap(imap_config) as client:
        yield client


@pytest.fixture
def aurora_client(request: pytest.FixtureRequest) -> AuroraX:
    """A client of `aurora_server`, open in the event loop of the test."""
    client: AuroraX = _open_in_loop(request, "aurora", "AuroraX")
    return client


@pytest.fixture
def jsoc_client(request: pytest.FixtureRequest) -> Jsoc:
    """A client of the JSOC of `aurora_server`, open in the event loop of the test."""
    client: Jsoc = _open_in_loop(request, "jsoc", "Jsoc")
    return client


@pytest.fixture
def imap_client(request: pytest.FixtureRequest) -> Imap:
    """A client of the IMAP of `aurora_server`, open in the event loop of the test."""
    client: Imap = _open_in_loop(request, "imap", "Imap", config="imap_config")
    return client


def _open_in_loop(request: pytest.FixtureRequest, service: str, name: str, config: str = "aurora_config") -> Any:
    """Have a client opened by whichever plugin runs the test."""
    if "anyio_backend" in request.fixturenames:
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            pytest.skip("aurora_async runs on asyncio")
        plugin = "anyio"
    elif request.config.pluginmanager.hasplugin("asyncio"):
        if inspect.iscoroutinefunction(request.function) and request.node.get_closest_marker("asyncio") is None:
            pytest.fail(
                "nobody runs this test: mark it with pytest.mark.asyncio, or set asyncio_mode = auto", pytrace=False
            )
        plugin = "asyncio"
    else:
        pytest.fail(
            f"{service}_client needs pytest-asyncio, or a test that is marked with pytest.mark.anyio;"
            f" in other tests use {service}_sync_client, or open {name}({config}) yourself",
            pytrace=False,
        )
    return request.getfixturevalue(f"_{service}_client_{plugin}")


async def _open_aurora(aurora_config: Config) -> AsyncIterator[AuroraX]:
    from aurora_async import AuroraX

    async with _held(AuroraX(aurora_config)) as client:
        yield client


async def _open_jsoc(aurora_config: Config, aurora_server: LocalServer) -> AsyncIterator[Jsoc]:
    from aurora_async import Jsoc

    async with _held(Jsoc(aurora_config, email=aurora_server.email)) as client:
        yield client


async def _open_imap(imap_config: ImapConfig) -> AsyncIterator[Imap]:
    from aurora_async.imap import Imap

    async with _held(Imap(imap_config)) as client:
        yield client


@asynccontextmanager
async def _held(client: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Open and close a client in one task: pytest-asyncio ends a fixture in another task than it began in."""
    import asyncio

    opened: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def hold() -> None:
        async with client as entered:
            opened.set_result(entered)
            await leave.wait()

    holding = asyncio.create_task(hold())
    either: list[asyncio.Future[Any]] = [holding, opened]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if holding.done():
        await holding
    try:
        yield opened.result()
    finally:
        leave.set()
        await holding


_aurora_client_anyio = pytest.fixture(_open_aurora, name="_aurora_client_anyio")
_jsoc_client_anyio = pytest.fixture(_open_jsoc, name="_jsoc_client_anyio")
_imap_client_anyio = pytest.fixture(_open_imap, name="_imap_client_anyio")
