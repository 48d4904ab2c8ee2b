"""Programs of test_get_logger.py: each is a service that configures nothing."""

import importlib
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import inside

import queuelog

ADDRESS = sys.argv[2]
os.environ.setdefault("TMPDIR", os.getcwd())


def one_line_is_enough():
    log = queuelog.get_logger("app", address=ADDRESS)
    log.info("%s", "parent", extra={"n": 1})
    log.debug("below the level")
    logging.getLogger("app.db").warning("a logger below")
    logging.getLogger("another").error("another's")
    if os.fork() == 0:
        log.info("child")
        os._exit(0)
    os.wait()


def a_second_call_adds_nothing():
    queuelog.get_logger("app.db", address=ADDRESS)
    for _ in range(2):
        queuelog.get_logger("app", address=ADDRESS, level="DEBUG")
        queuelog.get_logger("app.web", address=ADDRESS)
    for name in ("app", "app.db", "app.web"):
        logging.getLogger(name).info(name)
    print(len(logging.getLogger("app").handlers), len(logging.getLogger("app.web").handlers))
    print(logging.getLogger("app").level)


def the_root_logger_has_what_libraries_log():
    queuelog.get_logger(address=ADDRESS, console=False)
    logging.getLogger("library").info("of a library")


def after_start_it_is_taken_over_as_well():
    logging.basicConfig(filename="app.log", level=logging.INFO, format="%(message)s")
    queuelog.start()
    queuelog.get_logger("app", address=ADDRESS).info("to the server")
    logging.getLogger().info("to the file")
    print(type(logging.getLogger("app").handlers[0]).__name__)
    queuelog.stop()


def what_is_configured_above_gets_the_records_as_well():
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger().addHandler(logging.FileHandler("app.log"))
    queuelog.get_logger("app", address=ADDRESS).info("first")
    queuelog.get_logger(address=ADDRESS)
    logging.getLogger("app").info("second")


def children_of_multiprocessing_log_on():
    os.environ["LOG_SERVER"] = ADDRESS
    module = importlib.import_module("getloggerapp")
    for method in ("fork", "spawn", "forkserver"):
        child = multiprocessing.get_context(method).Process(target=module.log, args=(method,))
        child.start()
        child.join()
        assert child.exitcode == 0
    module.log("parent")


def a_program_below_is_a_client_of_its_owner():
    log = queuelog.get_logger("app", address=ADDRESS)
    log.info("above")
    command = [sys.executable, "-c", BELOW, ADDRESS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(done.stdout, end="")


BELOW = """
import sys, logging, queuelog, threading
from queuelog import lifecycle
queuelog.get_logger("below", address=sys.argv[1], console=False).info("below")
print(type(lifecycle._role).__name__, threading.active_count(), "queuelog.sinks" in sys.modules)
"""


def threads_that_call_it_at_once_start_it_once():
    def call():
        barrier.wait()
        queuelog.get_logger("app", address=ADDRESS, console=False).info("x")

    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(logging.getLogger("app").handlers), inside.spools_of_this_process())


def in_the_server_itself_a_logger_is_just_a_logger():
    logging.basicConfig(filename="app.log", level=logging.INFO, format="%(message)s")
    queuelog.start(listen=ADDRESS)
    queuelog.get_logger("app", address=ADDRESS).info("here")
    queuelog.stop()
    print(Path("app.log").read_text(), end="")


def a_level_that_is_none_is_refused():
    for options in ({"level": "LOUD"}, {"address": "nowhere:x"}):
        try:
            queuelog.get_logger("app", **options)
        except ValueError as error:
            print(error)
    print(len(logging.getLogger("app").handlers))
