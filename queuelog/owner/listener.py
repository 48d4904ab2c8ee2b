"""The listener: a thread in the arbiter that owns all log files.

It waits for the doorbell, writes what is there, pauses a few milliseconds so that the next batch is
worth its price, and looks again. While nobody logs it wakes once a second.
"""

from __future__ import annotations

import logging.handlers
import os
import time

from queuelog.base import native
from queuelog.base.thread import PausableThread
from queuelog.owner.spools import OwnedSpools
from queuelog.spool import emptying
from queuelog.spool.merge import Batch

PAUSE = 0.030  # seconds between two batches; longer than a writer's ring interval
IDLE = 1.0  # seconds between two looks at a silent spool
ANSWER = 3.0  # seconds for which stop() waits for a server that does not answer
STANDBY = 0.2  # seconds between two attempts to become the owner of a spool


class QueueListener(PausableThread, logging.handlers.QueueListener):  # type: ignore[misc]
    """A `QueueListener` whose items are batches, on a real thread that can be paused.

    The seams are the stdlib's: `dequeue` returns the next batch, `handle` writes it.
    """

    name = "listener"
    waits = "All lines are kept in the spool"

    def __init__(self, spools: OwnedSpools) -> None:
        PausableThread.__init__(self)
        logging.handlers.QueueListener.__init__(self, spools)  # type: ignore[arg-type]
        self.spools = spools
        self.spools.stopping = lambda: self.stopping
        self._next_tidy = 0.0

    def drain(self, timeout: float) -> bool:
        """Write all that is in the spool, in the calling thread; return whether that was all.

        If another process owns the spool, it is for that one to write it. Only while the thread is
        stopped; for about `timeout` seconds at most.

        Raises:
            OSError: there is no room for the ledger, or no descriptor is left.
        """
        deadline = time.monotonic() + timeout
        self.stopping = False  # of the thread; what is written here shall not be interrupted
        if not self.spools.own():
            return True
        with emptying():
            self._write_all(deadline)
            self.spools.tidy()  # which may find records that were dropped, and has room to say so
            written = self._write_all(deadline)
        return written and not self.spools.lagging() and not self.spools.unread()

    def finish(self, timeout: float) -> str:
        """Write all as `drain` does; return what could not be written, "" if all was."""
        try:
            if self.drain(timeout):
                return ""
        except Exception as error:  # no descriptor is left, a file is not ours, or whatever
            return f"all ({error})"
        if self.spools.unread():
            return f"{self.spools.unread()} segments of the spool that cannot be opened"
        return ", ".join(dict.fromkeys(self.spools.lagging())) or f"all in {timeout:.0f} seconds"

    def _write_all(self, deadline: float) -> bool:
        """Write what is there, and try again what failed; tell if nothing new is left."""
        while (batch := self.dequeue(False)) is not None and time.monotonic() < deadline:
            self.handle(batch)
        behind = -1
        while time.monotonic() < deadline:
            before, more = behind, self.spools.retry(at_once=True)
            behind = len(self.spools.lagging())
            if more or behind != before:  # of several spools one may wait for another
                continue
            if not self.spools.awaits(ANSWER):
                break
            self._sleep(PAUSE)
        return batch is None

    def dequeue(self, block: bool) -> Batch | None:  # type: ignore[override]
        """Return the next batch, or None; with `block`, wait for the doorbell first."""
        batch = self.spools.next()
        if batch is None and block:
            self._sleep(min(IDLE, self.spools.patience()), bell=True)
            batch = self.spools.next()
        return batch

    def handle(self, record: Batch) -> None:  # type: ignore[override]
        """Write a batch to the files."""
        self.spools.deliver(record)

    def _sleep(self, seconds: float, *, bell: bool = False) -> None:
        try:
            self.spools.wait(self.wake, seconds, bell=bell)
            os.read(self.wake, 4096)
        except BlockingIOError:
            pass
        except OSError:  # somebody has closed all descriptors, as daemons do
            native("time", "sleep")(min(seconds, STANDBY))

    def turns(self) -> None:
        """Write batches; what it logs itself never waits for the room that it makes."""
        with emptying():
            super().turns()

    def work(self) -> None:
        """Write one batch and pause, or wait for one."""
        if not self.spools.own():
            self._sleep(STANDBY)
            return
        if time.monotonic() >= self._next_tidy:
            self._next_tidy = time.monotonic() + IDLE
            self.spools.tidy()
        self.spools.answer_requests()
        more = self.spools.retry()
        batch = self.dequeue(block=not more)
        if batch is not None:
            self.handle(batch)
            more |= batch.more
            if not more and not self.stopping:
                self._sleep(PAUSE)

    def release(self) -> None:
        """Give up all spools."""
        self.close_pipe()
        self.spools.release()

    def close(self) -> None:
        """In a forked child: let go of what was inherited."""
        self.close_pipe()
        self.spools.close()
