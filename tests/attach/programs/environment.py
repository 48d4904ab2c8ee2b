"""Programs of test_environment.py: each starts another one of below.py."""

import logging
import os
import resource
import subprocess
import sys

import run_program
from prelude import ARGUMENTS, SPOOL, logger_of, root, start

import queuelog

BELOW = os.path.join(os.path.dirname(__file__), "below.py")
a, b = map(logging.getLogger, "ab")


def own_a_file(handler=None, formatter=None):
    """Give the logger `a` the file a.log; return the handler."""
    handler = handler or logging.FileHandler("a.log")
    handler.setFormatter(formatter)
    a.addHandler(handler)
    a.setLevel("INFO")
    return handler


def run_below(name, *arguments, **options):
    """Start, run a program below this one, stop, and end as it has ended."""
    start(**options)
    command = [sys.executable, "-W", "error", run_program.__file__, BELOW, name, SPOOL]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    queuelog.stop()
    assert "QUEUELOG" not in os.environ
    print(done.stderr, file=sys.stderr)
    sys.exit(done.returncode)


def a_formatter_of_the_users_own_formats_in_the_owner():
    class Loud(logging.Formatter):
        def format(self, record):
            return super().format(record).upper()

    own_a_file(formatter=Loud("%(name)s %(message)s"))
    run_below("hello")


FORMATTERS = {
    "percent": lambda: logging.Formatter("%(levelname)s %(message)s"),
    "brace": lambda: logging.Formatter("{asctime} {message}", "%Y", style="{"),
    "dollar": lambda: logging.Formatter("$name/$message", style="$"),
    "defaults": lambda: logging.Formatter("%(message)s %(x)s", defaults={"x": 1}),
    "none": lambda: None,
}


def a_formatter_of_the_standard_library_formats_in_the_child():
    own_a_file(formatter=FORMATTERS[ARGUMENTS[0]]())
    run_below("umlaut")


def levels_and_propagation_are_those_of_the_process_above():
    handler = own_a_file()
    b.addHandler(handler)
    b.propagate = False
    handler.setLevel("WARNING")
    root.addHandler(logging.FileHandler("root.log"))
    root.setLevel("ERROR")
    run_below("levels")


def a_handler_that_writes_itself_gets_the_records_of_a_program_below():
    class Counting(logging.FileHandler):
        number = 0

        def emit(self, record):
            self.number += 1
            record.msg = f"{self.number} {record.msg}"
            super().emit(record)

    own_a_file(Counting("a.log"))
    run_below("two_lines")


class Reading(logging.Formatter):
    def format(self, record):
        return f"{record.msg!r} {record.args!r} {record.getMessage()}"


class Named(logging.Handler):
    name = "named"

    def emit(self, record):
        with open("a.log", "a") as file:
            print(self.format(record), file=file)


class WritesItself(logging.FileHandler):
    def emit(self, record):
        super().emit(record)


KINDS = {
    "lines": lambda: logging.FileHandler("a.log"),
    "own emit": lambda: WritesItself("a.log"),
    "named": Named,
}


def formatters_in_the_owner_read_what_a_program_below_has_logged():
    own_a_file(KINDS[ARGUMENTS[0]](), Reading())
    run_below("records", own=["named"])


def filters_are_asked_in_the_owner():
    def hide(record):
        record.msg = record.msg.replace("secret", "***")
        return record.msg != "not this"

    class Hiding(logging.FileHandler):
        def filter(self, record):
            return hide(record)

    if ARGUMENTS[0] == "method":
        own_a_file(Hiding("a.log"))
    else:
        own_a_file().addFilter(hide)
    run_below("secrets")


def a_program_below_owns_nothing():
    own_a_file()
    run_below("call", ARGUMENTS[0])


def more_files_than_the_environment_can_name_keep_no_program_from_its_start():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each has a lock
    own_a_file()
    for number in range(800):
        logger_of(f"{number:0200}.log")
    run_below("configure_itself")


def too_many_loggers_for_the_environment_are_said():
    own_a_file()
    for number in range(3000):
        logging.getLogger(f"logger{number}").setLevel("INFO")
    run_below("configure_itself")


def a_server_below_a_server_leaves_what_was_there():
    above = os.environ["QUEUELOG"]
    start()
    assert os.environ["QUEUELOG"] != above
    queuelog.stop()
    assert os.environ["QUEUELOG"] == above
