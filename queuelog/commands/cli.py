"""The command line of ``queuelog``: its parser, and what becomes of errors and signals."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import queuelog
from queuelog.base import shown
from queuelog.commands import check, metrics, recover, rotate, serve, status, tail, top
from queuelog.commands.command import MEANING, CommandError, Exit
from queuelog.errors import QueuelogError

COMMANDS = (check, metrics, recover, rotate, serve, status, tail, top)

_EXITS = "\n".join(f"  {code.value:<3}  {meaning}" for code, meaning in MEANING.items())
_EPILOG = f"exit codes:\n{_EXITS}\n\nexample:\n  queuelog check -c gunicorn.conf.py app:app"


class _PrintCompletion(argparse.Action):
    """``--print-completion``, for which shtab is imported only then."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        try:
            import shtab
        except ImportError as error:
            message = "shtab is not installed: pip install 'queuelog[cli]'"
            raise CommandError(message) from error
        print(shtab.complete(parser, values))
        parser.exit()


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
    made.add_argument(
        "--print-completion", action=_PrintCompletion, choices=("bash", "zsh"),
        help="print a completion script for a shell, and exit; needs shtab",
    )  # fmt: skip
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
        print(f"queuelog: {shown(str(error))}", file=sys.stderr)
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
