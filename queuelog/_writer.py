"""The writing end of the spool: every process appends to segments of its own.

One `os.write` on an `O_APPEND` descriptor a record. When it has returned the kernel has the bytes,
so nothing that happens to this process can lose them; there is no buffer, no thread, and no lock
that another process could hold.

While a writer lives it holds a `flock` on its segment. The reader takes the lock to learn that the
segment is complete: the kernel releases it when the writer goes on to its next segment, or dies.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import queue
import time
from os import write
from time import monotonic
from typing import Any, NoReturn

from queuelog import _frame
from queuelog._description import parse
from queuelog._drops import DropCounter
from queuelog._native import native
from queuelog._report import STDERR, report
from queuelog._spool import SpoolDirectory

SEGMENT_SIZE = 1 << 20  # bytes
_SMALLEST = 1 << 12  # bytes
RING_INTERVAL = 0.025  # seconds; shorter than the listener's pause between two batches
_FULL_CHECK = 0.02  # seconds between two looks at a spool that was full


class _Segment:
    """A segment that is being written: its descriptor, its size, and the sinks described in it."""

    __slots__ = ("capacity", "described", "fd", "identity", "size")

    def __init__(self, path: str, owner: int | None, capacity: int) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(path, flags, 0o600)
        # Before the first byte: the reader leaves empty segments alone, others only while locked.
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if owner is not None:
            os.fchown(self.fd, owner, -1)
        found = os.fstat(self.fd)
        self.identity = found.st_dev, found.st_ino
        self.size = 0
        self.capacity = capacity  # bytes, about
        self.described: set[bytes] = set()  # sink numbers as they stand in a frame


class SpoolWriter:
    """The queue as `QueueHandler` sees it: `put` and `put_nowait` of encoded frames.

    Any thread may call them, also a signal handler in the middle of another call. `limit` is the
    backlog limit in bytes: when the segments of all processes together have reached it, a process
    gets no further segment, and `put` raises `queue.Full`. `uid` is the user that this process
    writes as, by default the spool's owner; forked children write as the worker's user.
    """

    def __init__(self, directory: SpoolDirectory, limit: int, uid: int | None = None) -> None:
        self._directory = directory
        self._limit = limit
        self._segment_size = SEGMENT_SIZE
        self._descriptions: list[bytes] = []
        self._uid = directory.owner_uid if uid is None else uid
        self._child_uid = directory.worker_uid if uid is None else uid
        self._segment: _Segment | None = None
        self._start()

    def _start(self) -> None:
        """Set what belongs to one process only."""
        self._lock: Any = native("_thread", "RLock")()
        self._name = f"{os.getpid()}-{time.time_ns()}"
        self._numbers = itertools.count()
        self._busy = False
        self._full_until = 0.0
        self._gave_up = False
        self._rung = 0.0
        self._drops: dict[int, DropCounter] = {}

    def register(self, description: bytes) -> int:
        """Return the sink number for `description`; the same one for the same description.

        Raises:
            OverflowError: a process has described 65,536 sinks already.
        """
        with self._lock:
            frames = [_frame.payload_of(frame) for frame in self._descriptions]
            if description in frames:
                return frames.index(description)
            number = len(frames)
            if number == _frame.MAX_SINKS:
                raise OverflowError("too many log files")
            self._descriptions.append(_frame.encode(_frame.DESCRIPTION, number, 0.0, description))
            return number

    def put_nowait(self, item: bytes) -> None:
        """Append a frame; raise `queue.Full` at the backlog limit. See `put`."""
        self.put(item, block=False)

    def put(self, item: bytes, block: bool = True, timeout: float | None = None) -> None:
        """Append a frame to this process's segment.

        At the backlog limit it waits up to `timeout` seconds for room (`None`: for ever) if
        `block`. A wait in vain is not repeated before there was room again. If the spool cannot be
        written at all, the line goes to its file directly, else to stderr; so does one that is
        longer than the limit.

        Raises:
            queue.Full: the backlog limit is reached.
        """
        if len(item) > self._limit:  # the reader would take its length for a lie
            self._write_directly(item, f"{len(item)} bytes are more than the backlog limit")
            return
        now = monotonic()
        ring = now - self._rung >= RING_INTERVAL
        if ring:
            self._rung = now
            self._let_go_if_removed()
        try:
            self._append(item)
        except queue.Full:
            if not block or self._gave_up:
                raise
            self._append_later(item, timeout)
        if ring:
            self._ring()

    def drop(self, item: bytes) -> None:
        """Count a frame that `put` refused, for the listener to report."""
        sink = _frame.sink_of(item)
        with self._lock, contextlib.suppress(OSError):
            if sink not in self._drops:
                path = f"{self._directory.incoming(self._uid)}/{self._name}-{sink}.drops"
                description = _frame.payload_of(self._descriptions[sink])
                self._drops[sink] = DropCounter(path, description, self._other_owner())
            self._drops[sink].add()

    def _other_owner(self) -> int | None:
        """Return the user that files must be given to, where this process is not he yet."""
        return self._uid if self._uid != os.geteuid() else None

    def _append_later(self, item: bytes, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            time.sleep(_FULL_CHECK)
            try:
                self._append(item)
            except queue.Full:
                if deadline is not None and time.monotonic() > deadline:
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
            try:
                segment = self._segment
                if segment is None or (segment.size >= segment.capacity and not nested):
                    segment = self._roll()
                data = item if sink in segment.described else self._described(item)
                written = write(segment.fd, data)
                if written != len(data):
                    self._cut(segment, written)
                segment.size += written
                segment.described.add(sink)
            except OSError as error:
                reason = error.strerror or str(error)
            else:
                return
            finally:
                self._busy = nested
        self._write_directly(item, reason)

    def _described(self, item: bytes) -> bytes:
        """Return a frame with the description of its sink before it."""
        return self._descriptions[_frame.sink_of(item)] + item

    def _cut(self, segment: _Segment, written: int) -> NoReturn:
        """There was no room for the whole frame: behind half a one nothing could be read."""
        os.ftruncate(segment.fd, os.fstat(segment.fd).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _roll(self) -> _Segment:
        """Go on to a new segment, and let the reader know by the lock that the old one is done."""
        if time.monotonic() < self._full_until:
            raise queue.Full
        old = self._segment
        writers, total = self._directory.backlog()
        if total >= self._limit:
            # The reader can remove a segment only when its writer has let go of it.
            self._segment = None
            if old is not None:
                os.close(old.fd)
            self._full_until = time.monotonic() + _FULL_CHECK
            raise queue.Full
        self._gave_up = False
        name = f"{self._name}-{next(self._numbers)}"
        path = os.path.join(self._directory.incoming(self._uid), name)
        # The limit is looked at only here: with many writers the segments must be small, or they
        # could go far beyond it before they are full.
        capacity = min(self._segment_size, max(_SMALLEST, self._limit // (8 * (writers + 1))))
        try:
            new = _Segment(path, self._other_owner(), capacity)
        except OSError:
            if old is None:
                raise
            return old  # no descriptor, say: a segment that is too long is better than none
        old, self._segment = self._segment, new
        if old is not None:
            os.close(old.fd)
        return new

    def _write_directly(self, item: bytes, reason: str) -> None:
        """Bypass the spool, which cannot be written: to the file, as a lone process would."""
        path = parse(_frame.payload_of(self._descriptions[_frame.sink_of(item)])).path
        payload = _frame.payload_of(item)
        if _frame.kind_of(item) == _frame.RECORD:
            payload = json.loads(payload)["msg"].encode(errors="backslashreplace") + b"\n"
        report(
            "spool-write",
            f"cannot write to the spool {self._directory.path} ({reason}): lines go to their files "
            f"directly until it can be written again",
        )
        try:
            if not path:
                raise OSError("not a file")
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                payload = payload[os.write(fd, payload) :]
            finally:
                os.close(fd)
        except OSError:
            pass
        if payload:
            with contextlib.suppress(OSError):
                os.write(STDERR, payload)

    def _ring(self) -> None:
        """Wake the listener, wherever it is. A lost ring costs it at most its idle interval."""
        try:
            # Opened for each ring: another thread, or a daemon that closes all descriptors, could
            # make the number that of another file, which the ring would then be written to.
            # Read-write: writing to a FIFO that nobody has open for reading would be SIGPIPE,
            # which kills an application that set it to its default.
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
            bell = os.open(self._directory.bell, flags)
            try:
                os.write(bell, b"\0")
            finally:
                os.close(bell)
        except OSError:  # full: it is ringing already; missing: the listener looks by itself
            pass

    def close(self) -> None:
        """Let go of the segment, so that the reader sees that it is complete."""
        with self._lock:
            segment, self._segment = self._segment, None
            if segment is not None:
                os.close(segment.fd)
            while self._drops:
                os.close(self._drops.popitem()[1].fd)

    def _let_go_if_removed(self) -> None:
        """Go on in a new segment if somebody has removed this one, perhaps before it was read."""
        with self._lock:
            segment = self._segment
            if segment is None or self._busy:
                return
            found = None
            with contextlib.suppress(OSError):
                found = os.fstat(segment.fd)
            if found is None or (found.st_dev, found.st_ino) != segment.identity:
                self._segment = None  # somebody closed all descriptors, as daemons do: not ours
            elif found.st_nlink == 0:
                self._segment = None
                os.close(segment.fd)

    def after_fork_in_child(self) -> None:
        """Become a writer of the child's own; called before the child can log."""
        self._lock = native("_thread", "RLock")()  # another thread may have held it at the fork
        self.close()
        self._start()
        self._uid = self._child_uid
