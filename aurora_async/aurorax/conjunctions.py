"""Conjunction searches: when footprints came close, and where else one can look at the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio.to_thread
import msgspec

from aurora_async.aurorax import links
from aurora_async.aurorax.models import Conjunction, ConjunctionQuery
from aurora_async.aurorax.searches import QueryDocument, Searches
from aurora_async.aurorax.wire import decode_answer
from aurora_async.engine import RequestId
from aurora_async.transfer import PartFile, ensure_writable

__all__ = ["ConjunctionSearches"]


class ConjunctionSearches(Searches[ConjunctionQuery, Conjunction]):
    """Searches for conjunctions."""

    async def count_combinations(self, query: ConjunctionQuery | QueryDocument) -> int:
        """Return to how many tuples of data sources, one of each block, a query expands: the effort of the search.

        Source: AuroraX API, POST api/v1/utils/describe/cartesian_products.
        """
        return await self._ask_about(query, "/api/v1/utils/describe/cartesian_products", int)

    def page_url(self, request_id: RequestId, *, expert: bool = False) -> str:
        """Return the address of the AuroraX page that shows the result of a request."""
        return links.page_url(request_id, expert=expert)

    def swarmaurora_url(self, request_id: RequestId) -> str:
        """Return the address of the Swarm-Aurora page that shows the result of a request."""
        return links.swarmaurora_url(request_id)

    async def swarmaurora_import(self, request_id: RequestId) -> list[dict[str, Any]]:
        """Return what Swarm-Aurora makes of a request's result: the objects of its custom import file."""
        answer = await self._engine.session.exchange("GET", links.swarmaurora_import_url(request_id))
        return decode_answer(answer, list[dict[str, Any]])

    async def save_swarmaurora_import(self, request_id: RequestId, target: Path | str = ".") -> Path:
        """Write the custom import file for Swarm-Aurora, and return its path.

        `target` is the file, or an existing folder, in which it is called
        `swarmaurora_custom_import_<request_id>.json`.
        """
        links.swarmaurora_import_url(request_id)  # what is no identifier is refused before the folder is touched
        path = Path(target)
        if await anyio.to_thread.run_sync(path.is_dir):
            path /= f"swarmaurora_custom_import_{quote(request_id, safe='')}.json"
        await ensure_writable(path)
        document = await self.swarmaurora_import(request_id)
        async with PartFile(path) as part:
            await part.run(part.write_here, msgspec.json.format(msgspec.json.encode(document), indent=4))
            await part.commit()
        return path
