"""Programs of test_descriptors.py."""

import logging
import os
import resource

import inside
from prelude import (
    ARGUMENTS,
    add,
    content,
    descriptors,
    in_child,
    in_worker,
    logger_of,
    root,
    start,
)
from waiting import wait_for

import queuelog


def a_file_for_each_job_leaves_no_descriptor_in_the_owner():
    name, value = ARGUMENTS

    def log():
        for number in range(100):
            file = add(logging.FileHandler(f"{number}.job"))
            queuelog.setup()
            root.info("of %d", number)
            root.removeHandler(file)

    add(logging.FileHandler("app.log"))
    start()
    before = descriptors()
    for _ in range(2):
        in_worker(log)
        wait_for(lambda: descriptors() >= before + 100, "all files are open")
        with inside.closing_files(**{name: float(value)}):
            wait_for(lambda: descriptors() <= before + 1, "all files are closed")
    queuelog.stop()


def more_files_than_the_owner_has_descriptors_get_their_lines():
    start()

    def log():
        for number in range(150):
            logger = logger_of(f"{number}.log")
            queuelog.setup()
            logger.info("%d", number)
        wait_for(
            lambda: all(content(f"{number}.log") == f"{number}\n" for number in range(150)),
            "all files",
        )

    in_child(log)
    queuelog.stop()


def stop_without_a_free_descriptor_keeps_the_records():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    add(logging.FileHandler("app.log"))
    start()
    inside.listener().stop()
    root.info("in")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    queuelog.stop()
    assert not os.path.getsize("app.log")
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    start()
    queuelog.stop()
