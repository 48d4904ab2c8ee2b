"""The command line: ``python -m queuelog check …``."""

from __future__ import annotations

import argparse
import importlib.util
import sys

_CHECK = """Say of each handler whether the arbiter owns it, and what is wrong.

All arguments are Gunicorn's, such as -c and the application. Exit code 1 if there is a problem."""


def main(arguments: list[str]) -> int:
    """Run a command; return the exit code."""
    parser = argparse.ArgumentParser("python -m queuelog", description="Log files with one owner.")
    commands = parser.add_subparsers(required=True, metavar="check")
    commands.add_parser(
        "check", help="say what happens to each handler", description=_CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    _, rest = parser.parse_known_args(arguments)
    if importlib.util.find_spec("gunicorn") is None:
        parser.error("Gunicorn is not installed")
    from queuelog.commands.check import check  # noqa: PLC0415  # queuelog does not require Gunicorn

    found = check(rest)
    print(found)  # noqa: T201  # what the command is for
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
