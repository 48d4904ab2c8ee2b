"""Programs of test_backups.py."""

import gzip
import logging.handlers
import os
from pathlib import Path

from prelude import ARGUMENTS, add, root, run


def sized(size, count, cls=logging.handlers.RotatingFileHandler, fmt="%(message)s", **options):
    return add(cls("app.log", maxBytes=size, backupCount=count, **options), fmt)


def log_numbers():
    for number in range(20):
        root.info("number %d", number)


def namer_and_rotator_are_used():
    def rotator(source, dest):
        with gzip.open(dest, "wb") as packed:
            packed.write(Path(source).read_bytes())
        os.remove(source)

    handler = sized(50, 9, fmt="%(levelname)s %(message)s")
    handler.namer, handler.rotator = lambda name: name + ".gz", rotator
    run(log_numbers)


def retention_with_a_namer_removes_the_oldest():
    sized(10, 2).namer = lambda name: name.replace("app.log", "app") + ".log"

    def log():
        for number in range(6):
            root.info("%06d", number)

    run(log)


def a_rotator_that_fails_loses_no_line():
    def rotator(source, dest):
        raise RuntimeError("broken rotator")

    sized(50, 9, fmt="%(levelname)s %(message)s").rotator = rotator
    run(log_numbers)


class Mine(logging.handlers.RotatingFileHandler):
    def emit(self, record):
        super().emit(record)


def a_class_with_its_own_emit_rotates_by_itself():
    sized(100, 99, Mine, "é %(message)s %(extra)s", encoding=ARGUMENTS[0])

    def log():
        for number in range(40):
            root.info("%02d", number, extra={"extra": "e"})

    run(log)
