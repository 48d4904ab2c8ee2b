"""One compression, in a process of its own.

The process may be reaped by anybody (Gunicorn's arbiter waits for all children), so what came of it
is only what it has said through its pipe. Nothing here waits.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from contextlib import suppress

from queuelog.base import acting_as, native

_SCRIPT = os.path.join(os.path.dirname(__file__), "compressor.py")
_FIRST_FREE = 10  # descriptors below are given away
_ANSWER = 3  # the descriptor at which it answers
_LONGEST = 1 << 12  # bytes of an answer
_END = 200  # milliseconds


class Job:
    """The process: it reads `source` and writes `dest`, open descriptors of which it has copies.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, source: int, dest: int, compression: str) -> None:
        self._said = b""
        self._pidfd = -1
        self._answer, end = os.pipe()
        os.set_blocking(self._answer, False)
        try:
            self._pid = _spawn(source, dest, end, compression)
        except BaseException:
            os.close(self._answer)
            raise
        finally:
            os.close(end)
        with suppress(OSError, AttributeError):  # it has ended; before Linux 5.3; not in this libc
            self._pidfd = os.pidfd_open(self._pid)

    def result(self) -> int | None:
        """Return how many bytes the process has read when it was ready; None if it is not yet.

        Raises:
            OSError: it has failed, and why.
        """
        is_over = self._is_over()  # first: all that it has said is in the pipe then
        with suppress(BlockingIOError):
            while said := os.read(self._answer, _LONGEST):
                self._said = (self._said + said)[:_LONGEST]
        if not is_over:
            return None
        self.abandon()
        word, _, rest = self._said.decode(errors="replace").partition(" ")
        if word == "ok" and rest.isdecimal():
            return int(rest)
        raise OSError(self._said.decode(errors="replace") or "the compressor was killed")

    def stop(self) -> None:
        """End the process, wherever it is; wait a moment for that, so that it is no zombie."""
        with suppress(OSError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
                ended = native("select", "poll")()
                ended.register(self._pidfd)
                ended.poll(_END)
                self._is_over()
            elif os.waitpid(self._pid, os.WNOHANG) == (0, 0):  # else the number may be another's
                os.kill(self._pid, signal.SIGTERM)
        self.abandon()

    def abandon(self) -> None:
        """Let go of it: it ends by itself when nobody reads its answer."""
        for fd in (self._answer, self._pidfd):
            if fd >= 0:
                with suppress(OSError):
                    os.close(fd)
        self._answer = self._pidfd = -1

    def _is_over(self) -> bool:
        try:
            if self._pidfd >= 0:
                return os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG) is not None
            return os.waitpid(self._pid, os.WNOHANG) != (0, 0)
        except ChildProcessError:  # somebody else has reaped it
            return True


def _spawn(source: int, dest: int, answer: int, compression: str) -> int:
    """Return the process id."""
    if not sys.executable:
        raise FileNotFoundError("no Python interpreter is known")
    # Copies, since a number may be one of those that the process shall have.
    given = {0: source, 1: dest, _ANSWER: answer}
    copies: dict[int, int] = {}
    try:
        for target, fd in given.items():
            copies[target] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in copies.items()]
        # No package is needed, and so nothing of what packages do to each interpreter that starts.
        alone = ["-S"] if compression == "gzip" else []
        arguments = [sys.executable, "-I", *alone, _SCRIPT, compression]
        with acting_as(None):  # the user of the log file need not be able to read the interpreter
            return os.posix_spawn(
                sys.executable, arguments, os.environ, file_actions=actions, setpgroup=0,
                # What is for the server, or comes before it can be handled, does not kill it.
                setsigmask=signal.valid_signals(),
            )  # fmt: skip
    finally:
        for fd in copies.values():
            os.close(fd)
