"""`start(queue=…)`: the stdlib's way to the owner, a queue of somebody else's, for comparison.

Every limit of that queue applies. `multiprocessing.Queue` loses what its feeder thread has not yet
sent when a process dies, can wedge for ever when a process is killed, and unpickles what workers
send; see the README. The owner moves what comes out into its own spool; all else is as ever.
"""

from __future__ import annotations

import queue
import time
from typing import Any

from queuelog.base import report
from queuelog.handlers import write_past_owner
from queuelog.owner.listener import QueueListener
from queuelog.owner.spools import OwnedSpools
from queuelog.spool import Shut, SpoolDirectory, SpoolWriter, frame
from queuelog.spool.merge import Batch

_POLL = 0.05  # seconds: such a queue cannot ring
_MOST = 1000  # items that are moved at once


class ForeignQueue(SpoolWriter):
    """Both ends: handlers `put` into the foreign queue, and the listener calls `move`.

    An item is a frame, and the descriptions of its sink and of its source.
    """

    def __init__(self, foreign: Any, directory: SpoolDirectory, limit: int) -> None:
        super().__init__(directory, limit)
        self.foreign = foreign
        self.waiting: list[Any] = []  # at most one item, for which the spool has no room yet
        self._takes_more = True

    def put(self, item: bytes, block: bool = True, timeout: float | None = None) -> None:
        """Put a frame; raises `Shut`, or `queue.Full` if the queue is bounded and full."""
        if not self._takes_more:
            raise Shut
        source = self.sources.description_of(frame.source_of(item))
        self.foreign.put((item, self.description_of(item), source), block, timeout)

    def introduce(self, description: bytes) -> None:
        """Nothing comes before the first record, in the foreign queue."""

    def shut(self) -> None:
        """Take nothing more; what is there can still be moved."""
        self._takes_more = False

    def move(self) -> bool:
        """Move what is there into the spool, while that has room; tell if there may be more."""
        for _ in range(_MOST):
            try:
                item = self.waiting.pop() if self.waiting else self.foreign.get_nowait()
            except (queue.Empty, OSError, ValueError):  # or somebody has closed it
                return False
            except Exception as error:  # what was pickled cannot be unpickled here
                report("foreign", f"passed over a queue item that cannot be read: {error!r}")
                continue
            try:
                self._move(*item)
            except queue.Full:
                self.waiting.append(item)
                return False
            except Exception as error:
                report("foreign", f"passed over a queue item that is not ours: {error!r}")
        return True

    def _move(self, item: bytes, description: bytes, source: bytes) -> None:
        kind, created, payload = frame.decode(item)
        sink, number = self.register(description), self.sources.register(source)
        moved = frame.encode(kind, sink, created, payload, number)
        try:
            if len(moved) > self.limit:
                self.drop(moved)
            else:
                super().put(moved, block=False)
        except OSError as error:
            write_past_owner(description, item, error)

    def after_fork_in_child(self) -> None:
        """Restart the feeder thread: multiprocessing does it for its own children only."""
        super().after_fork_in_child()
        reset = getattr(self.foreign, "_after_fork", None)
        if reset is not None:
            reset()


def both_ends(
    foreign: Any, spools: OwnedSpools, directory: SpoolDirectory, limit: int
) -> tuple[SpoolWriter, QueueListener]:
    """Return what the handlers write to, and what takes it on, through `foreign` if that is one."""
    if foreign is None:
        return SpoolWriter(directory, limit), QueueListener(spools)
    queue = ForeignQueue(foreign, directory, limit)
    return queue, ForeignListener(spools, queue)


class ForeignListener(QueueListener):
    """A listener that looks into the foreign queue before it looks into the spool."""

    def __init__(self, spools: OwnedSpools, foreign: ForeignQueue) -> None:
        super().__init__(spools)
        self._foreign = foreign

    def drain(self, timeout: float) -> bool:
        """Write all that is in the foreign queue and in the spool; see `QueueListener.drain`."""
        deadline = time.monotonic() + timeout
        while self._foreign.move():  # also if another process writes what is in the spool
            pass
        super().drain(deadline - time.monotonic())
        while self._foreign.waiting and time.monotonic() < deadline:  # the spool was full
            self._foreign.close()  # a segment can be removed only if nobody holds it
            time.sleep(_POLL)
            super().drain(deadline - time.monotonic())
        self._foreign.close()
        return super().drain(deadline - time.monotonic()) and not self._foreign.waiting

    def work(self) -> None:
        """Write one batch and pause, or wait for one; see `QueueListener.work`."""
        self._foreign.move()  # also while another process owns the spool
        super().work()

    def dequeue(self, block: bool) -> Batch | None:  # type: ignore[override]
        """Return the next batch, or None; with `block`, wait a while first."""
        self._foreign.move()
        batch = super().dequeue(False)
        if batch is None and block:
            self._sleep(min(_POLL, self.spools.patience()), bell=True)
            self._foreign.move()
            batch = super().dequeue(False)
        return batch
