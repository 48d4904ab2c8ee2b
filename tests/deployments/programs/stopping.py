"""A program that stops queuelog while its threads log."""

import logging.handlers
import os
import threading
import time

import loadapp
from prelude import ARGUMENTS, add, start
from waiting import wait_for

import queuelog

FORMAT = "%(created).9f %(process)d %(message)s"
THREADS, EACH = 4, 2_500


def slow_rotator(source, dest):
    """Rename, and take as long as a rotator that compresses."""
    time.sleep(0.02)
    os.rename(source, dest)


def stop_while_threads_log():
    """Start; let threads log; stop when a part is logged, and let them log the rest."""
    directory, kind = ARGUMENTS
    handler = {
        "size": lambda path: logging.handlers.RotatingFileHandler(path, "a", 10_000, 1_000),
        "time": lambda path: logging.handlers.TimedRotatingFileHandler(path, "S", 1, 1_000),
    }[kind](f"{directory}/a.log")
    handler.rotator = slow_rotator
    loadapp.log.setLevel(logging.INFO)
    add(handler, FORMAT, loadapp.log)
    start()
    starts = range(0, THREADS * EACH, EACH)
    threads = [threading.Thread(target=loadapp.log_numbers, args=(at, EACH)) for at in starts]
    for thread in threads:
        thread.start()
    wait_for(lambda: loadapp.acks[:].count(1) > THREADS * EACH // 4, "a part is logged")
    queuelog.stop()
    for thread in threads:
        thread.join()
    handler.close()
