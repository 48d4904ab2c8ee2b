"""Programs of test_handler_kinds.py."""

import logging.handlers
import os
import sys

import inside
from prelude import ARGUMENTS, add, held, in_worker, root, run, start
from waiting import wait_for

import queuelog

KINDS = {
    "FileHandler": lambda: logging.FileHandler("app.log"),
    "WatchedFileHandler": lambda: logging.handlers.WatchedFileHandler("app.log"),
    "size": lambda: logging.handlers.RotatingFileHandler("app.log", maxBytes=1000, backupCount=1),
    "small": lambda: logging.handlers.RotatingFileHandler("app.log", maxBytes=30, backupCount=99),
    "midnight": lambda: logging.handlers.TimedRotatingFileHandler("app.log", when="midnight"),
    "seconds": lambda: logging.handlers.TimedRotatingFileHandler("app.log", "S", utc=True),
    "delay": lambda: logging.FileHandler("app.log", delay=True),
    "subclass": lambda: type("Mine", (logging.FileHandler,), {})("app.log"),
    "own emit": lambda: OwnEmit("app.log"),
}
OF_THE_FILE = {"stream", "rolloverAt", "dev", "ino"}  # attributes that every opening changes


class OwnEmit(logging.FileHandler):
    def emit(self, record):
        super().emit(record)


def worker_and_arbiter_write_into_one_file():
    handler = add(KINDS[ARGUMENTS[0]]())
    root.info("before")
    run(lambda: root.info("worker"))
    assert root.handlers == [handler]
    root.info("after")


def mode_w_empties_the_file_once():
    add(logging.FileHandler("app.log", mode="w"))
    root.info("before")
    add(logging.FileHandler("late.log", mode="w", delay=True))  # opened by the owner only
    start()
    in_worker(lambda: root.info("worker"))
    with inside.closing_files(many=0):
        wait_for(lambda: not held(), "the files are closed")
    in_worker(lambda: root.info("reopened"))
    queuelog.stop()
    root.info("after")


def after_stop_the_handler_is_what_it_was():
    handler = add(KINDS[ARGUMENTS[0]](), "%(message)s")
    before = {key: value for key, value in vars(handler).items() if key not in OF_THE_FILE}
    run(lambda: root.info("worker 00"))
    assert {key: vars(handler).get(key) for key in before} == before
    assert vars(handler).keys() - before.keys() <= OF_THE_FILE
    for number in range(9):
        root.info("after %02d", number)
    handler.close()


def a_moved_file_is_left_alone():
    add(KINDS[ARGUMENTS[0]](), "%(message)s")
    start()
    listener = inside.listener()
    in_worker(lambda: root.info("1"))
    listener.pause()
    listener.drain(9)
    os.rename("app.log", "moved.log")
    listener.resume()
    in_worker(lambda: root.info("2"))
    queuelog.stop()


def with_emit():
    arbiter = os.getpid()

    class Mine(logging.FileHandler):
        def emit(self, record):
            record.msg = f"{os.getpid() == arbiter} {record.msg}"
            super().emit(record)

    return Mine("app.log")


def with_format():
    class Mine(logging.FileHandler):
        def format(self, record):
            return "mine " + super().format(record)

    return Mine("app.log")


def with_open():
    class Mine(logging.FileHandler):
        def _open(self):
            stream = super()._open()
            stream.write("opened\n")
            return stream

    return Mine("app.log", delay=True)


def with_should_rollover():
    class Mine(logging.handlers.RotatingFileHandler):
        def shouldRollover(self, record):  # noqa: N802  # the standard library's name
            return "two" in record.getMessage()

    return Mine("app.log", backupCount=1)


def with_do_rollover():
    class Mine(logging.handlers.RotatingFileHandler):
        def doRollover(self):  # noqa: N802  # the standard library's name
            super().doRollover()
            self.stream.write("header\n")

    return Mine("app.log", maxBytes=5, backupCount=1)


def with_filter():
    arbiter = os.getpid()

    class Mine(logging.FileHandler):
        def filter(self, record):
            assert os.getpid() != arbiter, "a secret has left the worker"
            return record.msg != "two" and super().filter(record)

    return Mine("app.log")


def with_handle():
    class Mine(logging.FileHandler):
        def handle(self, record):
            return record.msg != "two" and super().handle(record)

    return Mine("app.log")


def with_flush():
    class Mine(logging.FileHandler):
        def flush(self):
            if self.stream:
                self.stream.write("flushed\n")
            super().flush()

        def close(self):
            """Do not flush once more."""

    return Mine("app.log")


class SaysWhere(logging.FileHandler):
    arbiter = os.getpid()

    def handleError(self, record):  # noqa: N802  # the standard library's name
        with open("app.log", "a") as file:
            print(os.getpid() == self.arbiter, record.msg, repr(sys.exc_info()[1]), file=file)


def with_handle_error():
    class Mine(SaysWhere):
        def format(self, record):
            raise ValueError(record.msg)

    return Mine("app.log")


def with_handle_error_and_emit():
    logging.getLogger("queuelog").propagate = False  # it reports the losses

    class Mine(SaysWhere):
        def emit(self, record):
            try:
                raise ValueError(self.format(record))
            except ValueError:
                self.handleError(record)

    return Mine("app.log")


SUBCLASSES = {
    "emit": with_emit,
    "format": with_format,
    "_open": with_open,
    "shouldRollover": with_should_rollover,
    "doRollover": with_do_rollover,
    "filter": with_filter,
    "handle": with_handle,
    "flush": with_flush,
    "handleError": with_handle_error,
    "handleError and emit": with_handle_error_and_emit,
}


def a_subclass_keeps_its_own_ways():
    add(SUBCLASSES[ARGUMENTS[0]](), "%(message)s")

    def log():
        root.info("one")
        root.info("two")

    run(log)


def a_timed_subclass_may_have_periods_of_its_own():
    class Quarters(logging.handlers.TimedRotatingFileHandler):
        def computeRollover(self, currentTime):  # noqa: N802, N803  # the standard library's names
            return currentTime // 900 * 900 + 900

    handler = add(Quarters("app.log"), "%(message)s")
    if ARGUMENTS[0] == "when":
        handler.when = "QUARTER"
    run(lambda: root.info("x"))
