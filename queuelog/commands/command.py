"""What every subcommand of ``queuelog`` has: help that ends with an example, exit codes, errors."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

# What `add_subparsers` returns; argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
Run = Callable[[argparse.Namespace], int]


class Exit(IntEnum):
    """The exit codes of ``queuelog``."""

    DONE = 0
    TROUBLE = 1
    USAGE = 2  # as argparse has it
    INTERRUPTED = 130  # 128 + SIGINT, as a shell says it
    BROKEN_PIPE = 141  # 128 + SIGPIPE


# How shells complete an argument, as shtab has it: action.complete.
FILE = {"bash": "_shtab_compgen_files", "zsh": "_files"}
DIRECTORY = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/"}

MEANING = {
    Exit.DONE: "done, and nothing is wrong",
    Exit.TROUBLE: "trouble was found, or not all is done: the output says what",
    Exit.USAGE: "a wrong command line, something that is not there, or a missing package",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.BROKEN_PIPE: "nobody reads the rest of the output",
}


class CommandError(Exception):
    """What keeps a command from its work: a sentence that says what to do, and the exit code."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code


def add_command(
    commands: Commands, name: str, run: Run, *, summary: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Add a subcommand; return its parser, which wants its arguments.

    `summary` is half a line for the list of commands, `description` the paragraphs that ``--help``
    has above the arguments, `example` a command line that it ends with, and `run` returns the exit
    code.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description="\n\n".join(textwrap.fill(one, 78) for one in description.split("\n\n")),
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a script that abbreviates would break with the next option
    )
    parser.set_defaults(run=run, takes_all=False)
    return parser


def add_spool(parser: argparse.ArgumentParser) -> None:
    """Let a command be about one spool, or those in one directory, instead of all."""
    spool = parser.add_argument(
        "spool", nargs="?", help="only this spool, or those in this directory"
    )
    completed_by(spool, DIRECTORY)


def completed_by(action: argparse.Action, how: dict[str, str]) -> None:
    """Let shells complete the values of an argument with `FILE` or `DIRECTORY`."""
    action.complete = how  # type: ignore[attr-defined]
