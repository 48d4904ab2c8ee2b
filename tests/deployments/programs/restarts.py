"""Programs with log files in many directories."""

import logging
import os

import loadapp
from prelude import ARGUMENTS, add, in_worker

import queuelog

FORMAT = "%(created).9f %(process)d %(message)s"


def releases():
    """Start, log and stop with one log directory after the other."""
    place, number = ARGUMENTS[0], int(ARGUMENTS[1])
    loadapp.log.setLevel(logging.INFO)
    for release in range(number):
        os.mkdir(f"{place}/release-{release}")
        handler = logging.FileHandler(f"{place}/release-{release}/a.log")
        add(handler, FORMAT, loadapp.log)
        queuelog.start()
        in_worker(lambda release=release: loadapp.log_numbers(10 * release, 10))
        queuelog.stop()
        loadapp.log.removeHandler(handler)
        handler.close()
