"""Programs with many writers, or whose writers' descriptors live on in other processes."""

import ctypes
import logging
import os
import subprocess
import sys

import loadapp
from prelude import ARGUMENTS, add
from waiting import wait_for

import queuelog

FORMAT = "%(created).9f %(process)d %(message)s"


def _start(directory):
    loadapp.log.setLevel(logging.INFO)
    add(logging.FileHandler(f"{directory}/a.log"), FORMAT, loadapp.log)
    queuelog.start()


def many_writers():
    """Let so many workers log, and stop while all of them live."""
    directory, number, lines = ARGUMENTS[0], int(ARGUMENTS[1]), int(ARGUMENTS[2])
    _start(directory)
    end, open_until_the_end = os.pipe()
    for worker in range(number):
        if os.fork() == 0:
            queuelog.setup()
            loadapp.log_numbers(lines * worker, lines)
            os.close(open_until_the_end)
            os.read(end, 1)
            os._exit(0)
    wait_for(lambda: loadapp.acks[:].count(1) == number * lines, "all have logged")
    queuelog.stop()
    os.close(open_until_the_end)
    for _ in range(number):
        os.wait()


def _by_c_fork(end):
    """Fork as a C library does, which calls no hook of Python's."""
    if ctypes.CDLL(None).fork() == 0:
        os.read(end, 1)
        os._exit(0)


def _by_popen(end):
    """Start a program that inherits all descriptors."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        if os.path.exists(f"/proc/self/fd/{fd}"):
            os.set_inheritable(fd, True)
    code = f"import os; os.read({end}, 1)"
    subprocess.Popen([sys.executable, "-S", "-c", code], close_fds=False)


def child_outlives_its_worker():
    """Let a worker have a child that never logs, and log on; stop while only the child lives."""
    directory, how = ARGUMENTS
    _start(directory)
    end, open_until_the_end = os.pipe()
    worker = os.fork()
    if worker == 0:
        queuelog.setup()
        os.close(open_until_the_end)
        loadapp.log_numbers(0, 1)
        {"C fork": _by_c_fork, "Popen": _by_popen}[how](end)
        loadapp.log_numbers(1, 30_000)
        os._exit(0)
    assert os.waitpid(worker, 0)[1] == 0
    queuelog.stop()
    os.close(open_until_the_end)
