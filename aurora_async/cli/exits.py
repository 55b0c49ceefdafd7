"""The one place where errors become a line on stderr and an exit code.

    0    done                    2    what was typed, or the query file, is wrong: nothing was sent
    1    it failed               130  Ctrl-C   143, 129  SIGTERM, SIGHUP   141  whoever read the output went away
    3    a batch is over, and some of its searches have failed     4  and all of them have

Importing this costs next to nothing: `--help` must not wait for an HTTP library.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import textwrap
import traceback
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

from aurora_async.errors import AuroraError, InvalidInput, bare

__all__ = ["PROGRAM", "Common", "Failed", "Terminated", "for_stderr", "one_line", "run", "run_command"]

T = TypeVar("T")

PROGRAM = "aurora-async"
_LONGEST_LINE = 2000


class Failed(AuroraError):
    """A command did not do what it was asked, for a reason that is a sentence of its own."""

    def __init__(self, reason: str, code: int = 1) -> None:
        super().__init__(reason)
        self.code = code


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: like KeyboardInterrupt, no error that anybody should handle on the way."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number)
        self.number = number


@attrs.define
class Common:
    """The options that every command shares; they may stand before and after its name, and the last one wins."""

    base_url: str | None = None
    api_key: str | None = attrs.field(default=None, repr=lambda key: "None" if key is None else "***")
    login: str | None = None
    server: str | None = None
    email: str | None = None
    access_token: str | None = attrs.field(default=None, repr=lambda token: "None" if token is None else "***")
    webpoda_token: str | None = attrs.field(default=None, repr=lambda token: "None" if token is None else "***")
    data_dir: Path | None = None
    quiet: bool = False
    debug: bool = False
    aftermath: str = ""
    """What became of what was under way, for whoever interrupted it; no option."""

    def command(self, *words: str, also: Sequence[str] = ()) -> str:
        """Return what is to be typed next, to the same service: with the options that were typed now.

        `also` names more of them. What is set in the environment still is when the next command is typed, and a key is
        not for the screen.
        """
        typed = [(name, getattr(self, name)) for name in ("base_url", "server", *also)]
        options = [word for name, value in typed if value for word in (f"--{name.replace('_', '-')}", str(value))]
        return shlex.join([PROGRAM, *words, *options])


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a new event loop.

    Ctrl-C, SIGTERM and a terminal that closes (SIGHUP) cancel it, so that it can tidy up, also on the server.
    """
    ended_by: signal.Signals | None = None

    async def attended() -> T:
        def end(number: signal.Signals) -> None:
            nonlocal ended_by
            ended_by = number
            assert task is not None
            task.cancel()

        task = asyncio.current_task()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # One that is ignored stays so: that is what `nohup` is for.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                with suppress(NotImplementedError, RuntimeError):  # Windows; a thread that is not the main one
                    asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await work

    try:
        return asyncio.run(attended())
    except asyncio.CancelledError:
        if ended_by is not None:
            raise Terminated(ended_by) from None
        raise


