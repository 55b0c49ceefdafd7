"""`serve`: the local services, until somebody stops them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_async.aurorax.models import ROLES
from aurora_async.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from aurora_async.server.imap.settings import ImapSettings
    from aurora_async.server.store import Account, Login

__all__ = ["require_server", "serve"]

_NEEDED = ("numpy", "sgp4", "cdflib")


def require_server() -> None:
    """Raise `MissingExtra` when what the services compute with is not installed."""
    for name in _NEEDED:
        try:
            is_there = find_spec(name) is not None
        except ImportError:
            is_there = False
        if not is_there:
            raise MissingExtra("server", name)


def serve(
    *,
    keys: tuple[str, ...],
    people: tuple[str, ...] = (),
    faults_file: Path | None = None,
    jsoc: Mapping[str, Any],
    imap: Mapping[str, Any],
    until_stdin_closes: bool,
    **settings: Any,
) -> None:
    """Run the local services until Ctrl-C, SIGTERM, or, when asked, the end of stdin."""
    require_server()
    try:
        from aurora_async.server.app import ImapSettings, JsocSettings, LocalService, ServiceSettings, serve
        from aurora_async.server.rules import read_rules
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        raise MissingExtra("server", missing) from error
    import asyncio

    accounts = dict(map(_account, keys))
    logins = tuple(map(_login, people))
    rules = () if faults_file is None else tuple(read_rules(faults_file))
    # No address or key means those that there are by default.
    jsoc_settings = JsocSettings(**_given(jsoc))
    imap_settings = ImapSettings(**_given({**imap, "api_keys": dict(map(_imap_key, imap["api_keys"])) or None}))
    if until_stdin_closes:
        threading.Thread(target=_end_with_stdin, name="parent", daemon=True).start()

    def tell_ready(service: LocalService) -> None:
        base_url = service.base_url
        click.echo(f"listening on {base_url}")
        if faults_file is not None:
            click.echo(f"faults are on: {len(rules)} {'rule' if len(rules) == 1 else 'rules'} of {faults_file}")
        click.echo(f"AuroraX:  {base_url}/api/v1/")
        click.echo(f"JSOC:     {base_url}/cgi-bin/ajax/, with exports for {', '.join(jsoc_settings.addresses)}")
        click.echo(f"IMAP:     {service.imap_url}, {_imap_access(imap_settings, imap['api_keys'])}")
        click.echo(f"IMAP objects: {service.imap_objects_url}/")
        click.echo(f"help:     {base_url}/")
        sys.stdout.flush()

    asyncio.run(
        serve(
            ServiceSettings(
                api_keys=accounts, logins=logins, faults=rules, jsoc=jsoc_settings, imap=imap_settings, **settings
            ),
            on_ready=tell_ready,
        )
    )


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, ())}


def _imap_key(text: str) -> tuple[str, str]:
    from aurora_async.server.imap.settings import SCOPES

    key, colon, scope = text.rpartition(":")
    if not colon:
        key, scope = text, "full"
    if not key.strip() or scope not in SCOPES:
        raise InvalidInput("--imap-key", f"write KEY or KEY:SCOPE with a scope of {', '.join(SCOPES)}")
    return key, scope


def _imap_access(settings: ImapSettings, given: Sequence[str]) -> str:
    if settings.is_open:
        return "open to everybody"
    if given:  # they may be secrets
        return f"with {len(given)} API {'key' if len(given) == 1 else 'keys'}"
    return f"with the API keys {', '.join(f'{key} ({scope})' for key, scope in settings.api_keys.items())}"


def _account(text: str) -> tuple[str, Account]:
    from aurora_async.server.store import Account

    key, role = _with_role(text)
    if not key.strip() or role is None:
        raise InvalidInput("--api-key", f"write KEY or KEY:ROLE with a role of {', '.join(ROLES)}")
    # An address for each role: what belongs to an administrator is not a user's.
    return key, Account(role=role, email_address=f"{role.lower()}@localhost")


def _login(text: str) -> Login:
    from aurora_async.server.store import Account, Login

    email_address, colon, rest = text.partition(":")
    password, role = rest, "User"
    # A password may hold colons, so only what is a role by name is taken for one.
    before, _, last = rest.rpartition(":")
    if before and last.lower() in map(str.lower, ROLES):
        password, role = before, last.capitalize()
    if not email_address.strip() or not colon or not password:
        raise InvalidInput(
            "--account", f"write EMAIL:PASSWORD or EMAIL:PASSWORD:ROLE with a role of {', '.join(ROLES)}"
        )
    return Login(Account(role=role, email_address=email_address), password)


def _with_role(text: str) -> tuple[str, str | None]:

    name, colon, role = text.rpartition(":")
    if not colon:
        return text, "User"
    return name, {known.lower(): known for known in ROLES}.get(role.lower())


def _end_with_stdin() -> None:
    """Stop when the parent is gone, however it went: its end of the pipe closes with it."""
    # The descriptor itself: a buffer's lock, held by a thread that still waits, would crash the interpreter at its end.
    fd = sys.stdin.fileno()
    while os.read(fd, 4096):
        pass
    if sys.platform == "win32":
        os._exit(0)
    os.kill(os.getpid(), signal.SIGTERM)
