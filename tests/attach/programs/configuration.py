"""Programs of test_configuration.py."""

import gc
import logging.config
import logging.handlers
import os
import threading

import inside
from prelude import (
    ARGUMENTS,
    add,
    descriptors,
    held,
    in_worker,
    logger_of,
    raises,
    root,
    run,
    start,
)
from waiting import wait_for

import queuelog


def configure(fmt="%(levelname)s %(message)s", **options):
    """Configure a file on the root logger; with `options`, one that rolls over."""
    cls = "logging.handlers.RotatingFileHandler" if options else "logging.FileHandler"
    file = {"class": cls, "filename": "app.log", "formatter": "line", **options}
    logging.config.dictConfig(
        {
            "version": 1, "disable_existing_loggers": False,
            "formatters": {"line": {"format": fmt}}, "handlers": {"file": file},
            "root": {"level": "INFO", "handlers": ["file"]},
        }
    )  # fmt: skip


def threads():
    return len(os.listdir("/proc/self/task"))


def an_incremental_configuration_changes_levels():
    def change(handler, **others):
        logging.config.dictConfig(
            {"version": 1, "incremental": True, "handlers": {"file": {"level": handler}}, **others}
        )

    def log():
        configure()
        root.info("1")
        root.debug("2")
        change("ERROR", root={"level": "DEBUG"})
        root.warning("3")
        root.error("4")
        change("DEBUG")
        root.debug("5")
        assert not held(), held()

    run(log)


def a_handler_that_cannot_work_is_left_to_the_standard_library_in_a_worker():
    def log():
        file = add(logging.FileHandler("app.log", delay=True, encoding="no-such"))
        queuelog.setup()
        assert root.handlers == [file]
        with raises(LookupError, "unknown encoding: no-such"):
            root.info("not in an emit() of the standard library's that opens the file")
        configure(maxBytes=10, delay=True, encoding="no-such")
        root.info("which handleError() prints")
        with raises(ValueError, "Unable to configure handler 'file'"):
            configure(maxBytes=10, encoding="no-such")  # it would open the file at once

    run(log)


def more_files_than_a_process_can_describe_stay_in_the_worker():
    inside.describe_at_most(2)

    def log():
        loggers = [logger_of(f"{name}.log") for name in "abcd"]
        queuelog.setup()
        queuelog.setup()
        for logger in loggers:
            logger.info("%s", logger.name[0])

    run(log)


def sizes():
    """Return how many there are of all that could leak."""
    gc.collect()
    return {
        "descriptors": descriptors(),
        "Python's threads": threading.active_count(),
        "threads": threads(),
        "handlers to close": len(logging._handlerList),
        "names of handlers": len(logging._handlers),
        "descriptions": inside.descriptions(),
        "sinks": inside.sinks(),
        "handlers": sum(isinstance(found, logging.Handler) for found in gc.get_objects()),
    }


def repeat():
    def configure_and_log(numbers):
        for number in numbers:
            configure()
            queuelog.setup()
            root.info("%03d", number)
        size = (numbers.stop) * len("INFO 000\n")
        wait_for(lambda: os.path.getsize("app.log") >= size, "the lines")

    configure_and_log(range(10))
    before = sizes()
    configure_and_log(range(10, 110))
    after = sizes()
    assert after == before, (before, after)


def repeated_configuration_leaks_nothing():
    configure()
    start()
    if ARGUMENTS[0] == "worker":
        in_worker(repeat)
    else:
        repeat()
    assert inside.sinks() == 1
    queuelog.stop()


def a_reload_in_the_arbiter_leaks_nothing():
    def rotating(size):
        configure("%(message)s", maxBytes=size, backupCount=9)

    rotating(0)
    start()
    seen = []
    for _ in range(10):
        rotating(0)
        queuelog.setup()
        in_worker(lambda: root.info("12345678"))
        inside.listener().pause()
        inside.listener().drain(9)
        seen.append((descriptors(), threads()))
        inside.listener().resume()
    assert max(seen)[0] <= min(seen)[0] + 2, seen
    rotating(10)
    in_worker(lambda: root.info("after"))