def run_command(root: click.Command, arguments: Sequence[str] | None) -> int:
    """Run the command line and return its exit code; whatever goes wrong is told here, in one line."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    common = Common()
    _soften(sys.stdout)
    _soften(sys.stderr)
    _show_warnings()
    try:
        with root.make_context(PROGRAM, arguments, obj=common) as context:
            root.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        return _flushed(error.exit_code)
    except BaseException as error:
        return _told(error, common)
    return 0


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError as error:
        return _told(error, Common())
    return code


def _told(error: BaseException, common: Common) -> int:
    if isinstance(error, SystemExit | GeneratorExit):
        raise error
    if isinstance(error, BaseExceptionGroup):
        error = bare(error)
    if common.debug and not isinstance(error, click.ClickException):
        with suppress(OSError):
            traceback.print_exception(error)
    code, text = _verdict(error)
    if isinstance(error, AuroraError):
        text = "; ".join((text, *getattr(error, "__notes__", ())))  # which window of a query it was
    if common.aftermath:
        text = f"{text}; {common.aftermath}"
    if text:
        with suppress(OSError):
            if isinstance(error, click.Abort) and sys.stderr.isatty():
                click.echo(err=True)  # the cursor stands behind the question
            begin = f"{PROGRAM}: error: "
            pointed = _pointed(error)
            click.echo(begin + pointed if pointed else for_stderr(begin + one_line(text)), err=True)
    _forget_unwritten(sys.stdout)
    return code


def _verdict(error: BaseException) -> tuple[int, str]:
    """Say what an error means: the exit code, and the sentence ("" for silence)."""
    match error:
        case click.UsageError():
            where = "" if error.ctx is None else f" (see {error.ctx.command_path} --help)"
            return 2, error.format_message().rstrip(".") + where
        case click.ClickException():
            return 2, error.format_message()
        case KeyboardInterrupt() | click.Abort():
            return 130, "interrupted"
        case Terminated():
            return 128 + error.number, "terminated"
        case InvalidInput() if not isinstance(error.__cause__, OSError):
            return 2, str(error)
        case InvalidInput():
            return 1, error.reason  # a port in use, a folder that cannot be made: right as typed, and impossible here
        case Failed():
            return error.code, str(error)
        case AuroraError():
            return 1, str(error)
        case BrokenPipeError():
            return 141, ""
        case OSError() if error.errno in (errno.EPIPE, errno.ESHUTDOWN):
            return 141, ""
        case OSError():
            about = f"{error.filename}: " if error.filename else ""
            return 1, f"{about}{error.strerror or error}"
        case MemoryError():
            return 1, "out of memory"
        case _:
            said = f": {error}" if str(error) else ""
            return 1, f"unexpected {type(error).__name__}{said}; please report it with what --debug prints"


def _pointed(error: BaseException) -> str:
    """Return the lines of an error that points at a character of what was typed; those of others are one line."""
    if not isinstance(error, AuroraError) or not hasattr(error, "position"):
        return ""
    return "\n".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", line) for line in str(error).splitlines())


def one_line(text: str) -> str:
    """Make a sentence fit for one line of a terminal, whatever a server or a file put into it."""
    text = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", text).strip()
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]} …"


def for_stderr(text: str) -> str:
    """Break a sentence between words, if stderr is a terminal; a command at its end stays whole, to be copied."""
    if not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    with suppress(OSError, ValueError):
        width = os.get_terminal_size(sys.stderr.fileno()).columns  # stdout may go into a file
    if len(text) <= width:
        return text
    said, colon, command = text.rpartition(f": {PROGRAM} ")
    if not colon:
        said = text
    lines = textwrap.wrap(said + colon[:1], width, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, f"  {PROGRAM} {command}"] if colon else lines)


class _ToStderr(logging.Handler):
    """Log records in the form of our other lines; `sys.stderr` is looked up anew, since a live display replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            said = f"{PROGRAM}: {record.levelname.lower()}: {one_line(record.getMessage())}"
            click.echo(for_stderr(said), err=True)


def _show_warnings() -> None:
    logger = logging.getLogger("aurora_async")
    logger.setLevel(logging.NOTSET)  # an earlier command in this process may have been told to debug
    ours = [handler for handler in logger.handlers if isinstance(handler, _ToStderr)]
    for handler in ours:
        handler.setLevel(logging.WARNING)
    if not ours:
        logger.addHandler(_ToStderr(logging.WARNING))
        logger.propagate = False


def _soften(stream: Any) -> None:
    """Show what the terminal's encoding lacks as escapes: a minus sign must not be what a finished search dies of."""
    with suppress(AttributeError, ValueError, OSError):
        stream.reconfigure(errors="backslashreplace")


def _forget_unwritten(stream: Any) -> None:
    """Let the interpreter's own flush at exit not fail (and speak) once more."""
    try:
        stream.flush()
    except OSError:
        with suppress(AttributeError, ValueError, OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except ValueError:
        return  # closed already
