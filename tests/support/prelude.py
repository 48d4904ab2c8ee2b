"""What programs of the tests begin with, and what many of them do.

Its import gives the root logger the level INFO. A program below another one, which shall find the
levels that it inherits, does without it.
"""

import importlib
import logging
import os
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import queuelog

SPOOL = sys.argv[1]
ARGUMENTS = sys.argv[2:]  # what the test gives its program besides
NOBODY = 65534

root = logging.getLogger()
root.setLevel(logging.INFO)


def add(handler, fmt="%(levelname)s %(message)s", logger=root, style="%"):
    """Give a logger a handler with a formatter; return the handler."""
    handler.setFormatter(logging.Formatter(fmt, style=style))
    logger.addHandler(handler)
    return handler


def add_log():
    """Give the root logger the file app.log with bare messages; return the handler."""
    return add(logging.FileHandler("app.log"), "%(message)s")


def logger_of(path, handler=logging.FileHandler, **options):
    """Return a logger of its own for a file that is opened with the first line."""
    logger = logging.getLogger(path)
    logger.setLevel(logging.INFO)
    add(handler(os.path.abspath(path), delay=True, **options), "%(message)s", logger)
    return logger


def content(path):
    """Return the text of a file; of one that is not there, nothing."""
    with suppress(FileNotFoundError):  # also in the moment of a rollover
        return Path(path).read_text()
    return ""


def descriptors():
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def held():
    """Return the log files that this process has open."""
    paths = (os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return [path for path in paths if path.endswith(".log")]


def start(**options):
    """Start with the test's spool."""
    queuelog.start(spool=SPOOL, **options)


def in_child(function):
    """Call `function` in a forked child; it must not fail."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child failed"


def in_worker(function):
    """Call `function` in a forked child after `setup()`; it must not fail."""

    def work():
        queuelog.setup()
        function()

    in_child(work)


def run(log, **options):
    """Start, call `log` in a worker, stop."""
    start(**options)
    in_worker(log)
    queuelog.stop()


def in_children(number, function):
    """Call `function` with its index in each of so many forked children; wait until all ended."""
    children = []
    for index in range(int(number)):
        pid = os.fork()
        if pid == 0:
            function(index)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def end_as_told():
    """Say that all is logged; then stop, or die if the test says so."""
    print("logged", flush=True)
    if sys.stdin.readline() == "die\n":
        os.kill(os.getpid(), signal.SIGKILL)
    queuelog.stop()


@contextmanager
def raises(kind, text=""):
    """Expect the block to raise an error of this kind that says `text`."""
    try:
        yield
    except kind as error:
        if text not in str(error):
            raise
    else:
        raise AssertionError(f"no {kind.__name__} was raised")


def let_others_pass():
    """Let workers of other users reach the spool, whose directory is this test's own."""
    os.chmod(os.path.dirname(SPOOL), 0o711)


def become(uid):
    """Give up root, as a worker of another user does.

    It may not be able to read the interpreter's files: what an owner needs is imported before.
    """
    importlib.import_module("queuelog.owner.owner")
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
