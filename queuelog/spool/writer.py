"""The writing end of the spool: every process appends to segments of its own.

One `os.write` on an `O_APPEND` descriptor a record. When it has returned the kernel has the bytes,
so nothing that happens to this process can lose them; there is no buffer, no thread, and no lock
that another process could hold.

While a writer lives it holds a write lock on its segment. The reader learns by it when the segment
is complete: the kernel releases it when the writer goes on to its next segment, or dies.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import os
import queue
import time
from os import write
from time import monotonic
from typing import Any

from queuelog.base import Descriptor, acting_as, native
from queuelog.spool import frame
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.doorbell import ring
from queuelog.spool.drops import DropCounter

SEGMENT_SIZE = 1 << 20  # bytes
_SMALLEST = 1 << 12  # bytes
RING_INTERVAL = 0.025  # seconds; shorter than the listener's pause between two batches
_FULL_CHECK = 0.02  # seconds between two looks at a spool that was full


class Shut(Exception):  # noqa: N818  # no error: `stop` is under way
    """The process owns no log file any more: what it logs goes to the handlers themselves."""


class _Tail(Descriptor):
    """The segment that is appended to: sizes in bytes, and sinks described in it."""

    def __init__(self, directory: SpoolDirectory, uid: int, name: str, capacity: int) -> None:
        self.fd = directory.new_file(uid, name, os.O_WRONLY | os.O_APPEND)
        self._file = os.fstat(self.fd)
        self.size = 0
        self.capacity = capacity  # about
        self.torn = False  # it ends with a part of a frame
        self.described: set[bytes] = set()  # sink numbers as they stand in a frame

    @property
    def is_done(self) -> bool:
        """Whether the next frame belongs into another segment."""
        return self.torn or self.size >= self.capacity

    def is_ours(self) -> bool:
        """Tell if the descriptor is still that of the segment: daemons close all they find."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self.fd), self._file)
        return False

    def is_usable(self) -> bool:
        """Tell if what is appended can be read: the segment is ours, and has its name still."""
        return self.is_ours() and self.is_there

    def close(self) -> None:
        """Close the descriptor, unless the number is somebody else's by now."""
        if not self.is_ours():
            self.fd = -1
        super().close()

    def introduced(self, item: bytes, description: bytes) -> bytes:
        """Return a frame behind the description of its sink, in a new segment behind the header.

        Should a nested call write both, before this one does, they stand there twice: no harm.
        """
        header = b"" if self.size else frame.SEGMENT_HEADER
        return (
            header + frame.encode(frame.DESCRIPTION, frame.sink_of(item), 0.0, description) + item
        )


