"""The command `aurora-async`: parse, call one verb, print."""

from aurora_async.cli.commands import main

__all__ = ["main"]
