"""Programs of test_top.py."""

import os
import sys
import threading

import inside
from prelude import ARGUMENTS, logger_of, start

import queuelog


def serve():
    """Own two files, of which one fails, and log to both from a child until the input ends."""
    works, fails = logger_of("works.log"), logger_of("gone/fails\x1b[2J.log")
    start()
    fails.info("waits")
    if os.fork() == 0:
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
        while not ended.wait(0.01):
            works.info("x" * 100)
        os._exit(0)
    inside.listener()
    print("up", flush=True)
    os.wait()
    os.makedirs("gone")
    queuelog.stop()


def without_rich():
    """Run the command where the package is not installed."""
    sys.modules["rich"] = None
    from queuelog.commands.cli import main  # noqa: PLC0415

    sys.exit(main(["top", *ARGUMENTS]))
