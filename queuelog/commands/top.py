"""``queuelog top``: what all spools do just now, once a second."""

from __future__ import annotations

import argparse

from queuelog.commands.command import Commands, add_command, add_spool


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "top",
        run,
        summary="show what is logged just now: rates, what waits and why, once a second",
        description="Show, once a second, of each spool of this user (root: of all users) how much "
        "is written to its files, what waits and since when, and how many records were dropped; of "
        "each file its rate, its size, and why it lags; and what each process logs. Rates are "
        "those of the last seconds. Press q or Ctrl-C to end it.\n\n"
        "Nothing is opened for writing and no lock is taken. Needs the package rich: "
        "pip install 'queuelog[cli]'.",
        example="queuelog top --once",
    )
    parser.add_argument("--once", action="store_true", help="print one frame, after three seconds")
    add_spool(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the frames until somebody has seen enough."""
    from queuelog.commands.watching import watch

    return watch(arguments.spool, once=arguments.once)
