"""``queuelog check -c gunicorn.conf.py [app:app]``: say what will happen to each handler."""

from __future__ import annotations

import argparse
import importlib.util

from queuelog.commands.command import CommandError, Commands, Exit, add_command


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "check",
        run,
        summary="say what will happen to each handler of a Gunicorn, before it is started",
        description="Say of each handler whether the arbiter owns it, and what is wrong.\n\n"
        "All arguments are Gunicorn's, such as -c and the application. Exit code 1 if there is a "
        "problem.",
        example="queuelog check -c gunicorn.conf.py app:app",
    )
    parser.usage = "queuelog check [-h] [GUNICORN'S ARGUMENTS]"
    parser.set_defaults(takes_all=True)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; return 1 if there is a problem."""
    if importlib.util.find_spec("gunicorn") is None:
        raise CommandError("Gunicorn is not installed: pip install gunicorn")
    from queuelog.commands.dryrun import check

    found = check(arguments.rest)
    print(found)
    return Exit.TROUBLE if found.problems else Exit.DONE
