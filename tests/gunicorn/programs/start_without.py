"""A process that owns a log file."""

import logging
import sys

from prelude import ARGUMENTS, add, root, start


def own_the_file():
    add(logging.FileHandler(ARGUMENTS[0]), "%(message)s", root)
    start()
    print("up", flush=True)
    sys.stdin.readline()
