"""The structures of series, asked for once however many want them at the same time."""

from __future__ import annotations

from functools import partial

import anyio
import attrs

from aurora_async.engine import Engine
from aurora_async.errors import AuroraError, ClientClosed
from aurora_async.jsoc.cgi import ask
from aurora_async.jsoc.models import SeriesInfo
from aurora_async.jsoc.servers import JsocServer
from aurora_async.jsoc.wire import decode_structure

__all__ = ["Structures"]

_FRESH_S = 600.0
_MOST = 1000


@attrs.define(eq=False)
class _Lookup:
    """One question for a structure, under way or answered."""

    ended: anyio.Event = attrs.field(factory=anyio.Event)
    info: SeriesInfo | None = None
    error: AuroraError | None = None
    fresh_until: float = 0.0


class Structures:
    """Knows each series' structure for ten minutes; of what is asked at once, one request is made.

    It is made for all who wait, in the client's own task group, so that no one of them takes it along when he leaves.
    """

    def __init__(self, engine: Engine, server: JsocServer) -> None:
        self._engine = engine
        self._server = server
        self._lookups: dict[str, _Lookup] = {}

    async def get(self, series: str) -> SeriesInfo:
        """Return the structure of a series, whose name may have any case."""
        key = series.lower()
        lookup = self._lookups.get(key)
        if lookup is None or (lookup.ended.is_set() and anyio.current_time() >= lookup.fresh_until):
            self._make_room()
            lookup = self._lookups[key] = _Lookup()
            self._engine.start(partial(self._look_up, series, lookup), name=f"structure of {series}")
        await lookup.ended.wait()
        if lookup.error is not None:
            raise lookup.error
        assert lookup.info is not None, "a lookup ends with one or the other"
        return lookup.info

    async def _look_up(self, series: str, lookup: _Lookup) -> None:
        lookup.error = ClientClosed()  # what is so if this is cancelled
        try:
            url = self._server.cgi_url(self._server.info_cgi)
            answer = await ask(self._engine.session, url, {"op": "series_struct", "ds": series})
            lookup.info = decode_structure(answer.body, answer.url, series)
            lookup.error = None
            lookup.fresh_until = anyio.current_time() + _FRESH_S
        except AuroraError as error:
            lookup.error = error  # told to those who wait now; whoever comes later asks again
        finally:
            lookup.ended.set()

    def _make_room(self) -> None:
        if len(self._lookups) >= _MOST:
            now = anyio.current_time()
            kept = {key: one for key, one in self._lookups.items() if not one.ended.is_set() or one.fresh_until > now}
            self._lookups = kept if len(kept) < _MOST else {}
