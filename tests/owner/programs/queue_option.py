"""Programs of test_queue_option.py."""

import logging.handlers
import multiprocessing

from prelude import add, in_worker, root

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
