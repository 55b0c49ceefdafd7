"""`Location`, where the releases of 2022 had it."""

from aurora_async.compat.pyaurorax.search.location import Location

__all__ = ["Location"]
__dir__ = __all__.copy
