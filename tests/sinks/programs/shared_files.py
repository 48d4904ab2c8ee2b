"""Programs of test_shared_files.py."""

import logging.handlers
import os
import resource

from prelude import ARGUMENTS, add, logger_of, root, run, start
from waiting import wait_for

import queuelog


def two_handlers_of_a_file_write_each_their_own_way():
    one = add(logging.FileHandler("app.log"), "one %(message)s")
    two = logging.handlers.RotatingFileHandler("app.log", maxBytes=25, backupCount=9)
    add(two, "two %(message)s").setLevel("WARNING")

    def log():
        for number in range(3):
            root.info("%d", number)
            root.warning("%d", number)

    run(log)
    assert root.handlers == [one, two]


class Mine(logging.FileHandler):
    def emit(self, record):
        super().emit(record)


def a_plain_and_an_own_handler_of_a_file_keep_their_formats():
    add(logging.FileHandler("app.log"), "plain %(levelname)s %(message)s")
    add(Mine("app.log"), "mine %(levelname)s %(message)s")
    run(lambda: root.info("x"))


def a_second_handler_of_a_file_works_after_stop_and_empties_nothing():
    add(logging.FileHandler("app.log"), "one %(message)s")
    delay = ARGUMENTS[0] == "True"
    add(logging.FileHandler("app.log", mode="w", delay=delay), "two %(message)s")
    run(lambda: root.info("worker"))
    root.info("after")


def the_same_file_through_two_paths_is_one_file():
    for place in ("real", "link", "real/../link/."):
        path = f"{place}/app.log"
        add(logging.handlers.RotatingFileHandler(path, maxBytes=100, backupCount=99), "%(message)s")

    def log():
        for number in range(50):
            root.info("%03d", number)

    run(log)


def a_file_name_that_is_no_utf_8_is_as_good_as_any():
    for name in ("app.\udcff.log", "a b\n%s{}.log"):
        add(logging.handlers.RotatingFileHandler(name, maxBytes=9, backupCount=5))

    def log():
        for number in range(3):
            root.info("%d", number)

    run(log)


def a_file_without_a_name_gets_each_line_once():
    fd = os.open("out", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.unlink("out")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
    lines = logger_of(f"/dev/fd/{fd}")
    start()
    lines.info("once")
    wait_for(lambda: os.fstat(fd).st_size, "the line")
    queuelog.stop()
    print(os.pread(fd, 100, 0).decode(), end="")
