"""A batch, blocking: what `aurora_async.Batch` does, under the same names, without `await`."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aurora_async.engine import Batch as AsyncBatch
from aurora_async.engine import BatchFolder
from aurora_async.sync._loop import BlockingLoop
from aurora_async.sync._verbs import blocking, streaming

__all__ = ["Batch"]


class Batch:
    """A named set of queries in a folder; see `aurora_async.Batch`. Used as `with client.batch(…) as batch`.

    Ctrl-C while it runs ends the run at once, and the next one goes on from there.
    """

    def __init__(self, client: Any, make: Callable[[], AsyncBatch]) -> None:
        """Made by a client's `batch`; `make` makes the asynchronous one, in the loop."""
        self._client = client

        async def made() -> AsyncBatch:
            return make()

        self._asynchronous = self._loop.run(made)

    @property
    def _loop(self) -> BlockingLoop:
        loop: BlockingLoop = self._client._loop
        return loop

    @property
    def folder(self) -> BatchFolder:
        """Its folder, which can be looked at without a client."""
        return self._asynchronous.folder

    def __enter__(self) -> Self:
        self._loop.run(self._asynchronous.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.run(self._asynchronous.__aexit__, kind, error, traceback)

    run = streaming(AsyncBatch.run)
    finish = blocking(AsyncBatch.finish)
    retry = blocking(AsyncBatch.retry)
    cancel = blocking(AsyncBatch.cancel)
    status = blocking(AsyncBatch.status)
    verify = blocking(AsyncBatch.verify)
    report = blocking(AsyncBatch.report)

    def stop(self) -> None:
        """Submit nothing more and finish the transfers that are under way; may be called from any thread.

        It stops the run that is on, not one that has not begun.
        """
        self._loop.call_soon(self._asynchronous.stop)
