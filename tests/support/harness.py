"""A real Gunicorn, and load on it."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from counting import count
from processes import (
    children,
    descriptors,
    obeys,
    open_files,
    segment_writer,
    threads,
    wait_for_end,
    workers,
)
from waiting import wait_for

APPS = Path(__file__).parents[1] / "apps"
# The script, as users run it: started again on SIGUSR2, `python -m gunicorn` of old versions has
# modules of its own for the standard library's (`http`).
GUNICORN = str(Path(sys.executable).with_name("gunicorn"))
EXAMPLES = Path(__file__).parents[2] / "examples"


def free_port():
    """Return a port that nobody listens on, nor will: those of outgoing connections are higher."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        if can_bind(port):
            return port


def can_bind(port):
    """Tell if nobody listens on a port."""
    with socket.socket() as sock, suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return True
    return False


CONF = """{top}
import logging, os
import hashlib  # workers of another user may not be able to read it
import queuelog
from queuelog.gunicorn import *
bind = "127.0.0.1:{port}"
worker_class = "{worker_class}"
workers = {workers}
control_socket_disable = True
graceful_timeout = 10
logconfig_dict = {logconfig!r}
{hooks}
{extra}
"""


def start_hook(spool, **options):
    """Return the hook that starts queuelog with a spool and options."""
    arguments = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"def on_starting(server):\n    queuelog.start(spool={spool!r}{arguments})\n"


def executed(path):
    """Return the line of a conf file that executes another file in its place, at reloads, too."""
    return f"exec(compile(open({str(path)!r}).read(), {str(path)!r}, 'exec'))\n"


