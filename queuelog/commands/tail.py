"""``queuelog tail [-f] [SPOOL|FILE ...]``: what the services log, before it is in the files."""

from __future__ import annotations

import argparse

from queuelog.commands.command import FILE, Commands, Exit, add_command, completed_by

LINES = 10


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "tail",
        run,
        summary="show what the services log, of all files in one stream, before it is written",
        description="Show the last records of all spools of this user (root: of all users) in one "
        "stream, in order of time, each as the line that its file has or will have. A spool has "
        "what waits, and what each process that still runs has logged lately (its last MiB for "
        "each file); older lines are in the files. It works without the owner, too, and neither it "
        "nor the processes that log notice.\n\n"
        "Unless exactly one FILE is named, each line begins with the name of its file. A FILE is a "
        "log file, and a SPOOL the directory of a spool, or one with spools in it.",
        example="queuelog tail -f --level WARNING --logger app /var/log/app.log",
    )
    add = parser.add_argument
    completed_by(
        add("where", nargs="*", metavar="SPOOL|FILE", help="only these log files, or spools"), FILE
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    either.add_argument(
        "--waiting", action="store_true", help="only what is not in its file yet, all of it"
    )
    add("-n", "--lines", metavar="LINES", help=f"the last LINES records, or 'all'; default {LINES}")
    add("--logger", action="append", metavar="NAME", help="only this logger and those below it")
    add("--level", metavar="LEVEL", help="only this level and above: WARNING, 30")
    add("--grep", metavar="RE", help="only what this regular expression finds (Python's re)")
    add("--since", metavar="TIME", help="only since then: 90s, 10m, 2h, 1d, 2026-11-21T20:15")
    prefix = parser.add_mutually_exclusive_group()
    prefix.add_argument("-q", "--quiet", action="store_true", help="no names of files")
    prefix.add_argument(
        "-v", "--verbose", action="store_true", help="file, process, level and logger of each line"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the records, until nobody reads them any more with ``-f``."""
    from queuelog.commands.tailing import Tailing

    Tailing(arguments).run()
    return Exit.DONE
