"""Program of test_cpython.py: the interpreter's own tests of logging, through queuelog."""

import logging
import logging.handlers
import sys
import unittest
from functools import wraps
from importlib import import_module

import inside
from prelude import start

import queuelog
from queuelog.handlers import QueueHandler

tests = import_module("test.test_logging")
FILES = (
    logging.FileHandler, logging.handlers.BaseRotatingHandler, logging.handlers.WatchedFileHandler,
)  # fmt: skip


def written_at_once(emit):
    """Return an emit() behind which the arbiter, this process, has written what was logged."""

    @wraps(emit)
    def emit_and_write(self, record):
        emit(self, record)
        inside.listener().pause()
        assert inside.listener().drain(9)
        inside.listener().resume()

    return emit_and_write


def through_queuelog(emit):
    """Return an emit() that logs as an application would, to a logger that has the handler."""

    @wraps(emit)  # so it is the standard library's still
    def emit_through_queuelog(self, record):
        logger = logging.getLogger(f"of {id(self)}")
        if not logger.handlers:
            logger.propagate = False
            logger.addHandler(self)
            queuelog.setup()
        (handler,) = logger.handlers
        if handler is self:  # it stays: no regular file
            emit(self, record)
        else:
            handler.emit(record)

    return emit_through_queuelog


def forgotten(close):
    """Return a close() after which the handler hangs on no logger of ours."""

    @wraps(close)
    def close_and_forget(self):
        logging.root.manager.loggerDict.pop(f"of {id(self)}", None)
        close(self)

    return close_and_forget


def the_interpreters_own_tests_pass():
    start()
    for cls in FILES:
        cls.emit = through_queuelog(cls.emit)
    logging.FileHandler.close = forgotten(logging.FileHandler.close)
    QueueHandler.emit = written_at_once(QueueHandler.emit)
    result = unittest.TestResult()
    for name, cls in vars(tests).copy().items():
        if name.endswith("Test"):
            unittest.defaultTestLoader.loadTestsFromTestCase(cls).run(result)
    for test, text in result.failures + result.errors:
        print(test.id().removeprefix("test.test_logging."))
        print(text, file=sys.stderr)
    queuelog.stop()
    print(result.testsRun)
