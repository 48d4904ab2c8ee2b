"""The listener: a thread in the arbiter that owns all log files.

It waits for the doorbell, writes what is there, pauses a few milliseconds so that the next batch is
worth its price, and looks again. While nobody logs it wakes once a second.

The thread must not run while its process forks: a child would inherit locks that no one releases,
and Python 3.12 and later warn of it. `pause` and `resume` stand around a fork.
"""

from __future__ import annotations

import contextlib
import logging.handlers
import os
import time
from typing import Any

from queuelog.base import native, report
from queuelog.owner.spools import OwnedSpools
from queuelog.owner.transfer import Interrupted
from queuelog.spool.backlog import emptying
from queuelog.spool.merge import Batch

PAUSE = 0.030  # seconds between two batches; longer than a writer's ring interval
IDLE = 1.0  # seconds between two looks at a silent spool
STANDBY = 0.2  # seconds between two attempts to become the owner of a spool
THREAD_END = 0.05  # seconds for the kernel to remove a thread that has ended
FORK_WAIT = 2.0  # seconds that a fork waits for a thread that a disk has stalled ...
STALLED_WAIT = 0.05  # ... and that the next ones wait, if it has not gone on since


class QueueListener(logging.handlers.QueueListener):
    """A `QueueListener` whose items are batches, on a real thread that can be paused.

    The seams are the stdlib's: `dequeue` returns the next batch, `handle` writes it.
    """

    def __init__(self, spools: OwnedSpools) -> None:
        super().__init__(spools)  # type: ignore[arg-type]
        self.spools = spools
        self.spools.stopping = lambda: self._stopping
        self._next_tidy = 0.0
        self._tid = 0  # the kernel's id of the thread
        self._turn = 0  # of its loop
        self._closed = False
        self._stalled = -1  # the turn in which a disk has stalled it
        self._gate: Any = native("_thread", "allocate_lock")()  # guards the next three
        self._pauses = 0  # that have not ended
        self._stopping = False
        self._running: Any = None  # a lock that the thread holds until it ends
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)

    def start(self) -> None:
        """Start the thread; harmless if it runs or pauses. It cancels a `stop` that took too long.

        Raises:
            RuntimeError: the limit of processes is reached.
        """
        with self._gate:
            if self._pauses:
                return
            self._stopping = False
            if self._running is None:
                running = native("_thread", "allocate_lock")()
                running.acquire()
                native("_thread", "start_new_thread")(self._run, (running,))
                self._running = running  # last: a thread that could not be started is tried again

    def stop(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Stop the thread, between two writes; return False if that took more than `timeout` s.

        What is in the spool stays there: see `drain`.
        """
        with self._gate:
            self._stopping = True
            running = self._running
        self.enqueue_sentinel()
        if running is None:
            return True
        if not running.acquire(timeout=-1 if timeout is None else timeout):
            return False
        running.release()  # another thread may wait for it as well
        # The thread has nothing left to do, but the kernel counts it some microseconds longer, and
        # so does the warning of os.fork() in Python 3.12.
        deadline, sleep = time.monotonic() + THREAD_END, native("time", "sleep")
        while os.path.exists(f"/proc/self/task/{self._tid}") and time.monotonic() < deadline:
            sleep(0.0001)
        return True

    def pause(self) -> bool:
        """Stop the thread for a moment, but do not wait for a stalled disk for long.

        Nor again at every fork: a reload with many workers would keep the arbiter from its work.
        Nor for itself: a rotator that forks does so in the thread, between two writes.
        """
        if self._is_current():
            return True
        with self._gate:
            self._pauses += 1
        stopped = self.stop(FORK_WAIT if self._stalled != self._turn else STALLED_WAIT)
        self._stalled = -1 if stopped else self._turn
        return stopped

    def resume(self) -> None:
        """Go on after `pause`; at the limit of processes, after the next one that finds room.

        Where several threads have paused it, that is after the last of them.
        """
        if self._is_current():
            return
        with self._gate:
            self._pauses = max(0, self._pauses - 1)
        try:
            self.start()
        except RuntimeError as error:
            report(
                "listener",
                f"the listener cannot go on: {error}. All lines are kept in the spool until the "
                f"next fork, reload or stop",
            )

    def _is_current(self) -> bool:
        return self._running is not None and self._tid == native("_thread", "get_native_id")()

    def drain(self, timeout: float) -> bool:
        """Write all that is in the spool, in the calling thread; return whether that was all.

        If another process owns the spool, it is for that one to write it. Only while the thread is
        stopped; for about `timeout` seconds at most.

        Raises:
            OSError: there is no room for the ledger, or no descriptor is left.
        """
        deadline = time.monotonic() + timeout
        self._stopping = False  # of the thread; what is written here shall not be interrupted
        if not self.spools.own():
            return True
        with emptying():
            while (batch := self.dequeue(False)) is not None and time.monotonic() < deadline:
                self.handle(batch)
            while self.spools.retry(at_once=True) and time.monotonic() < deadline:
                pass
            self.spools.tidy()
        return batch is None and not self.spools.lagging() and not self.spools.unread()

    def enqueue_sentinel(self) -> None:
        """Wake the thread."""
        with contextlib.suppress(OSError):  # full: it is awake already
            os.write(self._waker, b"\0")

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
            self.spools.wait(self._wake, seconds, bell=bell)
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        except OSError:  # somebody has closed all descriptors, as daemons do
            native("time", "sleep")(min(seconds, STANDBY))

    def _run(self, running: Any) -> None:
        """The thread's function."""
        self._tid = native("_thread", "get_native_id")()
        with emptying():
            while not self._ends():
                self._turn += 1
                self._work_safely()
        running.release()

    def _work_safely(self) -> None:
        try:
            self._work()
        except Interrupted:
            pass
        except BaseException as error:  # whatever it is, the thread must go on
            if not self._closed:
                with contextlib.suppress(BaseException):  # a handler gets this, too
                    report("listener", f"the listener failed and goes on: {error!r}")
                self._sleep(STANDBY)

    def _ends(self) -> bool:
        """Decide whether the thread ends, in one step with what `start` decides."""
        if self._closed:  # a child that a handler has forked in this thread: the gate may be held
            return True
        with self._gate:
            if self._stopping:
                self._running = None
            return self._stopping

    def _work(self) -> None:
        """Write one batch and pause, or wait for one."""
        if not self.spools.own():
            self._sleep(STANDBY)
            return
        if time.monotonic() >= self._next_tidy:
            self._next_tidy = time.monotonic() + IDLE
            self.spools.tidy()
        more = self.spools.retry()
        batch = self.dequeue(block=not more)
        if batch is not None:
            self.handle(batch)
            more |= batch.more
            if not more and not self._stopping:
                self._sleep(PAUSE)

    def release(self) -> None:
        """Give up all spools."""
        self._close_pipe()
        self.spools.release()

    def close(self) -> None:
        """In a forked child: let go of what was inherited."""
        self._close_pipe()
        self.spools.close()

    def _close_pipe(self) -> None:
        self._closed = True
        for fd in (self._wake, self._waker):
            with contextlib.suppress(OSError):
                os.close(fd)
