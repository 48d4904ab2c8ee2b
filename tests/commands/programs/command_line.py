"""Programs of test_command_line.py."""

import contextlib
import sys

from queuelog.commands.cli import main


def help_needs_little():
    with contextlib.suppress(SystemExit):
        main(["--help"])
    print("loaded:", *sys.modules)
