"""Log servers as users run them, `queuelog serve`, and clients that know nothing of queuelog."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import textwrap
from contextlib import suppress
from logging.handlers import SocketHandler
from pathlib import Path

from waiting import wait_for

COMMAND = str(Path(sys.executable).with_name("queuelog"))
LINE = "%(name)s %(levelname)s %(message)s"
FILES = ("root", "serving", "webhook")

CONFIG = """
    [loggers]
    keys = root, serving, webhook
    [handlers]
    keys = root, serving, webhook
    [formatters]
    keys = line
    [formatter_line]
    format = %(name)s %(levelname)s %(message)s
    [logger_root]
    level = INFO
    handlers = root
    [logger_serving]
    qualname = serving
    level = INFO
    handlers = serving
    propagate = 0
    [logger_webhook]
    qualname = webhook
    level = WARNING
    handlers = webhook
""" + "".join(
    f"""
    [handler_{name}]
    class = FileHandler
    args = ("{name}.log", "a", "utf-8")
    formatter = line
"""
    for name in FILES
)


class LogServer:
    """`queuelog serve`, in `directory`; `config` is the text of its configuration."""

    def __init__(self, directory, spool, *options, config=CONFIG, name="log.ini"):
        self.directory = Path(directory)
        self.config = self.directory / name
        self.config.write_text(textwrap.dedent(config))
        self.options = ["--spool", spool, *map(str, options)]
        self.process = None
        self.connections = []  # of clients that `connect` has made
        self.addresses = []

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        """The port of the first address."""
        return int(self.addresses[0].rpartition(":")[2])

    def begin(self, *prefix, **options):
        """Start it, and wait for nothing."""
        with open(self.directory / "stderr", "ab") as errors:
            python = [*prefix, sys.executable, "-W", "error"]
            self.process = subprocess.Popen(
                [*python, COMMAND, "serve", self.config, *self.options],
                cwd=self.directory, stdout=subprocess.PIPE, stderr=errors, text=True,
                start_new_session=True, **options,
            )  # fmt: skip
        return self

    def start(self, addresses=1, **options):
        """Start it, and wait until it listens at so many addresses; return it."""
        return self.begin(**options).listens(addresses)

    def listens(self, number=1):
        """Wait until it says where it listens: at so many addresses."""
        self.addresses = []
        while len(self.addresses) < number:
            line = self.process.stdout.readline()
            assert line.startswith("listening on "), self.errors
            self.addresses.append(line.split()[-1])
        return self

    @property
    def errors(self):
        return (self.directory / "stderr").read_text()

    def lines(self, name="root"):
        """Return the lines of a file."""
        path = self.directory / f"{name}.log"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, line, name="root"):
        """Wait until a line is in a file."""
        wait_for(lambda: line in self.lines(name), f"{line!r} in {name}.log: {self.errors}")

    def wait_for_error(self, text, times=1):
        wait_for(lambda: self.errors.count(text) >= times, f"{text!r}: {self.errors}")

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, config):
        """Let it read another configuration."""
        self.config.write_text(textwrap.dedent(config))
        self.signal(signal.SIGHUP)

    def stop(self):
        """End it as systemd does; it must end cleanly."""
        self.signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.errors
        return self

    def kill(self):
        """End it with SIGKILL, if it runs, and its clients."""
        while self.connections:
            self.connections.pop().close()
        if self.process:
            self.process.kill()
            self.process.wait()  # before its output is closed: it must not fail
            self.process.stdout.close()

    def connect(self, timeout=30):
        """Return a connection of a client of its own making."""
        self.connections.append(socket.create_connection(("127.0.0.1", self.port), timeout))
        return self.connections[-1]

    def logger(self, name="serving.views"):
        """Return a logger that sends there as the logging cookbook says."""
        return logger_of(name, "127.0.0.1", self.port)


_loggers = []  # that `logger_of` has made


def close_loggers():
    """Close the connections of the loggers that this test has made."""
    while _loggers:
        _loggers.pop().handlers[0].close()


def logger_of(name, host, port):
    """Return a logger with a `SocketHandler`, which nobody else has."""
    logger = logging.Logger(name)  # noqa: LOG001  # in no tree
    _loggers.append(logger)
    handler = SocketHandler(host, port)
    handler.retryStart = 0.01
    handler.retryMax = 0.1
    logger.addHandler(handler)
    return logger


def attributes(msg, name="root", level=logging.INFO, **more):
    """Return what a record is made of."""
    return {"name": name, "levelno": level, "msg": msg, "created": 1.7e9, "args": None, **more}


def packed(data):
    """Return a pickle as it is sent."""
    return struct.pack(">L", len(data)) + data


def pickled(msg, protocol=1, **more):
    """Return a record as it is sent."""
    return packed(pickle.dumps(attributes(msg, **more), protocol))


def is_closed(sock):
    """Tell if the other side has closed a connection, and wait for that."""
    with suppress(ConnectionError):
        while data := sock.recv(1 << 16):
            assert data
    return True


def run(*arguments, cwd, **options):
    """Run the command, which must fail; return what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", COMMAND, "serve", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False, **options,
    )  # fmt: skip
    assert done.returncode in (1, 2), done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def environment(**variables):
    """Return this process's environment, and these variables."""
    return {**os.environ, **variables}
