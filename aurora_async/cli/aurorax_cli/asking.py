"""One command's way to the service: the settings typed before it, a client, and errors as the official program says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import attrs
import click

from aurora_async.cli.exits import Terminated, run
from aurora_async.errors import (
    AuroraError,
    BadRequest,
    Conflict,
    ConnectTimeout,
    Forbidden,
    HttpError,
    InvalidInput,
    MaintenanceMode,
    NotFound,
    ReadTimeout,
    RequestError,
    TransportError,
    Unauthorized,
)

if TYPE_CHECKING:
    from aurora_async.aurorax import AuroraX
    from aurora_async.config import Config

__all__ = ["Settings", "ask", "fail", "told", "told_of_request"]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Settings:
    """What was typed before the command; the environment is asked for what was not."""

    base_url: str | None = None
    api_key: str | None = attrs.field(default=None, repr=lambda key: "None" if key is None else "***")
    timeout_s: float | None = None

    def config(self, **changes: Any) -> Config:
        """Return the client's configuration."""
        from aurora_async.config import Config, Timeouts

        if self.timeout_s is not None:
            try:
                changes["timeouts"] = Timeouts(connect_s=self.timeout_s, read_s=self.timeout_s)
            except InvalidInput as error:
                raise InvalidInput("--api-timeout", error.reason) from None
        return Config.from_environment(base_url=self.base_url, api_key=self.api_key, **changes)


def fail(text: str) -> NoReturn:
    """Say why on stdout, where the official program does, and exit with 1."""
    click.echo(text)
    raise click.exceptions.Exit(1)


def ask(
    settings: Settings,
    work: Callable[[AuroraX], Awaitable[T]],
    *,
    said: Callable[[AuroraError], str] | None = None,
    **changes: Any,
) -> T:
    """Run `work` with a client and return its result; an error ends the program with what `said` makes of it."""
    from aurora_async.aurorax import AuroraX

    async def inside() -> T:
        # As requests, also where one exchange would do: their identifiers are printed and name the files.
        async with AuroraX(settings.config(**changes), synchronous=False) as client:
            return await work(client)

    try:
        return run(inside())
    except AuroraError as error:
        fail((said or told)(error))
    except Terminated as error:
        raise click.exceptions.Exit(128 + error.number) from None


def told(error: AuroraError) -> str:
    """Write an error as the official program does: its own name for the class, and the text."""
    name, text = _named(error)
    return f"{name} occurred: {text}" if name else f"Error: {text}"


def told_of_request(error: AuroraError) -> str:
    """The same, of a command that asks about one request."""
    if isinstance(error, NotFound):
        return "AuroraXAPIError occurred: request ID not found"
    name, text = _named(error)
    return f"{name} occurred: unexpected error -- {text}" if name == "AuroraXAPIError" else told(error)


def _named(error: AuroraError) -> tuple[str, str]:
    from aurora_async.aurorax import NoSuchSource

    if isinstance(error, InvalidInput) and isinstance(error.__cause__, BadRequest):
        error = error.__cause__  # the service's own words about a query
    match error:
        case NoSuchSource():
            return "AuroraXNotFoundError", "No matching data source found"
        case Unauthorized():
            return "AuroraXUnauthorizedError", f"API error code 401: {error.detail or 'unauthorized'}"
        case Forbidden():
            return "AuroraXUnauthorizedError", f"API error code 403: {error.detail or 'not permitted'}"
        case Conflict():
            kind = "Duplicate" if error.code == "Duplicate" else "Conflict"
            return f"AuroraX{kind}Error", f"{error.code or kind} - {error.detail}"
        case MaintenanceMode():
            return "AuroraXMaintenanceError", error.detail
        case HttpError():
            words = error.detail or ("not found" if isinstance(error, NotFound) else error.code or "no reason given")
            return "AuroraXAPIError", f"API error code {error.status}: {words}"
        case ReadTimeout() | ConnectTimeout():
            return "AuroraXAPIError", "API request timeout reached"
        case TransportError():
            return "AuroraXAPIError", str(error)
        case RequestError():
            return "AuroraXSearchError", str(error)
        case _:
            return "", str(error)
