"""The processes of the model test as the machine sees them, at the other end of a socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress

from processes import alive
from service import ROLLING, Arbiter, run_and_exit
from system import ANSWER, MAIL, WrongError, enter_container, real, wait_until


class Driven:
    """A process; `files` are the kinds of handlers that it has, by path."""

    def __init__(self, connection):
        connection.settimeout(0.2)
        self._socket = connection
        self._received = b""
        self._unanswered = 0
        self.files = {}
        self.is_worker = False
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid = int.from_bytes(credentials[:4], sys.byteorder)  # here, not in its container
        self.name = "a process that has just started"
        self.name = json.loads(self._read())

    @property
    def alive(self):
        """Whether the process runs."""
        return alive(self.pid)

    def send(self, *call):
        """Tell the process to do something, and do not wait."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(call).encode() + b"\n")
            self._unanswered += 1

    def ask(self, *call):
        """Tell it, and return its answer; None if it died.

        Raises:
            WrongError: it has raised an error.
        """
        self.settle()
        self.send(*call)
        return self.settle()

    def settle(self):
        """Wait until it has done all that it was told; return its last answer.

        Raises:
            WrongError: it has raised an error.
        """
        answer = None
        while self._unanswered:
            text = self._read()
            if not text:
                return None
            self._unanswered -= 1
            answer = json.loads(text)
            if isinstance(answer, dict) and "raised" in answer:
                raise WrongError(f"in {self.name}: {answer['raised']}")
        return answer

    def _read(self):
        """Return the next line; nothing if the process is gone, whoever has the socket still."""
        end = time.monotonic() + ANSWER
        while b"\n" not in self._received:
            got = b""
            try:
                got = self._socket.recv(1 << 16)
            except TimeoutError:
                if self.alive and time.monotonic() < end:
                    continue
                if self.alive:
                    raise WrongError(f"{self.name} did not answer in {ANSWER:.0f} s") from None
            except OSError:
                pass
            if not got:
                return b""
            self._received += got
        text, _, self._received = self._received.partition(b"\n")
        return text

    def kill(self):
        """SIGKILL it, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.alive, f"{self.name} is gone")
        self._socket.close()

    def end(self):
        """Let it end by itself."""
        self.ask("end")
        wait_until(lambda: not self.alive, f"{self.name} ends")
        self._socket.close()


class Service:
    """What is configured under one letter, and its arbiter.

    `files` are the kinds of the arbiter's log files by path, `own_files` those that its application
    configures in the worker; `user` is that of the arbiter, and `workers` that of the workers.
    `environment` is what the arbiter inherits from one above, in an upgrade.
    """

    def __init__(self, letter, files, own_files, options, *, user, workers, environment=None):
        self.letter, self.user, self.workers = letter, user, workers
        self.own_files, self.options = own_files, options
        self._had = set()
        self.not_rolled = set()  # files that its handlers may have written, and don't roll over
        self.use(files)
        self.environment = environment
        self.arbiter = None

    @property
    def alive(self):
        """Whether its arbiter runs."""
        return self.arbiter is not None and self.arbiter.alive

    def use(self, files):
        """Have other files; its arbiter may keep the ones before for a while."""
        self.files = files
        self._had |= {*files}
        for path, kind in {**files, **self.own_files}.items():
            if kind not in ROLLING:
                self.not_rolled.add(real(path))

    def renewed(self, letter, environment=None):
        """Return a service of the same configuration."""
        return Service(
            letter, self.files, self.own_files, self.options, user=self.user, workers=self.workers,
            environment=environment,
        )  # fmt: skip

    def started_with(self):
        """Return the options of its `start()`."""
        options = dict(self.options)
        if self.workers != self.user:
            options["user"] = self.workers
        if "mail" in self.files.values():
            options["own"] = ["mail"]
        return options

    def state(self):
        """Return what may matter for the next step."""
        return {
            "alive": self.alive, "users": [self.user, self.workers],
            "files": [*self.files, *self.own_files], "had": sorted(self._had),
        }  # fmt: skip

    def can_write(self, lines):
        """Tell if its arbiter runs and has to write these lines: a `Range` of them."""
        known = not lines.path.startswith(MAIL) or lines.process[0] == self.letter
        return self.alive and self.user == lines.user and known


class Processes:
    """All processes that run, or have run, by name."""

    def __init__(self, acks):
        self.by_name = {}
        self._acks = acks
        self._groups = set()
        self._number = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"\0queuelog-model-{os.urandom(8).hex()}")
        self._listener.listen(64)
        self._listener.settimeout(ANSWER)

    def launch(self, service, *, container=False):
        """Start the arbiter of a service."""
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if service.environment:
                os.environ["QUEUELOG"] = service.environment
            if container:
                enter_container()
            address = self._listener.getsockname()
            self._listener.close()
            run_and_exit(lambda: Arbiter(service.letter, address, self._acks).run())
        service.arbiter = self._accept(service.letter)
        service.arbiter.files = service.files
        self._groups.add(pid)

    def fork(self, parent, kind, *arguments):
        """Let a process fork one, with a name of its own; return it."""
        self._number += 1
        name = f"{parent.name[0]}{self._number}"
        parent.settle()
        parent.send("fork", kind, name, *arguments)
        child = self._accept(name)
        parent.settle()
        child.is_worker = kind == "worker"
        child.files = parent.files
        return child

    def _accept(self, name):
        try:
            connection, _ = self._listener.accept()
        except TimeoutError:
            raise WrongError(f"{name} did not come up") from None
        found = Driven(connection)
        assert found.name == name, (found.name, name)
        self.by_name[name] = found
        return found

    def find(self, name):
        """Return a process that runs, or None."""
        found = self.by_name.get(name)
        return found if found and found.alive else None

    def alive(self):
        """Return those that run."""
        return [one for one in self.by_name.values() if one.alive]

    def kill(self):
        """SIGKILL all of them, and those that nobody knows."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        for process in self.by_name.values():
            process.kill()
