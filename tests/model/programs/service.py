"""The processes of the model test: a small pre-forking server, driven over a socket.

An arbiter configures its logging, calls `queuelog.start()` and forks workers; a worker does what
Gunicorn's hooks let it do, drops privileges in between, and may configure files of its own. Each
process connects to the machine, says its name, and then does what it is told, a line at a time:
the name of a method below and its arguments, as JSON. The answer is what the method returned.
"""

from __future__ import annotations

import ctypes
import json
import logging
import logging.config
import logging.handlers
import os
import pwd
import shutil
import signal
import socket
import time
import traceback

import queuelog
import queuelog.owner.owner  # an arbiter without privileges may not be able to read it any more

MAX_BYTES = 60_000
MAIL = "mail"
PACE = 0.002  # seconds between two lines that are logged while other things happen


def line(number, size):
    """Return the line with a number."""
    return f"{number:07d} {'x' * size}|"


class Mail(logging.Handler):
    """Stands for a mail server: each record is a line in a file that nobody else writes."""

    def __init__(self, path):
        super().__init__()
        self._path = path

    def emit(self, record):
        """Send it."""
        try:
            text = self.format(record)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            os.write(fd, f"{text}\n".encode())
            os.close(fd)
        except Exception:
            self.handleError(record)


class Moving(logging.handlers.RotatingFileHandler):
    """A handler that cannot be described to another process: it rolls over in its own way."""

    def rotate(self, source, dest):
        """Move the file."""
        shutil.move(source, dest)


_SIZE = {
    "class": "logging.handlers.RotatingFileHandler", "maxBytes": MAX_BYTES, "backupCount": 2_000,
}  # fmt: skip
KINDS = {
    "plain": {"class": "logging.FileHandler"},
    "size": _SIZE,
    "timed": {"class": "logging.handlers.TimedRotatingFileHandler", "when": "S"},
    "moving": {**_SIZE, "class": f"{__name__}.Moving"},
}

ROLLING = {"size", "moving"}


def configure(files):
    """Configure a logger for each file, by `dictConfig`; `files` are their kinds by path."""
    handlers = {
        MAIL if kind == "mail" else path: {
            **({"()": Mail, "path": path} if kind == "mail" else {**KINDS[kind], "filename": path}),
            "formatter": "bare",
        }
        for path, kind in files.items()
    }
    loggers = {
        f"to {path}": {
            "level": "INFO", "propagate": False, "handlers": [MAIL if kind == "mail" else path],
        }
        for path, kind in files.items()
    }  # fmt: skip
    logging.config.dictConfig(
        {
            "version": 1, "disable_existing_loggers": False, "handlers": handlers,
            "loggers": loggers, "formatters": {"bare": {"format": "%(message)s"}},
        }
    )  # fmt: skip


def become(user):
    """Give up root, for good."""
    found = pwd.getpwnam(user)
    if os.geteuid() != found.pw_uid:
        os.setgroups([])
        os.setgid(found.pw_gid)
        os.setuid(found.pw_uid)


class Process:
    """What every process can be told: to log, and to have children."""

    def __init__(self, name, address, acks):
        self._name, self._address, self._acks = name, address, acks
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address)
        self._stream = self._socket.makefile("rw")
        self._say(name)

    def _say(self, value):
        print(json.dumps(value), file=self._stream, flush=True)

    def _close(self):
        self._stream.close()
        self._socket.close()

    def run(self):
        """Do what the machine says, until it says `end`."""
        for text in self._stream:
            method, *arguments = json.loads(text)
            try:
                self._say(getattr(self, method)(*arguments))
            except Exception as error:
                traceback.print_exc()
                self._say({"raised": f"{type(error).__name__}: {error}"})
            if method == "end":
                self._close()
                return

    def log(self, path, start, count, size, paced):
        """Log numbered lines; mark each as acknowledged when the log call has returned."""
        logger = logging.getLogger(f"to {path}")
        for number in range(start, start + count):
            logger.info("%s", line(number, size))
            self._acks[number] = 1
            if paced:
                time.sleep(PACE)

    def fork(self, kind, name, *arguments):
        """Fork a process with a name."""
        pid = os.fork()
        if pid == 0:
            run_and_exit(self._in_child, kind, name, arguments)

    def _in_child(self, kind, name, arguments):
        self._close()
        if kind == "worker":
            prepare_worker(*arguments)
        Process(name, self._address, self._acks).run()

    def fork_by_c(self):
        """Fork as a C library does, past all of Python's hooks: a child that waits for ever."""
        if ctypes.PyDLL(None).fork() == 0:
            while True:
                signal.pause()

    def end(self):
        """Do what is due at the end of a process."""


def prepare_worker(user, files):
    """Be a worker: `post_fork`, no privileges any more, an application with `files`, and ready."""
    queuelog.setup()
    become(user)
    if files:
        configure(files)
    queuelog.setup()


class Arbiter(Process):
    """The process that calls `start()`."""

    def start(self, user, files, options):
        """Configure, and start queuelog."""
        become(user)
        configure(files)
        queuelog.start(**options)

    def reload(self, files):
        """Configure anew, as Gunicorn does on SIGHUP."""
        configure(files)
        queuelog.setup()

    def environment(self):
        """Return what programs below this one inherit."""
        return os.environ.get("QUEUELOG")

    def end(self):
        """Write what is left."""
        queuelog.stop()


def run_and_exit(function, *arguments):
    """Call a function in a forked process, and end that as an interpreter does."""
    status = 1
    try:
        function(*arguments)
        logging.shutdown()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
