"""Programs of test_lagging_sinks.py."""

import os
import signal

import inside
from prelude import content, logger_of, start
from waiting import wait_for

import queuelog


def fail_and_die():
    failing = logger_of("gone/failing.log")
    start()
    failing.info("failing")
    wait_for(inside.lagging, "a sink lags")
    failing.info("failing again")
    (segment,) = inside.segments()
    end = os.path.getsize(segment)
    wait_for(lambda: end in inside.read_up_to(), "all is read")
    inside.listener().stop()
    os.kill(os.getpid(), signal.SIGKILL)


def look_again():
    logger_of("gone/failing.log")
    start()
    inside.listener().stop()
    lagging = inside.lagging()
    written, patience = inside.retry()
    print(lagging, written, patience > 0)
    inside.listener().start()
    queuelog.stop()


def log_into_a_directory():
    lines = logger_of("logs/lines.log")
    start()
    for number in range(5):
        lines.info("%d", number)
    if os.path.islink("logs"):
        wait_for(lambda: content("big/lines.log").count("4") == 2, "the lines of both runs")
    queuelog.stop()
