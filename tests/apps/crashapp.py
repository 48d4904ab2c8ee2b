"""Applications at their worst: what loadapp does, and requests that end or trouble the worker.

S and N are the numbers that are logged and acknowledged before (see loadapp).

GET /die?how=HOW&start=S&count=N   then the worker dies: segfault, exit or kill
GET /hold?how=HOW&start=S&count=N  then C code holds the GIL: deaf (to signals, too) or regex
GET /signals?start=S&count=N       N signals whose handler logs, while the worker logs, too
GET /odd?start=S&count=N           records with objects that no other process can have
GET /unprintable?start=S&count=N   each after a record that cannot be formatted
"""

import faulthandler
import itertools
import os
import re
import resource
import signal
import threading
from urllib.parse import parse_qs

import loadapp
from deaf import hold_the_gil
from loadapp import acks, log, log_numbers

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

DEATHS = {
    "segfault": faulthandler._sigsegv,
    "exit": lambda: os._exit(1),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
}
HOLDS = {
    "deaf": hold_the_gil,
    "regex": lambda: re.match("(a+)+$", "a" * 60 + "b"),
}


def fail(*args):
    """Stand for whatever goes wrong in another process that unpickles."""
    raise RuntimeError("unpickled")


class Unpicklable:
    """Cannot leave its process."""

    def __reduce__(self):
        raise TypeError("not to be pickled")

    def __str__(self):
        return "xxx"


class Poisoned:
    """Can leave its process, but no other one survives it."""

    def __reduce__(self):
        return fail, ()


class Model:
    """An object of the application, whose module no other process should import."""


class Unprintable:
    """Has no text."""

    def __str__(self):
        raise RuntimeError("unprintable")

    __repr__ = __str__


def log_odd(start, count):
    """Log numbers together with objects that are hard to send."""
    objects = [
        Unpicklable(), Poisoned(), Model(), Unprintable(), threading.Lock(), log_odd,
        (lambda: 0), (number for number in ()), {Unprintable(): 1}, [[Unprintable()]],
    ]  # fmt: skip
    objects[-1].append(objects[-1])
    for number, odd in zip(range(start, start + count), itertools.cycle(objects), strict=False):
        log.info("number=%08d %s", number, Unpicklable(), extra={"odd": odd})
        acks[number] = 1


def log_in_signals(start, count):
    """Log `count` numbers in a signal handler, a thousand a second, and others between them."""
    numbers = iter(range(start, start + count))
    done = threading.Event()

    def on_alarm(signum, frame):
        number = next(numbers, None)
        if number is None:
            done.set()
        else:
            log_numbers(number, 1)

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for number in itertools.count(start + count):
            if done.is_set():
                return
            log_numbers(number, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def answer(path, values):
    """Do what the request says."""
    start, count = int(values["start"]), int(values["count"])
    if path == "/signals":
        log_in_signals(start, count)
    elif path == "/odd":
        log_odd(start, count)
    elif path == "/unprintable":
        for number in range(start, start + count):
            log.info("%s", Unprintable())
            log_numbers(number, 1)
    elif path == "/die":
        log_numbers(start, count)
        DEATHS[values["how"]]()
    elif path == "/hold":
        log_numbers(start, count)
        HOLDS[values["how"]]()


def app(environ, start_response):
    """Serve WSGI."""
    if environ["PATH_INFO"] in ("/pid", "/log", "/hang", "/fail"):
        return loadapp.app(environ, start_response)
    query = parse_qs(environ["QUERY_STRING"])
    answer(environ["PATH_INFO"], {name: values[0] for name, values in query.items()})
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
