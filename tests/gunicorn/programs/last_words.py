"""A program that ends with an exception."""

import logging
import sys

import queuelog


def an_uncaught_exception_of_a_program_is_logged():
    """Log it with a hook, after the start."""
    logging.basicConfig(filename="app.log")
    queuelog.start(spool=sys.argv[1])
    sys.excepthook = lambda *error: logging.getLogger().critical("uncaught", exc_info=error)
    raise RuntimeError("on-exit")
