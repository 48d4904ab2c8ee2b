"""An application with one line of logging: each request is logged, and answered with its worker.

LOG_SERVER is the address of the log server. `log` is also what processes of `multiprocessing` call.
"""

import os

import queuelog

logger = queuelog.get_logger("shop", address=os.environ["LOG_SERVER"])


def app(environ, start_response):
    """Answer with the process id of the worker."""
    log(environ["PATH_INFO"])
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]


def log(text):
    """Log a text."""
    logger.info("%s", text)
