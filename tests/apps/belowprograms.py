"""Programs below a worker of belowapp: ``python belowprograms.py FUNCTION START COUNT …``."""

import logging
import subprocess
import sys

from loadapp import log_numbers

import queuelog


def log(start, count):
    """Log the numbers."""
    queuelog.setup()
    log_numbers(int(start), int(count))


def configured(start, count, path):
    """Log the numbers, and a line to a file of its own."""
    logging.basicConfig(filename=path, format="%(process)d %(message)s", level="INFO")
    log(start, count)
    logging.info("configured here")  # noqa: LOG015  # as simple programs do
    logging.getLogger("load").warning("number=%08d ", int(start) + int(count))


def nested(start, count):
    """Log a number, and the others in a program below this one."""
    log(start, 1)
    rest = [str(int(start) + 1), str(int(count) - 1)]
    subprocess.run([sys.executable, __file__, log.__name__, *rest], check=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
