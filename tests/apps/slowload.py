"""Numbers that take a while to log, so that a kill comes between them."""

import time

from loadapp import log_numbers


def log_slowly(start):
    """Log and acknowledge 100 numbers, in about a tenth of a second."""
    for number in range(start, start + 100):
        log_numbers(number, 1)
        time.sleep(0.001)
