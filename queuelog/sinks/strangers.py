"""Processes that write a log file past its owner, without queuelog.

Most are children of the process that called `start`, which configure the file themselves: a program
that is started anew, or a forked child that adds a handler without `setup`. What is written so may
be torn, or lost at a rollover, and is in no order with the rest.
"""

from __future__ import annotations

import logging
import math
import time

from queuelog.base import report
from queuelog.base.processes import writers_of

_AGAIN = 60.0  # seconds until the next look, which reads /proc of every process


class Strangers:
    """Who writes one log file beside its owner; each file is reported once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next_look = 0.0

    def look(self) -> None:
        """Look for them, now that the file has grown by what its owner did not write.

        Who has closed the file again is not found, nor are processes of other users, unless this
        one is root; and what a process prints into the file is left alone.
        """
        if time.monotonic() < self._next_look:
            return
        found = writers_of(self._path, owner=False, output=False)
        self._next_look = math.inf if found else time.monotonic() + _AGAIN
        if found:
            report(
                f"stranger {self._path}",
                f"{self._path} is also written by process {' and '.join(found)}, past its owner: "
                f"lines may be torn, or lost at a rollover. Call queuelog.start() there, when "
                f"logging is configured; or let it write another file",
                logging.WARNING,
            )
