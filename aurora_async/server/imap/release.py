"""`/release`: files are made public, as a manifest that was uploaded before says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import attrs
from aiohttp import web

from aurora_async.errors import InvalidInput
from aurora_async.imap.filenames import ReleaseName, compact
from aurora_async.server.imap.answers import Caller, crash, json_answer, parameters, refusal, text_answer
from aurora_async.server.imap.catalog import Catalog, Condition
from aurora_async.server.imap.gateway import Gateway

__all__ = ["Line", "ReleaseRoutes", "lines_of"]

_TYPES = ["release", "unrelease", "early-release"]
_PARAMETERS = ["release_type", "manifest_file"]

ReadObject = Callable[[str], Awaitable[bytes | None]]
"""Returns the content of an uploaded file by its path in the archive, None if there is none."""


@attrs.frozen
class Line:
    """What one line of a manifest makes public."""

    instrument: str
    data_type: str
    """A level, `ancillary`, or `all`."""
    descriptor: str
    """Or `all`."""

    @property
    def has_science(self) -> bool:
        """Whether it is about science files."""
        return self.data_type != "ancillary"

    @property
    def has_ancillary(self) -> bool:
        """Whether it is about ancillary files."""
        return self.data_type in ("ancillary", "all")

    def conditions(self) -> list[Condition]:
        """Return what files of either kind must fulfil."""
        found: list[Condition] = [("instrument = ?", (self.instrument,))]
        if self.descriptor != "all":
            found.append(("descriptor = ?", (self.descriptor,)))
        return found


def lines_of(manifest: str) -> Iterator[Line]:
    """Yield what a manifest makes public.

    Raises:
        ValueError: A line has not four fields.
    """
    for line in map(str.strip, manifest.splitlines()):
        if not line or line.startswith(("#", "instrument,")):
            continue
        instrument, data_type, descriptor, flag = (field.strip() for field in line.split(","))
        if flag.lower() == "true":
            yield Line(instrument, data_type, descriptor)


class ReleaseRoutes:
    """`/release`."""

    def __init__(self, catalog: Catalog, read_object: ReadObject) -> None:
        self._catalog = catalog
        self._read_object = read_object

    def add_to(self, gateway: Gateway) -> None:
        """Answer it."""
        gateway.add("GET", "/release", self._answer, "release")

    async def _answer(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        if caller.scope == "read":
            raise refusal(403, "Release operation denied. Your API key has read permissions.")
        given = parameters(request)
        if "release_type" not in given:
            raise crash()
        release_type = given["release_type"]
        if release_type not in _TYPES:
            raise refusal(400, f"'{release_type}' is not a valid release_type. Valid options are: {_TYPES}")
        for name in given:
            if name not in _PARAMETERS:
                message = f"'{name}' is not a valid query parameter. Valid query parameters are: {_PARAMETERS}"
                raise refusal(400, message)
        if release_type != "release":
            return text_answer(f"{release_type.capitalize().replace('-', ' ')} operation not supported yet.", 501)
        if not given.get("manifest_file"):
            raise refusal(400, "Missing required query parameter 'manifest_file' for release operation.")
        await self._release(given["manifest_file"])
        return json_answer(f"Successfully released data per specification in {given['manifest_file']}")

    async def _release(self, text: str) -> None:
        try:
            manifest = ReleaseName.parse(text)
        except InvalidInput:
            raise crash() from None
        content = await self._read_object(manifest.key)
        if content is None:
            raise crash()
        try:
            lines = list(lines_of(content.decode()))
        except ValueError:
            raise crash() from None
        await self._catalog.release(await asyncio.to_thread(self._keys, manifest, lines))

    def _keys(self, manifest: ReleaseName, lines: list[Line]) -> set[str]:
        first, last = compact(manifest.start_date), compact(manifest.end_date or manifest.start_date)
        keys = set[str]()
        for line in lines:
            if line.has_science:
                conditions = [*line.conditions(), ("start_date BETWEEN ? AND ?", (first, last))]
                if line.data_type != "all":
                    conditions.append(("data_level = ?", (line.data_type,)))
                keys.update(self._catalog.newest_science(conditions))
            if line.has_ancillary:
                keys.update(self._catalog.newest_ancillary(line.conditions(), first, last))
        return keys
