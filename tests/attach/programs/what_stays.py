"""Programs of test_what_stays.py."""

import io
import logging.handlers
import os
import sys

from prelude import ARGUMENTS, add, in_worker, root, run, start

import queuelog


def consoles_and_devices_stay_where_they_are():
    console = add(logging.StreamHandler(sys.stdout), "console %(message)s")
    device = add(logging.FileHandler("/dev/stdout"), "device %(message)s")
    null = add(logging.FileHandler("/dev/null"))

    def log():
        assert root.handlers == [console, device, null]
        root.info("x")

    run(log)


def other_handlers_stay_in_the_worker():
    seen, stream = [], io.StringIO()

    class Mine(logging.Handler):
        def emit(self, record):
            seen.append(os.getpid())

    kept = [add(Mine()), add(logging.StreamHandler(stream)), add(logging.NullHandler())]

    def log():
        assert root.handlers == kept
        root.info("x")
        assert seen == [os.getpid()]
        assert stream.getvalue() == "INFO x\n"

    run(log)


def an_object_that_only_behaves_like_a_handler_stays():
    class Duck:
        level = 0

        def handle(self, record):
            print(os.getpid() != arbiter and 1, record.getMessage(), flush=True)

    arbiter, duck = os.getpid(), Duck()
    root.addHandler(duck)
    add(logging.FileHandler("app.log"), "%(message)s")
    assert "Duck: kept in each process: it is no logging.Handler" in str(queuelog.describe())

    def log():
        queuelog.setup()
        assert root.handlers[0] is duck
        root.info("x")

    run(log, own=["duck"])


MADE = {
    "subclass": lambda: type("Mine", (logging.FileHandler,), {})("mine.log"),
    "namer": lambda: logging.handlers.RotatingFileHandler("mine.log"),
}


def what_the_arbiter_cannot_build_stays_in_the_worker():
    def log():
        handler = add(MADE[ARGUMENTS[0]](), "%(message)s")
        handler.namer = str
        queuelog.setup()
        assert root.handlers == [handler]
        root.info("x")

    start()
    in_worker(log)
