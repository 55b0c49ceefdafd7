"""`check`, `request`, `time-zones`, `to-utc`, `completion`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from aurora_async.cli.client import Access, ask
from aurora_async.cli.exits import PROGRAM, Common, Failed, run
from aurora_async.cli.listing import note, print_fields, print_json
from aurora_async.cli.options import JSON, common_options, json_option

if TYPE_CHECKING:
    from aurora_async.http import Answer

__all__ = ["check", "completion", "request", "time_zones", "to_utc"]


@click.command(short_help="See whether the server answers, and your key is accepted.")
@json_option
@common_options()
@click.pass_obj
def check(common: Common, as_json: bool) -> None:
    """See whether the server that is configured answers, how fast, and whether it accepts your key.

    The exit code is 0 when all is well.
    """
    from aurora_async.cli.checking import checked

    access = Access.of(common)
    found = run(checked(access))
    if as_json:
        print_json(found)
    elif not common.quiet:
        print_fields(found.items())
    if found["key"] == "refused":
        raise Failed(f"{access.config.base_url} answers, and refuses the API key; see --api-key and AURORAX_API_KEY")


@click.command(short_help="Send any request and print the answer.")
@click.argument("method")
@click.argument("path")
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE", help="Goes into the query; repeatable.")
@click.option("--header", "-H", "headers", multiple=True, metavar="NAME: VALUE", help="A header; may be repeated.")
@click.option("--json", "body", type=JSON, metavar="JSON", help="The body; @FILE reads a file.")
@click.option("--include", "-i", is_flag=True, help="Also the status and the headers, on stderr.")
@common_options()
@click.pass_obj
def request(
    common: Common,
    method: str,
    path: str,
    params: tuple[str, ...],
    headers: tuple[str, ...],
    body: Any,
    include: bool,
) -> None:
    """Send a request with your credentials, and print the body of the answer as it came.

    PATH is below the base URL:

    \b
      aurora-async request GET /api/v1/data_sources -p program=swarm
    """
    named = dict(_pair(text, "=", "--param") for text in params)
    sent = dict(_pair(text, ":", "--header") for text in headers)
    answer: Answer = ask(
        common,
        lambda client: client.request(method.upper(), path, params=named, body=body, headers=sent or None),
    )
    if include:
        note(common, "\n".join([f"status: {answer.status}", *(f"{k}: {v}" for k, v in answer.headers.items())]))
    ends = answer.body.endswith(b"\n") or not answer.body
    click.echo(answer.body, nl=not ends and sys.stdout.isatty())


def _pair(text: str, separator: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise click.UsageError(f"{option} {text!r} is not NAME{separator}VALUE")
    return name.strip(), value.strip() if separator == ":" else value


@click.command(short_help="List the time zones that to-utc knows.")
@click.argument("part", required=False)
@json_option
@common_options()
@click.pass_obj
def time_zones(common: Common, part: str | None, as_json: bool) -> None:
    """List the names of time zones, one a line; with PART, those that have it in them."""
    found = ask(common, lambda client: client.time_zones())
    if part is not None:
        found = [name for name in found if part.casefold() in name.casefold()]
    if as_json:
        print_json(found)
    elif found:
        click.echo("\n".join(found))
    else:
        note(common, f"no time zone has {part!r} in its name; time-zones alone lists all")


@click.command(short_help="Convert a local time to UTC.")
@click.argument("timestamp")
@click.argument("time_zone")
@common_options()
@click.pass_obj
def to_utc(common: Common, timestamp: str, time_zone: str) -> None:
    """Print what a clock in TIME_ZONE (America/Edmonton) showed as TIMESTAMP (2020-01-01T17:00:00) in UTC."""
    found = ask(common, lambda client: client.to_utc(timestamp, time_zone))
    click.echo(found.isoformat().replace("+00:00", "Z"))


@click.command(short_help="Print what makes your shell complete commands.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options(service=False)
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes your shell complete commands and options.

    \b
    bash:  aurora-async completion bash >> ~/.bashrc
    zsh:   aurora-async completion zsh >> ~/.zshrc
    fish:  aurora-async completion fish >> ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from aurora_async.cli.commands import COMPLETE_VARIABLE

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(ctx.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE).source())
