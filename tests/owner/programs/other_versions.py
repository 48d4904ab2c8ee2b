"""Programs of test_other_versions.py."""

import os
import signal

import inside
from prelude import add_log, content, root, start
from waiting import wait_for

import queuelog


def leave_a_line():
    add_log()
    start()
    inside.listener().stop()
    root.info("left")
    os.kill(os.getpid(), signal.SIGKILL)


def log_a_line():
    add_log()
    start()
    root.info("new")
    queuelog.stop()


def log_beside_it():
    add_log()
    start(backlog=1 << 17, full="drop")
    wait_for(lambda: "left" in content("app.log"), "a look at the spool that was left")
    inside.listener().pause()
    for _ in range(60):
        root.info("x" * 1000)
    queuelog.stop()
