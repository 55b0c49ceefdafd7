"""The command `imap-data-access`, as the official Python client has it, over this package's own client.

Arguments, tables, JSON, printed lines and exit codes are those of the official program, of its release 1.3.0 or of its
first one, 0.2.0, so that scripts around it go on working. Mended is what was broken there: `query --filename` finds the
file, columns of kernels stand below each other, choices have an order, and an error is a sentence.
"""

from aurora_async.cli.imap_data_access.commands import main

__all__ = ["main"]
