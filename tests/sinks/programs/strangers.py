"""Programs of test_strangers.py."""

import logging.config
import os
import subprocess
import sys
from pathlib import Path

import inside
from prelude import ARGUMENTS, add_log, root, start
from waiting import wait_for

import queuelog

LOG = Path("app.log")


def configure():
    """Configure the file as a program does that knows nothing of queuelog."""
    handler = {"class": "logging.handlers.RotatingFileHandler", "filename": str(LOG)}
    config = {"version": 1, "handlers": {"file": handler}, "root": {"handlers": ["file"]}}
    logging.config.dictConfig(config)


def forked():
    """Add a handler in a forked child, without setup(), and end with stdin."""
    pid = os.fork()
    if pid == 0:
        logging.getLogger("child").addHandler(logging.FileHandler(LOG))
        logging.getLogger("child").warning("from a child")
        sys.stdin.read()
        os._exit(0)
    return pid


def started():
    """Configure the file in a program that is started anew, and end with stdin."""
    code = "import strangers, sys; strangers.configure(); strangers.root.warning('from a child')"
    env = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{os.environ['PYTHONPATH']}"}
    program = [sys.executable, "-c", f"{code}; sys.stdin.read()", *sys.argv[1:]]
    return subprocess.Popen(program, env=env).pid


def who_writes_past_the_owner_is_named():
    inside.suspect_for(0.2)
    add_log()
    start()
    pid = globals()[ARGUMENTS[0]]()
    wait_for(lambda: "from a child" in LOG.read_text(), "the child's line")
    root.warning("from the owner")
    wait_for(lambda: f"also written by process {pid} (" in LOG.read_text(), "the warning")
    root.warning("once more")
    queuelog.stop()
    os.waitpid(pid, os.WNOHANG)


def who_is_about_to_start_is_no_stranger():
    """Another process has the file open, and writes a line to it, before it calls start()."""
    inside.suspect_for(0.2)
    add_log()
    start()
    with LOG.open("a") as file:
        pid = os.fork()
        if pid == 0:
            file.write("from a child\n")
            file.flush()
            sys.stdin.readline()  # until the owner has looked
            os._exit(0)
    wait_for(inside.suspects, "the owner looks")
    print("suspected", flush=True)
    os.waitpid(pid, 0)
    wait_for(lambda: not inside.suspects(), "the owner looks once more")
    queuelog.stop()
