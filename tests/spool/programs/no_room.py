"""Programs of test_no_room.py."""

import logging
import logging.handlers
import os

import inside
from prelude import ARGUMENTS, add, logger_of, root, start

import queuelog


def a_record_that_is_longer_than_the_limit_is_dropped_and_counted():
    lines = logger_of("app.log")
    start(backlog=1 << 16)
    lines.info("before")
    lines.info("x" * 500_000)
    lines.info("after")
    queuelog.stop()


def the_count_of_dropped_records_is_in_the_log_in_its_encoding():
    add(logging.FileHandler("app.log", encoding=ARGUMENTS[0]), "%(message)s")
    start(backlog=65536, full="drop")
    inside.listener().pause()
    for number in range(3000):
        root.info("%040d", number)
    queuelog.stop()


def log_to_a_server_that_is_not_there():
    handler = logging.handlers.SysLogHandler(os.path.abspath("nowhere"))
    handler.set_name("syslog")
    root.addHandler(handler)
    start(own=["syslog"])
    root.warning("a server that is not there")
    queuelog.stop()


def log_more_than_the_limit():
    lines = logger_of("app.log")
    start(backlog=1 << 20, wait=30.0)
    for number in range(3000):
        lines.info("%04d %s", number, "x" * 1000)
    queuelog.stop()
