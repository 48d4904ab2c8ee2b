"""Programs of test_queue_option.py."""

import logging.handlers
import multiprocessing
import queue

import inside
from prelude import add, add_log, in_worker, logger_of, root, start

import queuelog


def a_multiprocessing_queue_does_for_comparison():
    file = logging.handlers.RotatingFileHandler("app.log", maxBytes=500, backupCount=99)
    add(file, "%(message)s")
    queuelog.start(queue=multiprocessing.Queue())
    (handler,) = root.handlers

    def log():
        for number in range(100):
            root.info("%03d", number)
        handler.queue.foreign.close()
        handler.queue.foreign.join_thread()

    root.info("arbiter")
    in_worker(log)
    in_worker(log)
    queuelog.stop()


def a_record_that_is_longer_than_the_limit_holds_nothing_up():
    lines = logger_of("app.log")
    start(queue=queue.Queue(), backlog=1 << 16)
    for text in ("before", "x" * 100_000, "after", "after", "after"):
        lines.info(text)
    queuelog.stop()


def a_full_spool_leaves_the_rest_in_the_queue():
    add_log()
    start(queue=queue.Queue(), backlog=1 << 16)
    inside.listener().pause()
    for number in range(1000):
        root.info("%0500d", number)
    queuelog.stop()


def a_queue_that_somebody_closes_costs_no_later_line():
    closed = multiprocessing.Queue()
    add_log()
    start(queue=closed)
    closed.close()
    root.info("after")
    queuelog.stop()
