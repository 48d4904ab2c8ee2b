"""Processes below a worker: what loadapp does, and numbers that are logged by children.

GET /below?how=HOW&start=S&count=N   a child logs the numbers; HOW is one of `WAYS`
"""

import concurrent.futures
import logging
import multiprocessing
import os
import subprocess
import sys
from urllib.parse import parse_qs

import belowprograms
import loadapp
from belowprograms import configured, log, nested
from loadapp import log_numbers

import queuelog


def child(start, count):
    """Log in a process that was not forked."""
    queuelog.setup()
    log_numbers(start, count)


def grandchild(start, count):
    """Log in a forked child of a process that was not forked, and in that itself."""
    queuelog.setup()
    process = multiprocessing.get_context("fork").Process(target=log_numbers, args=(start, 1))
    process.start()
    log_numbers(start + 1, count - 1)
    process.join()
    assert process.exitcode == 0


def run(function, *arguments):
    """Run a program that was started anew: a function of belowprograms.py."""
    command = [sys.executable, belowprograms.__file__, function.__name__]
    subprocess.run([*command, *map(str, arguments)], check=True)


def in_process(method, target, start, count):
    """Run a function with `multiprocessing`.

    The exit code says nothing: forked from a thread of a pool, as in a gthread worker, a child ends
    with 1, since CPython lets it join the very thread that it is.
    """
    process = multiprocessing.get_context(method).Process(target=target, args=(start, count))
    process.start()
    process.join()


def in_pool(method, initializer, start, count):
    """Log with a pool of two processes."""
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=context, initializer=initializer
    ) as pool:
        list(pool.map(log_numbers, range(start, start + count), [1] * count))


def by_fork(start, count):
    """Fork as C programs do."""
    pid = os.fork()
    if pid == 0:
        try:
            log_numbers(start, count)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


WAYS = {
    "os.fork": by_fork,
    "subprocess": lambda start, count: run(log, start, count),
    "subprocess, configured": lambda start, count: run(
        configured, start, count - 1, os.environ["CHILD_LOG"]
    ),
    "subprocess below a subprocess": lambda start, count: run(nested, start, count),
    "fork": lambda start, count: in_process("fork", log_numbers, start, count),
    "spawn": lambda start, count: in_process("spawn", child, start, count),
    "fork below spawn": lambda start, count: in_process("spawn", grandchild, start, count),
    "forkserver": lambda start, count: in_process("forkserver", child, start, count),
    "pool, fork": lambda start, count: in_pool("fork", None, start, count),
    "pool, spawn": lambda start, count: in_pool("spawn", queuelog.setup, start, count),
    "pool, forkserver": lambda start, count: in_pool("forkserver", queuelog.setup, start, count),
}


def app(environ, start_response):
    """Serve WSGI."""
    if environ["PATH_INFO"] != "/below":
        return loadapp.app(environ, start_response)
    values = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    try:
        WAYS[values["how"]](int(values["start"]), int(values["count"]))
    except Exception:
        logging.getLogger("gunicorn.error").exception("failed: %s", values["how"])
        raise
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
