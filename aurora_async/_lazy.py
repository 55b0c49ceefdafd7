"""Packages whose names are imported when they are first used, so that whoever uses one does not wait for all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a package that offers `names`: of each module, those it has.

    Those modules are attributes, too, where they are the package's own and for others to use. Nothing else is imported,
    whatever is asked for. What type checkers are to see the package imports under TYPE_CHECKING.
    """
    homes = {name: home for home, of_it in names.items() for name in of_it.split()}
    below = (home.removeprefix(f"{package}.") for home in names)
    modules = {name for name in below if name.isidentifier() and not name.startswith("_")}

    def getattribute(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(homes[name]), name)
        elif name in modules:
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        vars(sys.modules[package])[name] = value
        return value

    return getattribute, lambda: sorted({*vars(sys.modules[package]), *homes}), sorted(homes)
