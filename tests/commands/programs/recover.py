"""Programs of test_recover.py."""

import logging
import os
import signal
import sys
from importlib import import_module

import inside
from prelude import ARGUMENTS, NOBODY, SPOOL, become, in_worker, logger_of, start

import queuelog
from queuelog.commands.cli import main

RECORDS = 20_000
PADDING = "x" * 100  # so that it takes several batches


class Mail(logging.Handler):
    def emit(self, record):
        raise AssertionError("it is not here to send anything")


def leave(*logs, records):
    """Log numbers, and be killed before anything is written."""
    inside.listener().pause()

    def log():
        for number in range(records):
            for one in logs:
                one.info("%08d %s", number, PADDING)

    in_worker(log)
    os.kill(os.getpid(), signal.SIGKILL)


def leave_much():
    log = logger_of("app.log")
    start()
    leave(log, records=RECORDS)


def leave_what_only_the_service_can_write():
    log, mail = logger_of("app.log"), logging.getLogger("mail")
    handler = Mail()
    handler.name = "mail"
    mail.setLevel(logging.INFO)
    mail.addHandler(handler)
    start(own=["mail"])
    leave(log, mail, records=5)


def leave_as_nobody():
    os.chdir(ARGUMENTS[0])
    log = logger_of("app.log")
    become(NOBODY)
    queuelog.start(spool=f"{ARGUMENTS[0]}/spools")
    leave(log, records=5)


def killed_at_a_write():
    inside.die_behind_the_next_write(int(ARGUMENTS[0]))
    main(["recover", SPOOL])


def own_and_wait():
    log = logger_of("app.log")
    start()
    log.info("line")
    print("up", flush=True)
    sys.stdin.readline()
    queuelog.stop()


def a_service_that_starts_meanwhile_logs_through_it():
    recovery = import_module("queuelog.owner.recovery")
    paths = [one.path for one in import_module("queuelog.outside.seen").below(SPOOL)]
    with recovery.recovering(paths) as found:
        found.write(lambda: None)
        print("up", flush=True)
        sys.stdin.readline()
        found.write(lambda: None)
