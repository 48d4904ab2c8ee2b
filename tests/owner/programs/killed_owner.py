"""Programs of test_killed_owner.py."""

import logging.handlers
import os
import signal

import inside
from prelude import ARGUMENTS, add_log, content, in_worker, logger_of, root, start
from waiting import wait_for

import queuelog


def kill_everybody():
    add_log()
    start()

    def log():
        root.info("kept")
        os.killpg(0, signal.SIGKILL)  # this program leads a session of its own

    in_worker(log)


def start_again():
    add_log()
    start()


def loggers():
    """Return the logger of a file that cannot be written, and of one that soon rolls over."""
    rotating = logging.handlers.RotatingFileHandler
    return logger_of("gone/failing.log"), logger_of(
        "other.log", rotating, maxBytes=20, backupCount=9
    )


def die_between_two_sinks():
    def rotator(source, dest):
        os.kill(os.getpid(), signal.SIGKILL)

    failing, other = loggers()
    other.handlers[0].rotator = rotator
    start()
    failing.info("failing")
    for number in range(3):
        other.info("a line of other %d", number)
    wait_for(lambda: False, "the rollover kills this process")


def write_the_rest():
    _, other = loggers()
    start()
    other.info("a line of other 3")
    wait_for(
        lambda: content("other.log").endswith("3\n") and content("gone/failing.log"), "both files"
    )
    queuelog.stop()


def die_behind_a_write():
    log = logger_of("logs/app.log")
    start()
    inside.die_behind_the_next_write()
    log.info("once")
    wait_for(lambda: False, "the write kills this process")


def start_where_it_was():
    logger_of("logs/app.log")
    start()
    queuelog.stop()


def daily(name):
    """Return the logger of a file that rolls over at midnight."""
    return logger_of(name, logging.handlers.TimedRotatingFileHandler, when="midnight", utc=True)


def log_and_die():
    created = float(ARGUMENTS[0])
    record = logging.makeLogRecord({"msg": "yesterday", "created": created, "levelno": 20})
    arbiter = daily("arbiter.log")
    start()
    inside.listener().stop()
    arbiter.handle(record)

    def add_a_file():
        worker = daily("worker.log")
        queuelog.setup()
        worker.handle(record)

    in_worker(add_a_file)
    os.kill(os.getpid(), signal.SIGKILL)


def only_recover():
    daily("arbiter.log")
    start()
    queuelog.stop()


def log_in_both():
    loggers = [*map(daily, ("arbiter.log", "worker.log"))]
    start()
    for logger in loggers:
        logger.info("today")
    queuelog.stop()
