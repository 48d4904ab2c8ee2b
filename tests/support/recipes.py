"""The services of examples/processes, each a real program, all of which log into one file."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from counting import count
from harness import APPS, EXAMPLES, free_port
from processes import alive, catches, children, group, open_files
from waiting import wait_for

LOG = "services.log"
STARTS = ("queuelog.start()", "queuelog.gunicorn.install(globals())")
NUMBERS = 4_000_000  # that may be logged
BYTES = 50_000  # of a log file
LONGEST = 10_000  # bytes of a record, with a traceback
STOP = 10.0  # seconds that a program has to end
# What the file consists of; a line that is not the load's has no number, and no more is known.
LINE = re.compile(
    rb"[\d-]+ [\d:,]+ \d+ INFO load: number=(?P<number>\d{8}) x*|(?!.*number=\d{8}).*"
)

SERVERS = {
    "uvicorn": ("uvicorn", "--port", "{port}", "--workers", "{workers}", "asgiload:app"),
    "uvicorn-reload": ("uvicorn", "--port", "{port}", "--reload", "asgiload:app"),
    "uvicorn-own-parent": ("serve.py",),
    "hypercorn": (
        "hypercorn", "--bind", "127.0.0.1:{port}", "--workers", "{workers}", "asgiload:app",
    ),
    "daphne": ("daphne", "--port", "{port}", "asgiload:app"),
    "gunicorn": (
        "gunicorn", "-c", "gunicorn.conf.py", "-w", "{workers}", "-b", "127.0.0.1:{port}",
        "-k", "uvicorn_worker.UvicornWorker", "asgiload:app",
    ),
}  # fmt: skip


@contextmanager
def redis():
    """Run a Redis that is nobody else's; yield the path of its socket.

    Raises:
        FileNotFoundError: it is not installed.
    """
    with tempfile.TemporaryDirectory() as directory:  # short: so are the names of sockets
        socket = Path(directory, "redis")
        options = "--port", "0", "--save", "", "--dir", directory, "--unixsocket"
        with subprocess.Popen(
            ["redis-server", *options, socket],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                wait_for(socket.exists, "Redis")
                yield str(socket)
            finally:
                process.kill()


class Host:
    """A copy of the examples in `directory`, whose programs share the spools in `spool`."""

    def __init__(self, directory, spool):
        self.directory = Path(directory) / "processes"
        shutil.copytree(
            EXAMPLES / "processes", self.directory, ignore=shutil.ignore_patterns("__pycache__")
        )
        for path in self.directory.iterdir():
            text = path.read_text()
            for start in STARTS:  # the usual directory for spools is that of all tests
                option = f"{', ' if '(globals' in start else ''}spool={spool!r})"
                text = text.replace(start, start[:-1] + option)
            path.write_text(text)
        self.logs = Path(directory) / "logs"
        self.logs.mkdir(exist_ok=True)
        self.acks = Path(directory) / "acks"
        self.acks.write_bytes(bytes(NUMBERS))
        self._spool = spool
        self._programs = []
        self.env = {
            **os.environ, "ACKS": str(self.acks), "PYTHONPATH": f"{self.directory}:{APPS}",
            "LOG_DIR": str(self.logs), "LOG_BYTES": str(BYTES), "LOG_BACKUPS": "1000",
            "PYTHONDONTWRITEBYTECODE": "1", "C_FORCE_ROOT": "1",
        }  # fmt: skip

    def configure(self, code):
        """Change the logging of all programs by what is executed in `logs`."""
        with (self.directory / "logs.py").open("a") as file:
            file.write(code)

    def start(self, *command, port=None):
        """Start `python -m …`, or `python ….py`; the port is the one that it will serve."""
        if not command[0].endswith(".py"):
            command = ("-m", *command)
        self._programs.append(Program(self, command, f"stderr-{len(self._programs)}", port))
        return self._programs[-1]

    def run(self, *command):
        """Run a program to its end; it must not fail."""
        program = self.start(*command)
        assert program.process.wait(60) == 0, program.errors()

    def finish(self):
        """Run a cron job, which writes what those have left that were killed in the end.

        A worker of Uvicorn always is: by the signal that has stopped it.
        """
        self.run("cleanup.py")

    def acknowledged(self):
        """Return how many numbers were acknowledged."""
        return self.acks.read_bytes().count(1)

    def wait_for_more(self, number=200):
        """Wait until so many more numbers were acknowledged."""
        goal = self.acknowledged() + number
        wait_for(lambda: self.acknowledged() >= goal, f"{goal} numbers; {self.errors()}")

    def owners(self, name=LOG):
        """Return the processes that have a log file or a backup open, of all that were started."""
        found = [pid for program in self._programs for pid in group(program.process.pid)]
        return [pid for pid in found if open_files(pid, below=self.logs / name)]

    def owner(self, name=LOG):
        """Wait until one process has a log file open for half a moment; return it."""
        return wait_for(lambda: self._one(name), f"one owner of {name}; {self.errors()}")

    def _one(self, name):
        found = self.owners(name)
        return found[0] if len(found) == 1 and self.owners(name) == found else None

    def kill_owner(self, name=LOG):
        """SIGKILL the process that owns a log file, wait for another owner; return the program."""
        killed = self.owner(name)
        (program,) = [one for one in self._programs if killed in group(one.process.pid)]
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: self.owner(name) != killed, "another owner")
        return program

    def errors(self):
        """Return the end of what each program has written to stderr."""
        return "\n".join(f"{p.command}: {p.errors()[-2000:]}" for p in self._programs)

    def reports(self):
        """Return all that queuelog said on stderr, by line."""
        texts = [program.errors() for program in self._programs]
        return re.findall(r"^queuelog\[\d+\]: .*", "\n".join(texts), re.MULTILINE)

    def check(self, at_least=1_000):
        """Assert that the log file and its backups are as if one process had written them.

        Each number is there once, and each backup as large as it may be: where several processes
        roll a file over, most are small.
        """
        self.count().check(at_least)
        sizes = [path.stat().st_size for path in self.logs.glob(f"{LOG}.*")]
        assert sizes, "there was no rollover"
        assert min(sizes) > BYTES - LONGEST, sizes
        assert max(sizes) <= BYTES, sizes

    def count(self, name=LOG, line=LINE):
        """Count the numbers in the files that begin so against the acknowledgements."""
        return count(self.acks.read_bytes(), self.logs.glob(f"{name}*"), line)

    def end(self):
        """End all programs at once."""
        for program in self._programs:
            program.kill_all()


class Program:
    """A program with its children, which are its process group."""

    def __init__(self, host, command, stderr, port):
        self.command = command
        self.port = port
        self._stderr = host.directory / stderr
        with self._stderr.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *map(str, command)], cwd=host.directory, env=host.env,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self):
        """The process id of its first process."""
        return self.process.pid

    def children(self):
        """Wait for its children; return their process ids."""
        return wait_for(lambda: children(self.pid), f"children of {self.command}: {self.errors()}")

    def errors(self):
        """Return what it wrote to stdout and stderr."""
        return self._stderr.read_text(errors="replace")

    def answers(self):
        """Tell if a request is answered."""
        assert self.process.poll() is None, f"{self.command} ended: {self.errors()}"
        with suppress(OSError, http.client.HTTPException):
            return self.get("/")

    def get(self, path, timeout=10):
        """Send a request; return the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def kill(self):
        """SIGKILL its first process alone."""
        self.process.kill()
        self.process.wait()

    def kill_all(self):
        """SIGKILL all that is left of it."""
        for pid in group(self.process.pid):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def obeys(self, number=signal.SIGTERM):
        """Wait until its first process obeys a signal: it is up then; return the program."""

        def catching():
            assert self.process.poll() is None, f"{self.command} ended: {self.errors()}"
            return catches(self.pid, number)

        wait_for(catching, f"{self.command} obeys")
        return self

    def stop(self, number=signal.SIGTERM):
        """Send a signal to its first process when it obeys it, and SIGKILL to who has not ended.

        So does a service manager. Celery needs it: the signal may come while it sends a task to a
        child, which then waits for the rest of the task, and Celery for the child. Hypercorn may
        have ended: it does, sooner or later, when one of its workers was killed.
        """
        if self.process.poll() is None:
            self.obeys(number)
            os.kill(self.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP)
        self.kill_all()


class Kept:
    """A program that is started again when it has ended."""

    def __init__(self, host, *command, port=None):
        self._host = host
        self._command = command
        self.port = port
        self.start()

    def start(self):
        """Start it, and wait for an answer if it is a server."""
        self.program = self._host.start(*self._command, port=self.port)
        if self.port is not None:
            wait_for(self.program.answers, f"{self._command} answers")

    def tend(self):
        """Start it again if its first process has ended, which others may outlive."""
        if self.program.process.poll() is not None:
            self.program.kill_all()
            self.start()


class KeptServer(Kept):
    """One of `SERVERS`, on a port of its own."""

    def __init__(self, host, name, workers=2):
        port = free_port()
        if name == "uvicorn-own-parent":
            script = host.directory / "serve.py"
            options = f'"asgiload:app", port={port}, workers={workers}'
            script.write_text(script.read_text().replace('"asgi:app", workers=4', options))
        command = [word.format(port=port, workers=workers) for word in SERVERS[name]]
        super().__init__(host, *command, port=port)

    def get(self, path, timeout):
        """Send a request."""
        return self.program.get(path, timeout)
