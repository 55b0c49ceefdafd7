"""Verbs of the asynchronous classes made blocking, one line each: name, arguments and types stay what they are."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from aurora_async.sync._loop import BlockingLoop, the_loop

__all__ = ["blocking", "blocking_function", "here", "streaming"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

# A class with such verbs has `_asynchronous`, whose verbs they are, and `_loop`, which opens the client if need be.


def blocking(verb: Callable[Concatenate[S, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """Make a verb blocking."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop: BlockingLoop = self._loop
        return loop.run(verb, self._asynchronous, *args, **kwargs)

    return _described(method, verb)


def here(verb: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Take over a verb that waits for nothing, and so needs no loop."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return verb(self._asynchronous, *args, **kwargs)

    return _described(method, verb)


def streaming(
    verb: Callable[Concatenate[S, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Any, P], Generator[T, None, None]]:
    """Make an asynchronous generator a usual one, whose reader sets the pace."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        loop: BlockingLoop = self._loop
        yield from loop.stream(verb(self._asynchronous, *args, **kwargs))

    return _described(method, verb)


def blocking_function(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a verb that belongs to no client blocking."""

    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        return the_loop().run(verb, *args, **kwargs)

    return _described(function, verb)


def _described(method: Callable[P, T], verb: Callable[..., Any]) -> Callable[P, T]:
    """Give a method name, text and signature of its verb, but not itself: nobody must take it for a coroutine."""
    update_wrapper(method, verb)
    del method.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(verb)
    returns = re.sub(r"AsyncGenerator\[(.*), None\]", r"Generator[\1, None, None]", signature.return_annotation)
    method.__signature__ = signature.replace(return_annotation=returns)  # type: ignore[attr-defined]
    return method
