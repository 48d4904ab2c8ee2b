"""The command line, also as ``python -m queuelog``."""

import sys

from queuelog.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
