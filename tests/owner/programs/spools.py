"""Programs of test_spools.py."""

import logging.handlers
import os

from prelude import ARGUMENTS, start
from waiting import wait_for

from queuelog.sinks.configured import Configured


def own():
    """Own a file that rolls over."""
    handler = logging.handlers.RotatingFileHandler(ARGUMENTS[0], maxBytes=1000)
    logging.getLogger().addHandler(handler)
    start()
    print("started", flush=True)
    input()


def start_with_two_files():
    """Own one file, wait until the other service owns the other one, and go on with that."""
    first, second, mine, others = ARGUMENTS
    add = Configured.add

    def add_and_wait(self, handler, *arguments):
        add(self, handler, *arguments)
        open(mine, "w").close()
        wait_for(lambda: os.path.exists(others), "the other service owns a file")

    Configured.add = add_and_wait
    for path in (first, second):
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=1000)
        logging.getLogger(path).addHandler(handler)
    start()
    print("started", flush=True)
    input()
