"""A Gunicorn that runs as a daemon."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from harness import Server
from processes import alive
from waiting import wait_for


class Daemon(Server):
    """A Gunicorn that leaves its terminal, so that it is known by its pid file only."""

    def __init__(self, directory, *, extra="", **options):
        self._pidfile = Path(directory) / "pid"
        self._running = None
        settings = f"daemon = True\npidfile = {str(self._pidfile)!r}\n"
        super().__init__(directory, extra=extra + settings, **options)

    def start(self):
        """Start Gunicorn, and wait for its workers."""
        super().start(wait=False)
        assert self.process.wait(30) == 0
        text = wait_for(lambda: self._pidfile.exists() and self._pidfile.read_text(), "a pid file")
        self._running = int(text)
        self.wait_until_up()
        return self

    @property
    def pid(self):
        """The arbiter's process id."""
        return self._running

    def answers(self):
        """Tell if a request is answered."""
        with suppress(OSError):
            return self.get("/pid")

    def stop(self, number=signal.SIGTERM, timeout=30):
        """End the server; nobody can know its exit code."""
        self.send(number)
        wait_for(lambda: not alive(self.pid), "the daemon ends", timeout)
        return 0

    def kill(self):
        """End every process of the server at once, if any is left."""
        if self._running is not None and alive(self._running):
            os.killpg(os.getpgid(self._running), signal.SIGKILL)
