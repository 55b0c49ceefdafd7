"""Files from URLs, blocking: `aurora_async.fetch` and `fetch_many` without `await`."""

from __future__ import annotations

from aurora_async import transfer
from aurora_async.sync._verbs import blocking_function

__all__ = ["fetch", "fetch_many"]

fetch = blocking_function(transfer.fetch)
fetch_many = blocking_function(transfer.fetch_many)
