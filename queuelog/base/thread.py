"""A thread that stands still while its process forks.

A child would inherit locks that no one releases, and Python 3.12 and later warn of it: `pause` and
`resume` stand around a fork.
"""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from typing import Any

from queuelog.base.reporter import report
from queuelog.base.unpatched import native

THREAD_END = 0.05  # seconds for the kernel to remove a thread that has ended
FORK_WAIT = 2.0  # seconds that a fork waits for a thread that a disk has stalled ...
STALLED_WAIT = 0.05  # ... and that the next ones wait, if it has not gone on since
AFTER_A_FAILURE = 0.2  # seconds until it goes on


class Interrupted(BaseException):
    """The thread has to stop before its work is done; the work comes again."""


class PausableThread(ABC):
    """A real thread, also where gevent has patched them, that does its `work` over and over.

    `name` is what reports call it, and `waits` what is kept until it goes on.
    """

    name = "thread"
    waits = ""

    def __init__(self) -> None:
        self.stopping = False  # soon, between two writes
        self._tid = 0  # the kernel's id of the thread
        self._turn = 0  # how often it has worked
        self._closed = False
        self._stalled = -1  # the turn in which a disk has stalled it
        self._gate: Any = native("_thread", "allocate_lock")()  # guards `stopping` and the next two
        self._pauses = 0  # that have not ended
        self._running: Any = None  # a lock that the thread holds until it ends
        self.wake, self._waker = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._waker, False)

    @abstractmethod
    def work(self) -> None:
        """Do a piece of the work, or wait for some; soon end if `wake` is readable.

        Raises:
            Interrupted: the thread shall stop.
        """

    def start(self) -> None:
        """Start the thread; harmless if it runs or pauses. It cancels a `stop` that took too long.

        Raises:
            RuntimeError: the limit of processes is reached.
        """
        with self._gate:
            if self._pauses:
                return
            self.stopping = False
            if self._running is None:
                running = native("_thread", "allocate_lock")()
                running.acquire()
                native("_thread", "start_new_thread")(self._run, (running,))
                self._running = running  # last: a thread that could not be started is tried again

    def stop(self, timeout: float | None = None) -> bool:
        """Stop the thread, between two writes; return False if that took more than `timeout` s.

        What is in the spool stays there: see `drain`.
        """
        with self._gate:
            self.stopping = True
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

    def end(self, timeout: float) -> bool:
        """Stop the thread as `stop` does, for good, also if another thread has just paused it."""
        with self._gate:
            self._pauses += 1
        return self.stop(timeout)

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
                self.name,
                f"the {self.name} cannot go on: {error}. {self.waits} until the next fork, reload "
                f"or stop",
            )

    def _is_current(self) -> bool:
        return self._running is not None and self._tid == native("_thread", "get_native_id")()

    def enqueue_sentinel(self) -> None:
        """Wake the thread."""
        with contextlib.suppress(OSError):  # full: it is awake already
            os.write(self._waker, b"\0")

    def _run(self, running: Any) -> None:
        """The thread's function."""
        self._tid = native("_thread", "get_native_id")()
        self.turns()
        running.release()

    def turns(self) -> None:
        """Work until the thread shall end."""
        while not self._ends():
            self._turn += 1
            self._work_safely()

    def _work_safely(self) -> None:
        try:
            self.work()
        except Interrupted:
            pass
        except BaseException as error:  # whatever it is, the thread must go on
            if not self._closed:
                with contextlib.suppress(BaseException):  # a handler gets this, too
                    report(self.name, f"the {self.name} failed and goes on: {error!r}")
                native("time", "sleep")(AFTER_A_FAILURE)

    def _ends(self) -> bool:
        """Decide whether the thread ends, in one step with what `start` decides."""
        if self._closed:  # a child that a handler has forked in this thread: the gate may be held
            return True
        with self._gate:
            if self.stopping:
                self._running = None
            return self.stopping

    def close_pipe(self) -> None:
        """Let go of what wakes the thread, which has ended, or is another process's."""
        self._closed = True
        for fd in (self.wake, self._waker):
            with contextlib.suppress(OSError):
                os.close(fd)