def logconfig(log_dir, handler=None):
    """Return a configuration whose logger `load` writes to load.log with the given `handler`."""
    file = {"class": "logging.FileHandler", "formatter": "line"}
    load = {**file, "filename": f"{log_dir}/load.log", **(handler or {})}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(created).9f %(process)d %(message)s"},
            "plain": {"format": "[%(process)d] [%(levelname)s] %(message)s"},
            "access": {"format": "%(message)s"},
        },
        "handlers": {
            "load": load,
            "error": {**file, "filename": f"{log_dir}/error.log", "formatter": "plain"},
            "access": {**file, "filename": f"{log_dir}/access.log", "formatter": "access"},
        },
        "root": {"level": "INFO", "handlers": ["error"]},
        "loggers": {
            "load": {"level": "INFO", "handlers": ["load"], "propagate": False},
            "gunicorn.error": {"level": "INFO", "handlers": ["error"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
        },
    }


class Server:
    """A real Gunicorn with queuelog, in a directory of its own.

    Its conf file starts with the line `top`, and ends with the files `confs` and the text `extra`.
    It has a hook that starts queuelog with `spool`, if there is one; conf files find that in the
    environment, as SPOOL.
    """

    def __init__(
        self, directory, *, spool=None, handler=None, workers=2, worker_class="sync",
        app="loadapp:app", top="", confs=(), extra="", config=None, options=(), env=None,
        acks=1_000_000, prefix=(),
    ):  # fmt: skip
        self.directory = Path(directory)
        self.log_dir = self.directory / "logs"
        self.log_dir.mkdir(exist_ok=True)
        self.port = free_port()
        self.workers = workers
        self.acks = self.directory / "acks"
        if not self.acks.exists():
            self.acks.write_bytes(bytes(acks))
        self.config = config or logconfig(self.log_dir, handler)
        self.conf = self.directory / "gunicorn.conf.py"
        hooks = (start_hook(spool) if spool else "") + "".join(map(executed, confs))
        self._settings = {
            "worker_class": worker_class, "workers": workers, "top": top, "hooks": hooks,
            "extra": extra,
        }  # fmt: skip
        self.write_conf()
        self._command = [*prefix, sys.executable, *options, GUNICORN, "-c", str(self.conf), app]
        self._env = {
            **os.environ, "PYTHONPATH": f"{APPS}:{Path(__file__).parent}", "ACKS": str(self.acks),
            "PYTHONWARNINGS": "default", **({"SPOOL": spool} if spool else {}), **(env or {}),
        }  # fmt: skip
        self.process = None
        self.stderr = self.directory / "stderr"

    def write_conf(self, **settings):
        """Write the conf file, with changed settings or a changed `self.config`."""
        self._settings |= settings
        self.conf.write_text(CONF.format(port=self.port, logconfig=self.config, **self._settings))

    def start(self, wait=True):
        """Start Gunicorn; with `wait`, return when every worker is there and one answers."""
        with self.stderr.open("ab") as stderr:
            self.process = subprocess.Popen(
                self._command, cwd=self.directory, env=self._env, stderr=stderr, stdout=stderr,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self):
        """Wait until a request is answered, and all workers are there and obey signals."""
        wait_for(self.answers, "the server answers")
        wait_for(lambda: sum(map(obeys, children(self.pid))) >= self.workers, "all workers")

    @property
    def pid(self):
        """The arbiter's process id."""
        return self.process.pid

    def answers(self):
        """Tell if a request is answered."""
        assert self.process.poll() is None, f"the server ended: {self.errors()}"
        try:
            return self.get("/pid")
        except OSError:
            return None

    def get(self, path, timeout=10, headers=None):
        """Send a request; return the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().read()
        finally:
            connection.close()

    def try_get(self, path, timeout=30):
        """Send a request that need not be answered."""
        with suppress(OSError, http.client.HTTPException):
            self.get(path, timeout)

    @contextmanager
    def getting(self, path):
        """Send a request that need not be answered, and go on meanwhile."""
        thread = threading.Thread(target=self.try_get, args=(path,))
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def send(self, number):
        """Send a signal to the arbiter."""
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=60):
        """End the server; return the arbiter's exit code.

        A worker that is just booting loses the signal, with queuelog or without: Gunicorn gives it
        30 seconds then (graceful_timeout).
        """
        self.send(number)
        return self.process.wait(timeout)

    def end_process(self, pid, number=signal.SIGTERM):
        """End a process of the server's group that is not our child."""
        os.kill(pid, number)
        wait_for_end([pid])

    def kill(self):
        """End every process of the server at once, if any is left."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def held_by(self, pid):
        """Return the names of the server's log files that a process has open."""
        return {os.path.basename(path) for path in open_files(pid, below=f"{self.log_dir}/")}

    def at_rest(self):
        """Return how many threads and descriptors the arbiter has while nothing is going on.

        Without the segments of living workers: each has one for each file that it has written. The
        listener lets go of dead workers, and knows new ones, when it writes the next line.
        """
        workers(self)  # each has logged, if only that it is there
        before = self.text("access.log").count(b"/pid")
        self.get("/pid")
        wait_for(lambda: self.text("access.log").count(b"/pid") > before, "the line of a request")
        living = {str(pid) for pid in workers(self)}
        of_workers = [path for path in open_files(self.pid) if segment_writer(path) in living]
        return threads(self.pid), descriptors(self.pid) - len(of_workers)

    def errors(self):
        """Return what the server wrote to stdout and stderr."""
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def reports(self):
        """Return what queuelog said on stderr, by line."""
        return [line for line in self.errors().splitlines() if line.startswith("queuelog[")]

    def wait_for_report(self, text):
        """Wait until queuelog has said something on stderr."""
        wait_for(lambda: any(text in line for line in self.reports()), f"a report: {text}")

    def wait_for_lines(self, number, name="load.log"):
        """Wait until there are so many lines in a log file and its backups."""
        wait_for(lambda: self.text(name).count(b"\n") == number, f"{number} lines in {name}")

    def logged(self, pattern):
        """Wait until error.log matches `pattern`; return the match."""
        return wait_for(lambda: re.search(pattern, self.text("error.log")), f"{pattern} is logged")

    def text(self, name):
        """Return the contents of a log file and of its backups."""
        return b"".join(path.read_bytes() for path in sorted(self.log_dir.glob(f"{name}*")))

    def count(self):
        """Count the load's lines in all files against the acknowledgements."""
        return count(self.acks.read_bytes(), self.log_dir.glob("load.log*"))


class Load:
    """Threads that send requests for numbered lines until stopped; failed requests are allowed.

    The numbers begin with `first`, and end before `limit`.

    All threads send at the same moments, `pause` seconds apart: so requests meet in the server, at
    less cost than with a shorter pause; with 0, one after the other. Each waits for an answer for
    `timeout`.
    """

    def __init__(
        self, server, *, threads=4, per_request=20, first=0, limit=1_000_000, pause=0.05, timeout=10
    ):  # fmt: skip
        self._server = server
        self._per_request = per_request
        self._limit = limit
        self._pause = pause
        self._timeout = timeout
        self._next = first
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        self._sent = 0  # requests that have no answer yet
        self.answered = 0
        self.failed = 0

    def _run(self):
        while self._go.wait() and not self._stop.is_set():
            with self._lock:
                if not self._go.is_set():
                    continue
                start, self._next = self._next, self._next + self._per_request
                if self._next > self._limit:
                    return
                self._sent += 1
            is_answered = self._send(start)
            with self._lock:
                self._sent -= 1
            self._stop.wait(self._until_the_next() if is_answered else 0.01)

    def _until_the_next(self):
        return self._pause and self._pause - time.monotonic() % self._pause

    def _send(self, start):
        try:
            self._server.get(f"/log?start={start}&count={self._per_request}", self._timeout)
        except (OSError, http.client.HTTPException):
            self.failed += 1
            return False
        self.answered += 1
        return True

    def start(self):
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def go_on(self, seconds):
        """Let the load go on for so long."""
        self._stop.wait(seconds)

    @contextmanager
    def paused(self):
        """Send nothing for a while, from the last answer on."""
        with self._lock:
            self._go.clear()
        try:
            wait_for(lambda: not self._sent, "the answers")
            yield
        finally:
            self._go.set()

    def wait_for_requests(self, number):
        """Wait until `number` more requests were answered."""
        goal = self.answered + number
        wait_for(lambda: self.answered >= goal, f"{number} requests answered")

    def join(self):
        """Wait until all numbers up to the limit were sent."""
        for thread in self._threads:
            thread.join()

    def stop(self):
        """End the load."""
        self._stop.set()
        self.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()