class SpoolWriter:
    """The queue as `QueueHandler` sees it: `put` of encoded frames.

    Any thread may call it, also a signal handler in the middle of another call. `limit` is the
    backlog limit in bytes: when the segments of all processes together have reached it, a process
    gets no further segment, and `put` raises `queue.Full`. `uid` is the user that this process
    writes as, by default the spool's owner, and `child_uid` the one that forked children write as.
    """

    def __init__(self, directory: SpoolDirectory, limit: int, uid: int | None = None) -> None:
        self.directory = directory
        self.limit = limit
        self._segment_size = SEGMENT_SIZE
        self._descriptions: list[bytes] = []
        self._tail: _Tail | None = None
        self._drops: dict[int, DropCounter] = {}
        self._busy = False  # a call is about to write, perhaps under one that is nested in it
        uid = directory.owner_uid if uid is None else uid
        self.child_uid = uid
        self._start(uid)

    def _start(self, uid: int) -> None:
        """Set what belongs to one process only, and let go of what the parent's were."""
        self._lock: Any = native("_thread", "RLock")()  # another thread may have held the parent's
        self.close()
        self._uid = uid
        self._name = f"{os.getpid()}-{time.time_ns()}"
        self._numbers = itertools.count()
        self._busy = False
        self._full_until = 0.0
        self._gave_up = False
        self._shut = False
        self._rung = 0.0

    def register(self, description: bytes) -> int:
        """Return the sink number for `description`; the same one for the same description.

        Raises:
            OverflowError: a process has described 65,536 sinks already.
        """
        with self._lock:
            if description not in self._descriptions:
                if len(self._descriptions) == frame.MAX_SINKS:
                    raise OverflowError("too many log files")
                self._descriptions.append(description)
            return self._descriptions.index(description)

    def shut(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._shut = True
            self.close()

    def put(self, item: bytes, block: bool = True, timeout: float | None = None) -> None:
        """Append a frame to this process's segment.

        At the backlog limit it waits up to `timeout` seconds for room (`None`: for ever) if
        `block`. A wait in vain is not repeated before there was room again.

        Raises:
            Shut: nothing more is taken.
            queue.Full: the backlog limit is reached.
            OSError: the spool cannot be written at all, or the frame is longer than the limit.
        """
        now = monotonic()
        rings = now - self._rung >= RING_INTERVAL
        if rings:
            self._rung = now
            self._let_go_if_removed()
        try:
            self._append(item)
        except queue.Full:
            if not block or self._gave_up:
                raise
            self._append_later(item, timeout)
        finally:
            if rings:
                with acting_as(self.directory.writing_as(self._uid)):
                    ring(self.directory.bell)

    def description_of(self, item: bytes) -> bytes:
        """Return the description of the sink that a frame is for."""
        return self._descriptions[frame.sink_of(item)]

    def enter(self) -> None:
        """Be there as a writer before there is anything to write: the spool is not removed then.

        Raises:
            queue.Full: the backlog limit is reached.
            OSError: the spool cannot be written.
        """
        with self._lock:
            if self._tail is None:
                self._next_segment()

    def drop(self, item: bytes) -> None:
        """Count a frame that `put` refused, for the listener to report."""
        sink = frame.sink_of(item)
        with self._lock, contextlib.suppress(OSError):
            if sink not in self._drops:
                name, description = f"{self._name}-{sink}.drops", self.description_of(item)
                self._drops[sink] = DropCounter(self.directory, self._uid, name, description)
            self._drops[sink].add()

    def _append_later(self, item: bytes, timeout: float | None) -> None:
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            time.sleep(_FULL_CHECK)
            try:
                self._append(item)
            except queue.Full:
                if time.monotonic() > deadline:
                    self._gave_up = True
                    raise
            else:
                return

    def _append(self, item: bytes) -> None:
        sink = item[16:18]
        with self._lock:
            # A signal handler may log while this very thread is between taking the segment and
            # writing to it: the inner call must not close the segment under the outer one.
            nested, self._busy = self._busy, True
            tail = None
            try:
                if self._shut:
                    raise Shut
                if len(item) > self.limit:  # the reader would take its length for a lie
                    reason = f"{len(item)} bytes are more than the backlog limit"
                    raise OSError(errno.EFBIG, reason)
                tail = self._tail
                if tail is None or (tail.is_done and not nested):
                    tail = self._next_segment()
                data = item
                if sink not in tail.described:
                    data = tail.introduced(item, self.description_of(item))
                written = write(tail.fd, data)
                if written != len(data) or tail.torn:
                    # No room: a partial frame hides all later ones, but not at the end of a segment
                    # that nobody holds. It cannot be cut off, since it may have been read.
                    tail.torn = tail.torn or written > 0
                    if tail.torn and not nested:
                        self._go_on(None)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                tail.size += written
                tail.described.add(sink)
            except OSError as error:
                where = f"cannot write to the spool {self.directory.path}"
                reason = error.strerror or str(error)
                raise OSError(error.errno, f"{where} ({reason})") from None
            finally:
                self._busy = nested
                if not nested and tail is not None and tail is not self._tail:
                    tail.close()  # the inner call has let go of it

    def _go_on(self, new: _Tail | None) -> None:
        """Append to `new` from now on; the reader learns by the lock that the old one is done."""
        old, self._tail = self._tail, new
        if old is not None:
            old.close()

    def _next_segment(self) -> _Tail:
        if time.monotonic() < self._full_until:
            raise queue.Full
        old = self._tail
        writers, total = self.directory.backlog()
        if total >= self.limit:
            self._go_on(None)  # only then the reader can remove it
            self._full_until = time.monotonic() + _FULL_CHECK
            raise queue.Full
        self._gave_up = False
        # The limit is looked at only here: with many writers the segments must be small, or they
        # could go far beyond it before they are full.
        capacity = min(self._segment_size, max(_SMALLEST, self.limit // (8 * (writers + 1))))
        try:
            name = f"{self._name}-{next(self._numbers)}"
            new = _Tail(self.directory, self._uid, name, capacity)
        except OSError:
            if old is None:
                raise
            return old  # no descriptor, say: a segment that is too long is better than none
        self._go_on(new)
        return new

    def close(self) -> None:
        """Let go of the segment, so that the reader sees that it is complete."""
        with self._lock:
            if self._busy:  # in a signal handler: the call that it interrupts closes the segment
                self._tail = None
            self._go_on(None)
            while self._drops:
                self._drops.popitem()[1].close()

    def _let_go_if_removed(self) -> None:
        """Go on in a new segment if somebody has removed this one, perhaps before it was read."""
        with self._lock:
            if self._tail is not None and not self._busy and not self._tail.is_usable():
                self._go_on(None)

    def after_fork_in_child(self) -> None:
        """Become a writer of the child's own; called before the child can log."""
        self._start(self.child_uid)
