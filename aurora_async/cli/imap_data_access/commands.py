"""`imap-data-access` as it is typed: its arguments go to its own parser untouched, options of ours included."""

from __future__ import annotations

import click

from aurora_async.cli.exits import Common

__all__ = ["main"]


class _Untouched(click.Command):
    """A command whose arguments are another parser's business."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params = {"arguments": args}
        return []


@click.command(
    "imap-data-access",
    cls=_Untouched,
    add_help_option=False,
    short_help="The official IMAP client's command line, over ours.",
)
@click.pass_context
def main(ctx: click.Context, arguments: list[str]) -> None:
    """Everything that the official command imap-data-access does, typed in the same way."""
    from aurora_async.cli.imap_data_access.parsing import parse

    try:
        typed = parse(arguments)
    except SystemExit as ended:  # it has said why
        ctx.exit(int(ended.code or 0))
    from aurora_async.cli.imap_data_access.actions import act

    ctx.exit(act(ctx.find_object(Common) or Common(), typed))
