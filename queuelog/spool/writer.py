"""The writing end of the spool: every process appends to segments of its own.

One `os.write` on an `O_APPEND` descriptor a record. When it has returned the kernel has the bytes,
so nothing that happens to this process can lose them; there is no buffer, no thread, and no lock
that another process could hold.

While a writer lives it holds a lock on each of its segments. The reader asks for it to learn that a
segment is complete: the writer releases it when it goes on to the next one, the kernel when the
writer dies. A segment has records of one sink only (see `tail`): what waits for one that fails
keeps nothing of another.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Sequence
from time import monotonic

from queuelog.base import acting_as
from queuelog.spool import frame
from queuelog.spool.appender import Appender
from queuelog.spool.backlog import forget_who_empties, is_emptying
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.doorbell import ring
from queuelog.spool.gather import gather
from queuelog.spool.numbers import Numbers
from queuelog.spool.room import CHECK, Room

RING_INTERVAL = 0.025  # seconds; shorter than the listener's pause between two batches


class SpoolWriter:
    """The queue as `QueueHandler` sees it: `put` of encoded frames.

    Any thread may call it, also a signal handler in the middle of another call. `limit` is the
    backlog limit in bytes: when a sink has as much as `backlog` lets it have, a process gets no
    further segment for it, and `put` raises `queue.Full`. `uid` is the user that this process
    writes as, by default the spool's owner, and `child_uid` the one that forked children write as.
    """

    def __init__(self, directory: SpoolDirectory, limit: int, uid: int | None = None) -> None:
        self.directory = directory
        self.limit = limit
        self.child_uid = directory.owner_uid if uid is None else uid
        self._numbers = Numbers()
        self.sources = self._numbers.sources
        self._room = Room(directory, limit)
        self._appender = Appender(directory, self._numbers, self._room, self.child_uid)
        self._rung = 0.0

    def register(self, description: bytes) -> int:
        """Return the sink number for `description`; the same one for the same description.

        Raises:
            OverflowError: a process has described 65,536 sinks already.
        """
        return self._numbers.register(description)

    def description_of(self, item: bytes) -> bytes:
        """Return the description of the sink that a frame is for."""
        return self._numbers.description_of(frame.sink_of(item))

    def enter(self) -> None:
        """Be there as a writer before there is anything to write: the spool is not removed then.

        Raises:
            OSError: the spool cannot be written.
        """
        self._appender.enter()

    def introduce(self, description: bytes) -> None:
        """Let the owner know of a sink before there is a record for it, if there is room."""
        self._appender.introduce(description)
        self._ring()

    def put(self, item: bytes, block: bool = True, timeout: float | None = None) -> None:
        """Append a frame to this process's segment for its sink.

        At the backlog limit it waits up to `timeout` seconds for room (`None`: for ever) if
        `block`, but not in a call that is nested in another, nor in a thread that empties the
        spool. A wait in vain is not repeated before there was room for that sink again.

        Raises:
            Shut: nothing more is taken.
            queue.Full: the backlog limit is reached.
            OSError: the spool cannot be written at all.
        """
        if gather(self, item):
            return
        rings = self._shall_ring()
        try:
            self._appender.append(item, {frame.label_of(item)})
        except queue.Full:
            if not block or not self._may_wait(item):
                raise
            self._append_later(item, timeout)
        finally:
            if rings:
                self._ring()

    def put_many(self, items: Sequence[bytes]) -> None:
        """Append frames, all for one sink, at once; never wait.

        Raises:
            Torn: some of them have no room.
            Others as `put`.
        """
        rings = self._shall_ring()
        try:
            self._appender.append(b"".join(items), {*map(frame.label_of, items)})
        finally:
            if rings:
                self._ring()

    def drop(self, item: bytes) -> None:
        """Count a frame that `put` refused, for the listener to report."""
        self._appender.drop(item)

    def _shall_ring(self) -> bool:
        """Tell if the reader has not heard of this process for a while; do what is due then."""
        now = monotonic()
        if now - self._rung < RING_INTERVAL:
            return False
        self._rung = now
        self._appender.tails.finish_unusable()
        return True

    def _ring(self) -> None:
        with acting_as(self.directory.users.writing_as(self._appender.uid)):
            ring(self.directory.bell)

    def _slot_of(self, item: bytes) -> int:
        return self._appender.tails.slot_of(frame.sink_of(item))

    def _may_wait(self, item: bytes) -> bool:
        return (
            self._room.may_be_waited_for(self._slot_of(item), len(item))
            and not self._appender.is_nested()  # other threads would wait for the lock as long
            and not is_emptying()
        )

    def _append_later(self, item: bytes, timeout: float | None) -> None:
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            time.sleep(CHECK)
            try:
                self._appender.append(item, {frame.label_of(item)})
            except queue.Full:
                if time.monotonic() > deadline:
                    self._room.give_up(self._slot_of(item))
                    raise
            else:
                return

    def shut(self) -> None:
        """Take nothing more."""
        self._appender.shut()

    def close(self) -> None:
        """Let go of the segments, so that the reader sees that they are complete."""
        self._appender.close()

    def after_fork_in_child(self) -> None:
        """Become a writer of the child's own; called before the child can log."""
        forget_who_empties()
        self._appender.after_fork_in_child(self.child_uid)
        self._room.forget()
        self._rung = 0.0
