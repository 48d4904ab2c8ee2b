"""Program of test_cpython.py: the interpreter's tests of rotating handlers, on our handler."""

# ruff: noqa: N802, N803, PLR0917  # names and arguments are the standard library's

import logging.handlers
import sys
import time
import unittest
from collections import Counter
from contextlib import redirect_stdout
from importlib import import_module

from queuelog.handlers import RollingFileHandler
from queuelog.rotation.backups import Backups
from queuelog.rotation.schedule import Schedule

tests = import_module("test.test_logging")


class Sized(RollingFileHandler):
    """Takes the arguments of `RotatingFileHandler`."""

    def __init__(
        self, filename, mode="a", maxBytes=0, backupCount=0, encoding=None, delay=False, errors=None
    ):  # fmt: skip
        super().__init__(
            filename, max_size=maxBytes, keep=backupCount, encoding=encoding, delay=delay,
            errors=errors,
        )  # fmt: skip


class Timed(RollingFileHandler):
    """Takes the arguments of `TimedRotatingFileHandler`, and answers the questions of the tests."""

    def __init__(
        self, filename, when="h", interval=1, backupCount=0, encoding=None, delay=False, utc=False,
        atTime=None, errors=None,
    ):  # fmt: skip
        super().__init__(
            filename, when=when, interval=interval, keep=backupCount, encoding=encoding,
            delay=delay, utc=utc, at_time=atTime, errors=errors,
        )  # fmt: skip

    def computeRollover(self, currentTime):
        return Schedule(self.policy).period(currentTime).end

    def getFilesToDelete(self):
        doomed = Backups(self.baseFilename, self.policy).doomed(time.time())
        return [backup.path for backup in doomed]


class GoesOn:
    """A comparison that fails ends no test: all are made, and all that fail are counted."""

    def assertEqual(self, first, second, msg=None):
        with self.subTest(first=first, second=second):
            super().assertEqual(first, second, msg)  # noqa: PT009


def the_interpreters_tests_of_rotating_handlers_pass():
    logging.handlers.RotatingFileHandler = Sized
    logging.handlers.TimedRotatingFileHandler = Timed
    result = unittest.TestResult()
    for name in ("RotatingFileHandlerTest", "TimedRotatingFileHandlerTest"):
        cls = type(name, (GoesOn, getattr(tests, name)), {})
        with redirect_stdout(sys.stderr):  # what a test says of its failure
            unittest.defaultTestLoader.loadTestsFromTestCase(cls).run(result)
    failed = Counter()
    for test, text in result.failures + result.errors:
        failed[getattr(test, "test_case", test).id().rpartition("Test.")[2]] += 1
        print(text, file=sys.stderr)
    for name, number in failed.items():
        print(name, number)
    print(result.testsRun)
