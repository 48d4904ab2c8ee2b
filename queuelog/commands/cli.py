"""The command line of ``queuelog``: its parser, and what becomes of errors and signals."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

import queuelog
from queuelog.commands import check, serve, tail
from queuelog.commands.command import MEANING, CommandError, Exit
from queuelog.errors import QueuelogError

COMMANDS = (check, serve, tail)

_EXITS = "\n".join(f"  {code.value:<3}  {meaning}" for code, meaning in MEANING.items())
_EPILOG = f"exit codes:\n{_EXITS}\n\nexample:\n  queuelog check -c gunicorn.conf.py app:app"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    made = argparse.ArgumentParser(
        "queuelog",
        description="Log files, each with one owner: look at what waits, and ask the owners.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"queuelog {queuelog.__version__}"
    made.add_argument("--version", action="version", version=version, help="show it, and exit")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add_to(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code. Ctrl-C and a reader who has gone are no errors."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may be in any encoding
    try:
        return _run(parser(), arguments)
    except BrokenPipeError:
        with open(os.devnull, "wb") as nowhere:  # Python writes what is left at its end
            os.dup2(nowhere.fileno(), 1)
        return Exit.BROKEN_PIPE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except (CommandError, QueuelogError) as error:
        print(f"queuelog: {error}", file=sys.stderr)
        return error.code if isinstance(error, CommandError) else Exit.TROUBLE


def _run(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    try:
        found, rest = made.parse_known_args(arguments)
        if rest and not found.takes_all:
            made.error(f"unrecognized arguments: {' '.join(rest)}")
        found.rest = rest
        code: int = found.run(found)
        return code
    finally:
        if sys.stdout is not None:  # somebody has closed it: `queuelog status >&-`
            sys.stdout.flush()
