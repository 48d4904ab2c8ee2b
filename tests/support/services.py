"""Services without Gunicorn: one process with workers, told what to do, on any machine."""

from __future__ import annotations

import functools
import json
import operator
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from counting import account
from waiting import DEADLINE, wait_for

ROOM = Path(__file__).parents[1] / "deployments"
NOBODY, WWW_DATA = 65534, 33
NUMBERS = 100_000  # so many numbers a service may log


def line_config(path, cls="logging.FileHandler", **handler):
    """Return a logging configuration whose logger `load` writes numbered lines to a file."""
    described = {"class": cls, "filename": str(path), "delay": True, "formatter": "line", **handler}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(created).9f %(process)d %(message)s"}},
        "handlers": {"load": described},
        "loggers": {"load": {"level": "INFO", "handlers": ["load"], "propagate": False}},
    }


def rotating(path, size=20_000, **handler):
    """Return such a configuration whose file rolls over by size; all backups are kept."""
    cls = "logging.handlers.RotatingFileHandler"
    return line_config(path, cls, **{"maxBytes": size, "backupCount": 1000, **handler})


class RefusedError(Exception):
    """The service could not do what it was told: the error's class, and what it says."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class Service:
    """A process that owns log files, or finds their owner; its workers log and end.

    `user` is the user of all of it, `worker` that of its workers if it is another one, `fsize` the
    length in bytes of a file that its workers may write, and `limits` are options of `prlimit`. Its
    numbers begin with `first`, so that several services may share a file. `options` are those of
    `queuelog.start`.
    """

    def __init__(
        self, machine, directory, logging, *, user=0, worker=None, fsize=None, limits=(), umask=-1,
        first=0, **options,
    ):  # fmt: skip
        self._machine = machine
        self._next = first
        self._acks = directory / f"acks-{first}"
        if not self._acks.exists():
            self._acks.write_bytes(bytes(first + NUMBERS))
            self._acks.chmod(0o666)
        if worker is not None:
            options["user"] = worker
        spec = {"logging": logging, "worker": worker, "fsize": fsize, "options": options}
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        limit = ["prlimit", *limits] if limits else []
        program = [ROOM.parent / "support" / "run_program.py", ROOM / "programs" / "service.py"]
        self._stderr = directory / f"stderr-{first}"
        with self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*machine.prefix, *limit, *become, sys.executable, *program, "service", "",
                 json.dumps(spec)],
                env={**os.environ, "ACKS": str(self._acks)}, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd="/",
                umask=umask,
            )  # fmt: skip

    @property
    def pid(self):
        """The service's process id."""
        return self._machine.pid(self._process)

    def tell(self, *words, deadline=DEADLINE):
        """Let it do something, and wait until that is done.

        Raises:
            RefusedError: it raised an error.
        """
        self.begin(*words)
        self.finish(deadline)

    def begin(self, *words):
        """Let it do something."""
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()

    def is_done(self, deadline):
        """Tell if what was begun is done within so many seconds."""
        return bool(select.select([self._process.stdout], [], [], deadline)[0])

    def finish(self, deadline=DEADLINE):
        """Wait until what was begun is done; errors as of `tell`."""
        assert self.is_done(deadline), f"no answer for {deadline} s: {self.errors()}"
        answer = self._process.stdout.readline()
        assert answer, f"the service ended: {self.errors()}"
        found = json.loads(answer)
        if found:
            raise RefusedError(found["error"], found["text"])

    def start(self):
        """Start queuelog; return the service. Errors as of `tell`."""
        self.tell("start")
        return self

    def log(self, count, padding=0, workers=1):
        """Let workers log the next `count` numbers, each line longer by `padding` bytes."""
        self.begin_to_log(count, padding, workers)
        self.finish()

    def begin_to_log(self, count, padding=0, workers=1):
        """Do as `log`, but do not wait until it is done."""
        start, self._next = self._next, self._next + count
        self.begin("log", start, count, padding, workers)

    @property
    def last(self):
        """The last number that it was told to log."""
        return self._next - 1

    def stop(self):
        """Stop queuelog, and end."""
        self.tell("stop", deadline=60)
        self.kill()

    def kill(self):
        """End all its processes at once; harmless if they have ended so."""
        if self._process.stdin.closed:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def errors(self):
        """Return what it wrote to stderr."""
        return self._stderr.read_text(errors="replace")

    def acks(self):
        """Return the acknowledgements of its numbers."""
        return self._acks.read_bytes()

    def acknowledged(self):
        """Return how many numbers were acknowledged."""
        return self.acks().count(1)


def text_of(path):
    """Return the contents of a file and its backups, which may roll over meanwhile."""
    texts = []
    for found in path.parent.glob(f"{path.name}*"):
        with suppress(FileNotFoundError):
            texts.append(found.read_bytes())
    return b"".join(texts)


def wait_for_lines(path, number):
    """Wait until a file and its backups have so many lines."""
    wait_for(lambda: text_of(path).count(b"\n") >= number, f"{number} lines")


def log_at_once(*services, count):
    """Let services log at the same time."""
    for one in services:
        one.begin_to_log(count)
    for one in services:
        one.finish()


def start_or_error(service):
    """Start a service; return the error if it is refused, else None."""
    try:
        service.start()
    except RefusedError as error:
        return error
    return None


def acknowledged(*services):
    """Return the acknowledgements of services that share a file."""
    texts = [service.acks() for service in services]
    length = max(map(len, texts))
    numbers = [int.from_bytes(text.ljust(length, b"\0"), "big") for text in texts]
    return functools.reduce(operator.or_, numbers).to_bytes(length, "big")


def account_of(name, path, *services):
    """Count the lines of services in a file and its backups."""
    return account(name, acknowledged(*services), path.parent.glob(f"{path.name}*"))
