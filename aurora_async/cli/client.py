"""A command's way to the service: the settings that were typed, a client that is open while the command works."""

from __future__ import annotations

import getpass
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from aurora_async.cli.exits import Common, run
from aurora_async.errors import InvalidInput

if TYPE_CHECKING:
    from aurora_async.aurorax import AuroraX
    from aurora_async.aurorax.searches import Searches
    from aurora_async.config import Config

__all__ = ["Access", "ask", "searches_of"]

T = TypeVar("T")


@attrs.frozen
class Access:
    """Which server is asked, and by whom."""

    config: Config
    email_address: str | None = None
    password: str | None = attrs.field(default=None, repr=lambda password: "None" if password is None else "***")

    @classmethod
    def of(cls, common: Common) -> Access:
        """Read the settings; asks for the password where one is needed, so call it before anything is under way."""
        from aurora_async.config import Config, origin_of

        # What was typed wins over the environment; an empty text was typed as well.
        typed: dict[str, Any] = {}
        if common.base_url is not None:
            origin_of(common.base_url)
            typed["base_url"] = common.base_url
        if common.api_key is not None:
            typed["api_key"] = common.api_key
        config = Config.from_environment(**typed)
        if common.login is None:
            return cls(config)
        return cls(config, common.login, _password_of(common.login))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AuroraX]:
        """Open a client. It makes requests also where one exchange would do: their identifiers are worth having."""
        from aurora_async.aurorax import AuroraX

        async with AuroraX(self.config, synchronous=False) as client:
            if self.email_address is None or self.password is None:
                yield client
                return
            await client.authenticate(self.email_address, self.password)
            yield client
            await client.end_session()


def ask(common: Common, work: Callable[[AuroraX], Awaitable[T]]) -> T:
    """Run `work` with a client and return what it gives."""
    access = Access.of(common)

    async def inside() -> T:
        async with access.client() as client:
            return await work(client)

    return run(inside())


def searches_of(client: AuroraX, kind: str) -> Searches[Any, Any]:
    """Return the searches of a kind: `conjunctions`, `ephemeris` or `data_products`."""
    searches: Searches[Any, Any] = getattr(client, kind)
    return searches


def _password_of(email_address: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"Password of {email_address}: ")
        except KeyboardInterrupt:
            raise click.Abort from None
        except (getpass.GetPassWarning, EOFError) as error:
            if isinstance(error, EOFError) and sys.stdin.isatty():  # Ctrl-D
                raise click.Abort from None
            reason = "asks for the password on a terminal, and there is none; use an API key"
            raise InvalidInput("--login", reason) from None
