"""What the clients of all services are: one session, one task group, one engine, from opening to closing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio
from anyio import AsyncContextManagerMixin

from aurora_async.config import Config
from aurora_async.engine.core import Engine
from aurora_async.engine.events import Events
from aurora_async.errors import ClientClosed, raise_bare
from aurora_async.http import Session, shown_url

__all__ = ["ServiceClient"]


class ServiceClient(AsyncContextManagerMixin):
    """A service, asynchronously: what its client is before it can be asked anything."""

    def __init__(self, config: Config) -> None:
        """Make a client; nothing is opened before `async with`."""
        self.config = config
        self._engine: Engine | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown_url(self.config.base_url)}>"

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self, None]:
        if self._engine is not None:
            raise RuntimeError("this client is open already")
        failure: BaseException | None = None
        try:
            async with (
                Session(self.config) as session,
                anyio.create_task_group() as cleaning,
                anyio.create_task_group() as tasks,
            ):
                engine = self._engine = Engine(self.config, session, tasks, cleaning)
                try:
                    yield self
                except BaseException as error:
                    failure = error  # raised below, unchanged: the task groups would wrap it
                finally:
                    engine.close()
                    tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise_bare(group, failure)
        finally:
            self._engine = None
            self._ended()
        if failure is not None:
            raise failure

    def _ended(self) -> None:
        """Forget what belonged to the time it was open."""

    @property
    def events(self) -> Events:
        """What happens to this client's requests, for progress displays and logs."""
        return self._open_engine.events

    @property
    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise ClientClosed
        return self._engine
