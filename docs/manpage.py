"""Make the manual page of the command from its parser: ``python docs/manpage.py``."""

import os
from pathlib import Path

from argparse_manpage.manpage import Manpage

from queuelog.commands.cli import parser
from queuelog.commands.command import MEANING

ABOUT = {
    "project_name": "queuelog",
    "description": "look at spools of log records, and ask their owners",
    "manual_title": "User Commands",
    "date": "2026-11-21",  # of the last change of what the command can do
}


def page() -> str:
    """Return the page as roff has it."""
    os.environ["COLUMNS"] = "80"  # as wide as argparse makes its lines
    made = parser()
    (commands,) = made._subparsers._group_actions  # argparse has no other way  # noqa: SLF001
    examples = [one.epilog.partition("\n")[2].strip() for one in commands.choices.values()]
    made.epilog = None  # which the sections below say better
    manual = Manpage(made, ABOUT, format="single-commands-section")
    codes = [f".TP\n.B {code.value}\n{meaning}" for code, meaning in MEANING.items()]
    manual.add_section("exit status", ">", "\n".join(codes))
    manual.add_section("examples", ">", ".nf\n" + "\n".join(examples) + "\n.fi")
    return str(manual)


if __name__ == "__main__":
    Path(__file__).with_name("queuelog.1").write_text(page())
