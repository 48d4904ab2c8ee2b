"""Programs of test_tail.py."""

import fcntl
import logging.handlers
import os
import signal
import sys
import time

import inside
from prelude import ARGUMENTS, SPOOL, add, in_child, logger_of, root, start
from waiting import wait_for

import queuelog

PAUSE = 0.05  # seconds between ten records of each process: a segment is there for longer


def rotated():
    """Give the root logger a file that rolls over often, of which nothing is removed.

    There is room for two minutes; each rollover looks for that many backups.
    """
    handler = logging.handlers.RotatingFileHandler("app.log", maxBytes=20_000, backupCount=250)
    add(handler, "%(created).6f %(process)d %(name)s %(message)s")


def log_until_told():
    """Log numbered records by two loggers from when there is a file `go` until there is `stop`."""
    wait_for(lambda: os.path.exists("go"), "the start")
    number = 0
    while not os.path.exists("stop"):
        for _ in range(10):
            logging.getLogger(("app", "app.db")[number % 2]).info("%d", number)
            number += 1
        time.sleep(PAUSE)
    with open(f"{os.getpid()}.count", "w") as file:
        file.write(str(number))


def serve():
    """Own the log; four processes log, and go on when this one is killed."""
    rotated()
    start()
    inside.make_small_segments(10_000)
    for _ in range(int(ARGUMENTS[0])):
        if os.fork() == 0:
            log_until_told()
            os._exit(0)
    print("up", flush=True)
    sys.stdin.readline()


def serve_again():
    """Own the log of a service whose owner was killed; end when the processes have ended."""
    rotated()
    start()
    print("up", flush=True)
    sys.stdin.readline()
    queuelog.stop()


def log_now_and_then():
    """Own a log; for each line of input, fork a process that logs it and ends."""
    lines = logger_of("app.log")
    start()
    print("up", flush=True)
    for text in sys.stdin:
        in_child(lambda text=text: lines.info(text.rstrip()))
        print("logged", flush=True)
    queuelog.stop()


def leave_lines_that_wait():
    """Log to two files, of which one is stalled; be killed."""
    one, other = logger_of("one.log"), logger_of("gone/other.log")
    start()
    one.info("one is written")
    other.info("other waits")
    inside.listener().pause()
    while inside.listener().spools.lagging() != {"other"} and not os.path.exists("one.log"):
        inside.listener().resume()
        time.sleep(0.01)
        inside.listener().pause()
    one.info("one waits")
    os.kill(os.getpid(), signal.SIGKILL)


def it_opens_nothing_for_writing_and_takes_no_lock():
    """Run the command in this process, which sees all that it does with files."""
    from queuelog.commands.cli import main  # noqa: PLC0415

    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    changes = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.link")

    def look(event, arguments):
        if event == "open" and str(arguments[0]).startswith(os.path.dirname(SPOOL)):
            assert not arguments[2] & writing, arguments
        if event == "fcntl.fcntl":
            assert arguments[1] == fcntl.F_OFD_GETLK, arguments
        assert event not in changes, (event, arguments)
        seen.add(event)

    seen = set()
    sys.addaudithook(look)
    assert main(["tail", *ARGUMENTS]) == 0
    assert {"open", "fcntl.fcntl"} <= seen
    assert root is logging.getLogger()
