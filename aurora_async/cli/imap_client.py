"""The way of the `imap` commands to their service: its options, and a client that is open while a command works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aurora_async.cli.exits import Common, Failed, run
from aurora_async.cli.options import common_options, remember
from aurora_async.errors import InvalidInput, Unauthorized

if TYPE_CHECKING:
    from aurora_async.imap import Imap, ImapConfig, InvalidFileName

__all__ = ["ask_imap", "config_of", "imap_options", "in_our_words", "short"]

T = TypeVar("T")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_TYPED = {"base_url": "--base-url", "api_key": "--api-key", "access_token": "--access-token", "data_dir": "--data-dir",
          "webpoda_token": "--webpoda-token"}  # fmt: skip


def imap_options(function: FunctionT) -> FunctionT:
    """Add the shared options, and those that say which service is asked by whom, and where files are."""
    for option in (
        common_options(service=False),
        click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", expose_value=False,
                     callback=remember,
                     help="Where files are, in the folders they have in the archive.  [env: IMAP_DATA_DIR; default: "
                          "data]"),
        click.option("--access-token", metavar="TOKEN", expose_value=False, callback=remember,
                     help="Of LASP's login, instead of a key.  [env: IMAP_ACCESS_TOKEN]"),
        click.option("--api-key", metavar="KEY", expose_value=False, callback=remember,
                     help="Your key: shows what is not released, and lets you upload.  [env: IMAP_API_KEY]"),
        click.option("--base-url", metavar="URL", expose_value=False, callback=remember,
                     help="The service to ask.  [env: IMAP_DATA_ACCESS_URL; default: https://api.imap-mission.com]"),
    ):  # fmt: skip
        function = option(function)
    return function


def config_of(common: Common) -> ImapConfig:
    """Read the settings: what was typed wins over the environment."""
    from aurora_async.imap import ImapConfig

    try:
        return ImapConfig.from_environment(**{name: getattr(common, name) for name in _TYPED})
    except InvalidInput as error:
        typed = getattr(common, error.field, None) is not None
        raise InvalidInput(_TYPED.get(error.field, error.field) if typed else error.field, error.reason) from None


def ask_imap(common: Common, work: Callable[[Imap], Awaitable[T]]) -> T:
    """Run `work` with a client and return what it gives."""

    from aurora_async.imap import Imap

    async def inside() -> T:
        with in_our_words(common):
            async with Imap(config_of(common)) as client:
                return await work(client)

    return run(inside())


@contextmanager
def in_our_words(common: Common) -> Iterator[None]:
    """Let errors say what to type next, not which argument to give."""
    from aurora_async.imap.errors import (
        AlreadyExists,
        NoSuchFile,
        NotAllowed,
        NotIdentified,
        NotOffered,
        NotReleased,
        QueryRefused,
    )
    from aurora_async.imap.filenames import InvalidFileName

    try:
        yield
    except InvalidFileName as error:
        raise Failed(short(error), 2) from error
    except QueryRefused:
        raise
    except InvalidInput as error:
        raise InvalidInput(_as_typed(error.field), error.reason) from error
    except NoSuchFile as error:
        raise Failed(f"the archive has no {_name(error.key)}; {_where_to_look(common, error.key)}") from error
    except NotReleased as error:
        raise Failed(f"{_name(error.key)} is not released; --api-key or --access-token would show it") from error
    except AlreadyExists as error:
        raise Failed(
            f"the archive has {_name(error.key)} already, and replaces no file: give yours the next version, or pass "
            "over it with --exists skip"
        ) from error
    except (NotAllowed, NotIdentified) as error:
        key = "the key is unknown there, or may not do that" if common.api_key else "--api-key may be needed"
        said = error.detail.rstrip(".") or error.status
        raise Failed(f"the service refuses: {said}; {key}") from error
    except NotOffered as error:
        key = "" if common.api_key else "; --api-key may be needed"
        raise Failed(f"the service has no such operation{key}") from error
    except Unauthorized as error:
        raise Failed("the packet service refuses this login; --webpoda-token is base64 of user:password") from error


def _as_typed(field: str) -> str:
    """Name what is wrong as it is typed."""
    context = click.get_current_context(silent=True)
    param = next((one for one in context.command.params if one.name == field), None) if context is not None else None
    if param is None:
        return "FILE" if field == "path" else field
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def short(error: InvalidFileName) -> str:
    """Say what is wrong with a name in one line: all the forms that there are take seven."""
    if error.field == "name":
        return f"{error.name!r} is not a file name of IMAP, such as imap_mag_l2_norm-dsrf_20260412_v001.0008.cdf"
    return str(error).splitlines()[0]


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _where_to_look(common: Common, key: str) -> str:
    from aurora_async.imap import QuicklookName, ScienceName, SpiceName, parse_name

    name = parse_name(key)
    match name:
        case ScienceName() | QuicklookName():
            day = f"{name.start_date:%Y%m%d}"
            filters = ["--instrument", name.instrument, "--data-level", name.data_level, "--descriptor",
                       name.descriptor, "--start-date", day, "--end-date", day]  # fmt: skip
            table = [] if name.kind == "science" else ["--table", name.kind]
            return f"see what it has of that day: {common.command('imap', 'query', *table, *filters)}"
        case SpiceName():
            return f"see which it has: {common.command('imap', 'spice', name.type)}"
        case _:
            return "names are case-sensitive"
