"""Programs of test_closed_descriptors.py."""

import os
import time
from contextlib import ExitStack

import inside
from prelude import content, in_child, logger_of, start
from waiting import wait_for

import queuelog


def wait_for_the_next_ring():
    """The writer rings the listener's bell, another descriptor of its own, not at every record."""
    rung = time.monotonic()
    wait_for(lambda: time.monotonic() > rung + inside.RING_INTERVAL, "the bell may be rung again")


def a_process_that_closes_all_descriptors_logs_on_and_writes_into_no_other_file():
    lines = logger_of("lines.log")
    start()

    def log():
        lines.info("before")
        wait_for_the_next_ring()
        os.closerange(3, 100)
        with ExitStack() as others:
            for number in range(9):
                others.enter_context(open(f"other{number}", "wb"))
            for number in range(3):
                lines.info("after %d", number)
                wait_for_the_next_ring()
            os._exit(0)

    in_child(log)
    queuelog.stop()
    print(content("lines.log"), *[content(f"other{number}") for number in range(9)], end="")


def an_owner_that_closes_all_descriptors_can_stop_and_start_again():
    lines = logger_of("lines.log")
    start()
    lines.info("before")
    wait_for(lambda: content("lines.log"), "the first line")
    os.closerange(3, 100)
    queuelog.stop()
    start()
    lines.info("after")
    queuelog.stop()
    print(content("lines.log"), end="")


def a_process_that_closes_all_descriptors_counts_dropped_records_in_no_other_file():
    lines = logger_of("lines.log")
    start(backlog=1 << 16, full="drop")

    def log():
        for _ in range(3000):
            lines.info("%040d", 0)

    inside.listener().pause()
    log()
    os.closerange(3, 100)
    with ExitStack() as others:
        for number in range(9):
            others.enter_context(open(f"other{number}", "wb"))
        log()
        print(*[os.path.getsize(f"other{number}") for number in range(9)], flush=True)
        os._exit(0)
