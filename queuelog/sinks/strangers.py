"""Processes that write a log file past its owner, without queuelog.

Most are children of the process that called `start`, which configure the file themselves: a program
that is started anew, or a forked child that adds a handler without `setup`. What is written so may
be torn, or lost at a rollover, and is in no order with the rest.
"""

from __future__ import annotations

import logging
import math
import time

from queuelog.base import report, writers_of

_AGAIN = 60.0  # seconds until the next look, which reads /proc of every process
_STARTING = 5.0  # seconds in which who has the file open may call start(), as a new arbiter does


class Strangers:
    """Who writes one log file beside its owner; each file is reported once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next_look = 0.0
        self._suspects: list[str] = []  # who had the file open at the last look

    def look(self, *, grown: bool) -> None:
        """Look for them if the file has `grown` by what its owner did not write; and once more.

        Who has closed the file again is not found, nor are processes of other users, unless this
        one is root; and what a process prints into the file is left alone.
        """
        now = time.monotonic()
        if now < self._next_look or not (grown or self._suspects):
            return
        found = writers_of(self._path, owner=False, output=False)
        sure = [one for one in found if one in self._suspects]
        self._suspects = found
        self._next_look = math.inf if sure else now + (_STARTING if found else _AGAIN)
        if sure:
            report(
                f"stranger {self._path}",
                f"{self._path} is also written by process {' and '.join(sure)}, past its owner: "
                f"lines may be torn, or lost at a rollover. Call queuelog.start() there, when "
                f"logging is configured; or let it write another file",
                logging.WARNING,
            )
