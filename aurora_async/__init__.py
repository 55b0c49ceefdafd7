"""An asyncio SDK for scientific services whose searches are submitted, polled and then downloaded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aurora_async._exports import *  # noqa: F403


# Whoever imports a part of the package alone (the command line's help, the pytest plugin) does not pay for the rest.
def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__all__":  # what Python itself looks for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    exports = import_module("aurora_async._exports")
    if name == "__all__" or name in exports.__all__:
        value = globals()[name] = getattr(exports, name)
        return value
    if name in globals():  # a module below, which is imported by now
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("aurora_async._exports").__all__})
