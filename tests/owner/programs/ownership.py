"""Programs of test_ownership.py."""

import os
import pwd
import sys
from functools import partial

import inside
from prelude import SPOOL, add_log, become, content, in_child, in_worker, logger_of, root, start
from spools import the_spool
from waiting import wait_for

import queuelog


def lines_wait_without_an_error_while_another_process_has_the_spool():
    lines = logger_of("app.log")
    start()
    lines.info("before")
    wait_for(lambda: content("app.log"), "the first line")
    inside.listener().pause()
    path = the_spool(SPOOL).lock
    os.unlink(path)
    other = inside.lock(path)
    assert other.acquire()
    lines.info("kept")
    inside.tidy_soon()
    inside.listener().resume()
    wait_for(lambda: not inside.owns_the_spool(), "the other one owns it")
    other.close()
    wait_for(lambda: "kept" in content("app.log"), "the second line")
    queuelog.stop()


def start_with_a_name_that_is_no_text():
    lines = logger_of("app.log")
    queuelog.start(spool=f"{SPOOL}-\udcff")
    lines.info("in")
    queuelog.stop()


def log_what_is_typed():
    add_log()
    queuelog.start(spool=SPOOL)
    print("up", flush=True)
    for line in sys.stdin:
        in_worker(partial(root.info, line.strip()))


def own_the_file_for_nobody():
    add_log()
    queuelog.start(spool=SPOOL, user="nobody")
    print("up", flush=True)
    sys.stdin.read()


def change_the_user_while_another_one_owns_the_file():
    add_log()
    queuelog.start(spool=SPOOL, user="nobody")
    print("up", flush=True)
    for line in sys.stdin:
        inside.change_the_user("daemon")
        queuelog.setup()

        in_child(partial(log_as_daemon, line.strip()))


def log_as_daemon(line):
    become(pwd.getpwnam("daemon").pw_uid)
    root.info(line)
