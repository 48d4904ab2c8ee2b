"""Programs of test_queue_option.py."""

import logging.handlers
import multiprocessing
import operator
import pickle
import queue
import sys

import inside
from prelude import add, add_log, descriptors, in_worker, logger_of, root, start

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


def own_the_spool():
    add_log()
    start()
    print("up", flush=True)
    sys.stdin.readline()


def a_second_service_moves_its_lines_into_the_spool():
    add_log()
    start(queue=queue.Queue())
    for number in range(5):
        root.info("%d", number)
    queuelog.stop()


class Broken:
    """An object that can be pickled, but not unpickled."""

    def __reduce__(self):
        return operator.truediv, (1, 0)


class Pickles(queue.Queue):
    """A queue that pickles, as those between processes do."""

    def put(self, item, block=True, timeout=None):
        super().put(pickle.dumps(item), block, timeout)

    def get_nowait(self):
        return pickle.loads(self.get(block=False))


def an_item_that_cannot_be_unpickled_costs_no_other_one():
    pickles = Pickles()
    lines = logger_of("app.log")
    start(queue=pickles)
    inside.listener().pause()
    lines.info("before")
    pickles.put(Broken())
    lines.info("after")
    queuelog.stop()


def a_stop_leaves_no_descriptor():
    add_log()
    seen = []
    for _ in range(3):
        start(queue=queue.Queue())
        queuelog.stop()
        seen.append(descriptors())
    assert len(set(seen)) == 1, seen


def whatever_a_queue_raises_stays_out_of_the_application():
    class Raising(queue.Queue):
        def put(self, item, block=True, timeout=None):
            raise RuntimeError("not now")

    add_log()
    start(queue=Raising())
    root.info("x")
    queuelog.stop()
