"""The way of the `jsoc` commands to their service: its options, and a client that is open while a command works."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from aurora_async.cli.exits import Common, Failed, run
from aurora_async.cli.options import common_options, remember
from aurora_async.errors import InvalidInput

if TYPE_CHECKING:
    from aurora_async.jsoc.client import Jsoc

__all__ = ["JsocAccess", "address_of", "ask_jsoc", "in_our_words", "jsoc_options"]

T = TypeVar("T")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def jsoc_options(function: FunctionT) -> FunctionT:
    """Add the shared options, and those that say which service is asked by whom."""
    for option in (
        common_options(service=False),
        click.option("--email", metavar="ADDRESS", expose_value=False, callback=remember,
                     help="Your registered address, which exports need.  [env: JSOC_EMAIL]"),
        click.option("--server", type=click.Choice(["jsoc", "kis"]), expose_value=False, callback=remember,
                     help="Ask this service.  [default: jsoc]"),
        click.option("--base-url", metavar="URL", expose_value=False, callback=remember,
                     help="Ask a service with JSOC's layout there, such as a local one.  [env: JSOC_BASE_URL]"),
    ):  # fmt: skip
        function = option(function)
    return function


@attrs.frozen
class JsocAccess:
    """Which service is asked, and by whom."""

    server: str = "jsoc"
    base_url: str | None = None
    email: str | None = None

    @classmethod
    def of(cls, common: Common) -> JsocAccess:
        """Read the settings: what was typed wins over the environment."""
        if common.server is not None and common.base_url is not None:
            raise click.UsageError("say which service with either --server or --base-url")
        base_url = common.base_url
        if base_url is None and common.server is None:
            base_url = os.environ.get("JSOC_BASE_URL") or None
        # An empty text was typed as well.
        email = os.environ.get("JSOC_EMAIL") if common.email is None else common.email
        return cls(common.server or "jsoc", base_url, email or None)

    def client(self) -> Jsoc:
        """Make a client, to be opened."""
        from aurora_async.jsoc.client import Jsoc

        return Jsoc(server=self.server, base_url=self.base_url, email=self.email)


def ask_jsoc(common: Common, work: Callable[[Jsoc], Awaitable[T]]) -> T:
    """Run `work` with a client and return what it gives."""
    access = JsocAccess.of(common)

    async def inside() -> T:
        with in_our_words(common):
            async with access.client() as client:
                return await work(client)

    return run(inside())


@contextmanager
def in_our_words(common: Common) -> Iterator[None]:
    """Let errors say what to type next, not which method to call."""
    from aurora_async.jsoc.errors import AddressNotRegistered, NoSuchSeries

    try:
        yield
    except NoSuchSeries as error:
        look = common.command("jsoc", "series", "PATTERN")
        raise Failed(f"there is no series {error.asked}; look for it with: {look}", 2) from error
    except AddressNotRegistered as error:
        register = common.command("jsoc", "email", error.address, "--register")
        raise Failed(
            f"{error.address} cannot export anything: {error.reason}; register it with: {register}", 2
        ) from error


def address_of(common: Common, address: str | None) -> str:
    """Return the address that was typed behind a command, or the one that holds for all of them."""
    address = address or JsocAccess.of(common).email
    if address is None:
        raise InvalidInput("email", "is missing: give an address, --email, or set JSOC_EMAIL")
    return address
