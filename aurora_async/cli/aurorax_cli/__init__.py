"""The command `aurorax-cli`, as the official Python client has it, over this package's own client.

Arguments, options, file names, tables, printed lines and exit codes are those of the official program, so that
scripts around it go on working; unlike those of `aurora-async`, its messages and its errors go to stdout.
"""

from aurora_async.cli.aurorax_cli.commands import main

__all__ = ["main"]
