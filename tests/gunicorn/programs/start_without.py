"""A process that owns a log file."""

import sys
from logging.handlers import RotatingFileHandler

from prelude import ARGUMENTS, add, root, start


def own_the_file():
    add(RotatingFileHandler(ARGUMENTS[0], maxBytes=1_000, backupCount=1), "%(message)s", root)
    start()
    print("up", flush=True)
    sys.stdin.readline()
