"""Programs of test_lagging_sinks.py."""

import logging
import os
import signal
import threading

import inside
from prelude import add_log, content, in_worker, logger_of, root, start
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


def what_waits_for_one_failing_sink_costs_another_one_no_record():
    failing, good = logger_of("gone/failing.log"), logger_of("good.log")
    start(backlog=1 << 20, full="drop")
    for number in range(3_000):  # more than there is room for
        failing.info("%04d %s", number, "x" * 1_000)
    wait_for(inside.lagging, "a sink lags")
    for number in range(20_000):
        good.info("%05d %s", number, "x" * 200)
        if number % 100 == 0:
            wait_for(lambda: inside.backlog() < 900_000, "the owner writes what is good")
    wait_for(lambda: content("good.log").count("\n") == 20_000, "all good lines")
    os.mkdir("gone")
    queuelog.stop()


def a_failing_sink_is_reported_in_a_spool_that_it_has_filled():
    lines = logger_of("gone/app.log")
    logging.getLogger("queuelog").addHandler(lines.handlers[0])
    start(backlog=1 << 16, wait=60.0)
    inside.listener().pause()
    while inside.backlog() < 45_000:
        lines.info("x" * 1_000)
    waiting = threading.Thread(target=lambda: [lines.info("x" * 1_000) for _ in range(30)])
    waiting.start()
    wait_for(inside.is_full, "a log call waits for room")
    inside.listener().resume()
    wait_for(inside.lagging, "a sink lags")
    os.mkdir("gone")
    waiting.join(20)
    assert not waiting.is_alive(), "nobody made room"
    queuelog.stop()


def many_files_that_fail_do_not_keep_the_listener_from_its_work():
    add_log()
    loggers = [logger_of(f"gone/{number}.log") for number in range(300)]

    def log():
        for logger in loggers:
            logger.info("x")
        root.info("honest")

    start()
    in_worker(log)
    wait_for(lambda: "honest\n" in content("app.log"), "the line of another file")
    queuelog.stop()
