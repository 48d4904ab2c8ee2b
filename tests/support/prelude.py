"""What the programs of several test modules begin with."""

import logging
import logging.config
import logging.handlers
import os
import sys

import queuelog

root = logging.getLogger()
root.setLevel(logging.INFO)


def add(handler, fmt="%(levelname)s %(message)s", logger=root, style="%"):
    """Give a logger a handler with a formatter; return the handler."""
    handler.setFormatter(logging.Formatter(fmt, style=style))
    logger.addHandler(handler)
    return handler


def held():
    """Return the log files that this process has open."""
    paths = (os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return [path for path in paths if path.endswith(".log")]


def in_worker(function):
    """Call `function` in a forked child after `setup()`; it must not fail."""
    pid = os.fork()
    if pid == 0:
        try:
            queuelog.setup()
            function()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the worker failed"


def run(log, **options):
    """Start with the spool of the first argument, call `log` in a worker, stop."""
    queuelog.start(spool=sys.argv[1], **options)
    in_worker(log)
    queuelog.stop()
