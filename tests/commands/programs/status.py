"""Programs of test_status.py."""

import json
import logging
import os
import sys
import threading

import inside
from prelude import ARGUMENTS, NOBODY, SPOOL, add, add_log, become, content, logger_of, root, start
from spools import the_spool
from waiting import wait_for

import queuelog
from queuelog.commands.cli import main
from queuelog.spool.drops import collect


def look_over_and_over():
    times, path = ARGUMENTS
    for _ in range(int(times)):
        assert main(["status", "--json", path]) == 0


def published():
    with open(the_spool(SPOOL).status, encoding="utf-8") as file:
        return json.load(file)


def an_idle_service_writes_nothing():
    add_log()
    start()
    root.info("one")
    directory = the_spool(SPOOL)
    wait_for(lambda: os.path.exists(directory.status) and published()["records"] == 1, "status")
    before = os.stat(directory.status)
    inside.tidy()
    assert os.stat(directory.status) == before
    root.info("two")
    wait_for(lambda: published()["records"] == 2, "the second record")
    os.unlink(directory.status)
    wait_for(lambda: os.path.exists(directory.status), "a removed one is made again")
    queuelog.stop()


def a_service_without_room_for_it_goes_on():
    add_log()
    start()
    os.mkdir(the_spool(SPOOL).status + ".new")
    for number in range(100):
        root.info("%d", number)
    queuelog.stop()
    assert "status" not in content("app.log")


def fail_and_mend():
    os.mkdir("logs")
    log = logger_of("logs/app.log")
    add(logging.FileHandler("other.log"), "%(message)s")
    start()
    os.rename("logs", "away")
    for number in range(10):
        log.info("%d", number)
    print("up", flush=True)
    sys.stdin.readline()
    os.rename("away", "logs")
    queuelog.stop()


def log_and_wait():
    add_log()
    start()
    root.info("here")
    wait_for(lambda: published()["records"] == 1, "the line")
    print("up", flush=True)
    sys.stdin.readline()


def leave_a_backlog():
    os.mkdir("logs")
    log = logger_of("logs/app.log")
    start()
    os.rename("logs", "away")
    for number in range(10):
        log.info("%d", number)
    wait_for(inside.lagging, "the file fails")
    os.kill(os.getpid(), 9)


def drop():
    add_log()
    start(backlog=1 << 16, full="drop")
    inside.listener().pause()
    for number in range(2000):
        root.info("%0100d", number)
    (dropped,) = collect(the_spool(SPOOL), os.O_RDONLY)
    print(dropped.count, flush=True)
    sys.stdin.readline()
    inside.listener().resume()
    sys.stdin.readline()
    queuelog.stop()


def look_as_nobody():
    assert main(["status", SPOOL]) == 2  # another user may not be able to read what it imports
    become(NOBODY)
    assert main(["status"]) in (0, 1)
    assert main(["status", *ARGUMENTS]) == 2


def spools_that_vanish_while_they_are_read():
    ends = threading.Event()

    def come_and_go():
        while not ends.is_set():
            directory = inside.spool_directory(f"{SPOOL}/1-1")
            writer = inside.spool_writer(directory)
            inside.put_line(writer, logging.FileHandler("app.log", delay=True), 1.0, b"line\n")
            writer.close()
            for path in inside.segments(directory):
                os.unlink(path)
            assert directory.remove()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        codes = {main(["status", path]) for path in [SPOOL, f"{SPOOL}/1-1"] * 25}
    finally:
        ends.set()
        thread.join()
    assert codes <= {0, 1, 2}
