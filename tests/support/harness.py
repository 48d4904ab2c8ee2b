"""What the tests share: a real Gunicorn, load on it, and the count of what reached the files."""

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
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

APPS = Path(__file__).parents[1] / "apps"
# The script, as users run it: started again on SIGUSR2, `python -m gunicorn` of old versions has
# modules of its own for the standard library's (`http`).
GUNICORN = str(Path(sys.executable).with_name("gunicorn"))
EXAMPLES = Path(__file__).parents[2] / "examples"
LINE = re.compile(rb"(?P<time>[\d.]+) (?P<pid>\d+) number=(?P<number>\d{8}) x*")
DEADLINE = 30.0  # seconds: how long a condition may take to come true


def wait_for(condition, what, deadline=DEADLINE):
    """Wait until `condition()` is true, and return its value; fail after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {deadline} s in vain: {what}"
        time.sleep(0.01)


def free_port():
    """Return a port that nobody listens on, nor will: those of outgoing connections are higher."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def alive(pid):
    """Tell if a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    """Return the process ids of the running children of `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in task.read_text().split() if alive(int(child))]
    return found


def open_files(pid):
    """Return the paths of the regular files that a process has open."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(os.readlink(entry.path))
    return [path for path in found if path.startswith("/")]


CONF = """
import logging, os
import queuelog
from queuelog.gunicorn import *
bind = "127.0.0.1:{port}"
worker_class = "{worker_class}"
workers = {workers}
control_socket_disable = True
graceful_timeout = 10
logconfig_dict = {logconfig!r}
{extra}
"""


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
    """A real Gunicorn with queuelog, in a directory of its own."""

    def __init__(
        self, directory, *, handler=None, workers=4, worker_class="sync", app="loadapp:app",
        extra="", config=None, options=(), env=None, acks=1_000_000, prefix=(),
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
        self._settings = {"worker_class": worker_class, "workers": workers, "extra": extra}
        self.write_conf()
        self._command = [*prefix, sys.executable, *options, GUNICORN, "-c", str(self.conf), app]
        self._env = {
            **os.environ, "PYTHONPATH": f"{APPS}:{Path(__file__).parent}", "ACKS": str(self.acks),
            "PYTHONWARNINGS": "default", **(env or {}),
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
            wait_for(self.answers, "the server answers")
            wait_for(lambda: len(children(self.pid)) >= self.workers, "all workers")
        return self

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

    def get(self, path, timeout=10):
        """Send a request; return the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

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
        wait_for(lambda: not alive(pid), f"process {pid} ends")

    def kill(self):
        """End every process of the server at once, if any is left."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def errors(self):
        """Return what the server wrote to stdout and stderr."""
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def reports(self):
        """Return what queuelog said on stderr, by line."""
        return [line for line in self.errors().splitlines() if line.startswith("queuelog[")]

    def text(self, name):
        """Return the contents of a log file and of its backups."""
        return b"".join(path.read_bytes() for path in sorted(self.log_dir.glob(f"{name}*")))

    def count(self):
        """Count the load's lines in all files against the acknowledgements."""
        return count(self.acks.read_bytes(), self.log_dir.glob("load.log*"))


@dataclass
class Count:
    """What was acknowledged, and what of it is in the files."""

    expected: int
    found: int
    missing: list[int] = field(repr=False)
    doubled: list[int] = field(repr=False)
    torn: list[bytes]

    def check(self, at_least=1):
        """Assert that nothing is missing, doubled or torn, and that something was there at all."""
        sample = (self.missing[:5], self.doubled[:5], self.torn[:3])
        assert (self.missing, self.doubled, self.torn) == ([], [], []), (self, sample)
        assert self.expected >= at_least, self


def count(acks, paths):
    """Count numbered lines in files. A number that was written but not acknowledged is allowed."""
    numbers, torn = Counter(), []
    for path in paths:
        for line in path.read_bytes().split(b"\n")[:-1]:
            match = LINE.fullmatch(line)
            if match is None:
                torn.append(line)
            else:
                numbers[int(match["number"])] += 1
        if not path.read_bytes().endswith(b"\n") and path.stat().st_size:
            torn.append(path.read_bytes()[-80:])
    acknowledged = [number for number, ack in enumerate(acks) if ack]
    return Count(
        expected=len(acknowledged),
        found=sum(numbers.values()),
        missing=[number for number in acknowledged if number not in numbers],
        doubled=[number for number, times in numbers.items() if times > 1],
        torn=torn,
    )


class Load:
    """Threads that send requests for numbered lines until stopped; failed requests are allowed.

    Each thread pauses `pause` seconds between two requests, and waits for an answer for `timeout`.
    """

    def __init__(
        self, server, *, threads=4, per_request=20, limit=1_000_000, pause=0.002, timeout=10
    ):  # fmt: skip
        self._server = server
        self._per_request = per_request
        self._limit = limit
        self._pause = pause
        self._timeout = timeout
        self._next = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        self.answered = 0
        self.failed = 0

    def _run(self):
        while self._go.wait() and not self._stop.is_set():
            with self._lock:
                start, self._next = self._next, self._next + self._per_request
            if self._next > self._limit:
                return
            try:
                self._server.get(f"/log?start={start}&count={self._per_request}", self._timeout)
                self.answered += 1
                self._stop.wait(self._pause)
            except (OSError, http.client.HTTPException):
                self.failed += 1
                self._stop.wait(0.01)

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
        """Send nothing for a while."""
        self._go.clear()
        try:
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
