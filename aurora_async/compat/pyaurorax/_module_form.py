"""The one object behind the functions of the releases up to 0.13, which knew modules instead of objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from aurora_async.compat.pyaurorax.client import PyAuroraX

if TYPE_CHECKING:
    from aurora_async.compat.pyaurorax._searching import Search

__all__ = ["STANDARD_POLLING_SLEEP_TIME", "aurorax", "submitting"]

P = ParamSpec("P")
SearchT = TypeVar("SearchT", bound="Search[Any]")

STANDARD_POLLING_SLEEP_TIME = 1.0


@cache
def aurorax() -> PyAuroraX:
    """Return the object, made at the first call with the settings of the environment."""
    return PyAuroraX()


def submitting(make: Callable[P, SearchT]) -> Callable[P, SearchT]:
    """Return `search_async` of a kind of search; it takes what the search object takes."""

    def search_async(*args: P.args, **kwargs: P.kwargs) -> SearchT:
        """Submit a search, and return it at once."""
        made = make(*args, **kwargs)
        made.execute()
        return made

    search_async.__module__ = make.__module__
    search_async.__signature__ = inspect.signature(make)  # type: ignore[attr-defined]
    return search_async
