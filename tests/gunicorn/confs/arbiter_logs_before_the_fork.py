"""The arbiter logs ten numbers before the first fork."""

import logging


def when_ready(server):
    """In the arbiter, before it forks."""
    for number in range(10):
        logging.getLogger("load").info("number=%08d x", 900_000 + number)
