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

import contextlib
import errno
import itertools
import math
import os
import queue
import resource
import time
from collections.abc import Iterable, Sequence
from os import write
from time import monotonic
from typing import Any, NoReturn

from queuelog.base import NO_DESCRIPTOR, acting_as, native
from queuelog.spool import frame
from queuelog.spool.backlog import forget_who_empties, is_emptying, longest, room_for, tag_of
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.doorbell import ring
from queuelog.spool.drops import DropCounters
from queuelog.spool.gather import gather
from queuelog.spool.sources import Sources
from queuelog.spool.spoolfile import SpoolFile
from queuelog.spool.tail import SEGMENT_SIZE, Tail, Tails

_SMALLEST = 1 << 12  # bytes
_LONGEST = 1 << 24  # bytes: of one that goes on since there is no descriptor for another
RING_INTERVAL = 0.025  # seconds; shorter than the listener's pause between two batches
_FULL_CHECK = 0.02  # seconds between two looks at a spool that was full, at least
_PART = 20  # a look takes no more than this part of the time: the reader needs the processor, too

_NO_SINK = -1

# A lack of room, by whatever limit: the record waits, or is dropped and counted.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM}


class Torn(Exception):  # noqa: N818  # nor is this: the rest may have room later
    """Of several frames only some had room; `rest` are the others."""

    def __init__(self, rest: list[bytes]) -> None:
        super().__init__(f"no room for {len(rest)} frames")
        self.rest = rest


class Shut(Exception):  # noqa: N818  # no error: `stop` is under way
    """The process owns no log file any more: what it logs goes to the handlers themselves."""


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
        self._segment_size = SEGMENT_SIZE
        self._descriptions: dict[int, bytes] = {}  # by sink number
        self._sinks: dict[bytes, int] = {}  # numbers, by description
        self._sink_numbers = itertools.count()
        self.sources = Sources()
        self.child_uid = directory.owner_uid if uid is None else uid
        self._start(self.child_uid)

    def _start(self, uid: int) -> None:
        """Set what belongs to one process only."""
        self._lock: Any = native("_thread", "RLock")()
        self._uid = uid
        self._name = f"{os.getpid()}-{time.time_ns()}"
        self._numbers = itertools.count()
        self._tails = Tails()
        self._drops = DropCounters(self._drop_file)
        self._full_until: dict[int, float] = {}  # by slot
        self._gave_up: set[int] = set()  # slots
        self._shut = False
        self._rung = 0.0

    def register(self, description: bytes) -> int:
        """Return the sink number for `description`; the same one for the same description.

        Raises:
            OverflowError: a process has described 65,536 sinks already.
        """
        with self._lock:
            if description not in self._sinks:
                if len(self._descriptions) == frame.MAX_SINKS:
                    raise OverflowError("too many log files")
                number = next(self._sink_numbers)  # also where a nested call takes one
                self._descriptions[number] = description
                self._sinks[description] = number
            return self._sinks[description]

    def enter(self) -> None:
        """Be there as a writer before there is anything to write: the spool is not removed then.

        Raises:
            OSError: the spool cannot be written.
        """
        with self._lock:
            if self._tails.current(_NO_SINK) is None:
                name = f"{self._name}-{next(self._numbers)}"
                self._tails.add(Tail(self.directory, self._uid, name, _NO_SINK, 0))

    def introduce(self, description: bytes) -> None:
        """Let the owner know of a sink before there is a record for it, if there is room."""
        nested = self._is_nested()
        with self._lock, contextlib.suppress(OSError, queue.Full):
            try:
                sink = self.register(description)
                self._write(sink, b"", {frame.label(frame.DESCRIPTION, sink)}, nested)
            finally:
                self._leave(nested)
        self._ring()

    def shut(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._shut = True
        self.close()

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
            self._append(item, {frame.label_of(item)})
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
            self._append(b"".join(items), {*map(frame.label_of, items)})
        finally:
            if rings:
                self._ring()

    def _shall_ring(self) -> bool:
        """Tell if the reader has not heard of this process for a while; do what is due then."""
        now = monotonic()
        if now - self._rung < RING_INTERVAL:
            return False
        self._rung = now
        self._tails.finish_unusable()
        return True

    def _ring(self) -> None:
        with acting_as(self.directory.writing_as(self._uid)):
            ring(self.directory.bell)

    def description_of(self, item: bytes) -> bytes:
        """Return the description of the sink that a frame is for."""
        return self._descriptions[frame.sink_of(item)]

    def drop(self, item: bytes) -> None:
        """Count a frame that `put` refused, for the listener to report."""
        nested = self._is_nested()
        with self._lock:
            self._drops.add(frame.sink_of(item), self.description_of(item))
            self._leave(nested)

    def _drop_file(self, suffix: str, content: bytes) -> SpoolFile:
        name = f"{self._name}-{suffix}"
        return SpoolFile(self.directory, self._uid, name, os.O_RDWR, content)

    def _is_nested(self) -> bool:
        """Tell if this call interrupts another one of its own thread."""
        nested: bool = self._lock._is_owned()  # noqa: SLF001  # as threading.Condition asks
        return nested

    def _slot_of(self, item: bytes) -> int:
        return self._tails.slot_of(frame.sink_of(item))

    def _may_wait(self, item: bytes) -> bool:
        return (
            self._slot_of(item) not in self._gave_up
            and len(item) <= longest(self.directory.path, self.limit)
            and not self._is_nested()  # other threads would wait for the lock as long
            and not is_emptying()
        )

    def _append_later(self, item: bytes, timeout: float | None) -> None:
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            time.sleep(_FULL_CHECK)
            try:
                self._append(item, {frame.label_of(item)})
            except queue.Full:
                if time.monotonic() > deadline:
                    self._gave_up.add(self._slot_of(item))
                    raise
            else:
                return

    def _append(self, item: bytes, labels: set[bytes]) -> None:
        nested = self._is_nested()
        with self._lock:
            try:
                if self._shut:
                    raise Shut
                self._write(frame.sink_of(item), item, labels, nested)
            except OSError as error:
                where = f"cannot write to the spool {self.directory.path}"
                reason = error.strerror or str(error)
                raise OSError(error.errno, f"{where} ({reason})") from None
            finally:
                self._leave(nested)

    def _leave(self, nested: bool) -> None:
        """Do what is due at the end of a call, unless that interrupts another one."""
        while (self._tails.changed or self._drops.changed) and not nested:
            self._tails.let_go()
            self._drops.save()

    def _write(self, sink: int, item: bytes, labels: set[bytes], nested: bool) -> None:
        """Write frames whole, or not so that anybody reads them.

        A nested call may write to the same segment at any point of this one; it goes on to another
        one only if it must, as behind a part of what this one writes. Should both write the
        description of the sink, it stands there twice: no harm.
        """
        slot = self._tails.slot_of(sink)
        while True:
            tail = self._tails.current(slot)
            while tail is None or not tail.takes(0 if nested else len(item)):
                tail = self._next_segment(slot, len(item), nested)
            if nested and not tail.is_whole():
                self._tails.finish(tail)
                continue
            begins = not tail.size
            new = labels - tail.introduced
            data = self._introduction(tail, sink, new) + item if new else item
            size = tail.size
            tail.pending = len(data)
            try:
                written = write(tail.fd, data)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                written = 0
            if written == len(data) and not tail.hides_its_end():
                alone = tail.size == size  # else others have come in between
                tail.size = size + written if alone else os.fstat(tail.fd).st_size
                tail.pending = 0
                if new:
                    tail.described.add(sink)
                    tail.introduced |= new
                return
            # A partial frame hides all later ones, but not at the end of a segment that nobody
            # holds. It cannot be cut off, since it may have been read.
            if 0 < written < len(data):
                tail.tear()
            self._tails.finish(tail)
            self._refuse_torn(item, written - (len(data) - len(item)))
            if begins and written < len(data):
                self._refuse(slot)

    def _refuse_torn(self, item: bytes, written: int) -> None:
        """Say which of several frames are not written, if some are: they must not come twice."""
        if written < frame.HEADER_SIZE:
            return
        whole = 0
        for one in frame.split(item):
            if whole + len(one) > written:
                break
            whole += len(one)
        if 0 < whole < len(item):
            raise Torn([*frame.split(item[whole:])])

    def _introduction(self, tail: Tail, sink: int, labels: Iterable[bytes]) -> bytes:
        """Return what comes in a segment before the first frames with these numbers."""
        introduction = b"" if tail.described else frame.SEGMENT_HEADER
        if sink not in tail.described:
            introduction += frame.encode(frame.DESCRIPTION, sink, 0.0, self._descriptions[sink])
        for source in map(frame.source_in, labels):
            described = self.sources.description_of(source)
            if described:
                introduction += frame.encode(frame.SOURCE, sink, 0.0, described, source)
        return introduction

    def _next_segment(self, slot: int, length: int, nested: bool) -> Tail:
        """Make a segment for a slot, with room for a frame of so many bytes."""
        if monotonic() < self._full_until.get(slot, 0.0) and not is_emptying():
            raise queue.Full
        old, tag = self._tails.current(slot), tag_of(self._descriptions[slot])
        began = monotonic()
        room, writers = room_for(tag, self.directory, self.limit)
        if room < _SMALLEST:
            if old is not None:  # only when it is let go the reader can remove it
                self._tails.finish(old)
            self._refuse(slot, monotonic() - began)
        if room < length:
            raise queue.Full
        # Room is looked at only here: with many writers the segments must be small, or they
        # could go far beyond it before they are full.
        capacity = min(self._segment_size, max(_SMALLEST, room // (writers + 1)), _file_limit())
        name = f"{self._name}-{tag}-{next(self._numbers)}"
        try:
            new = Tail(self.directory, self._uid, name, slot, capacity)
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._refuse(slot)
            if old is not None and self._goes_on_in(old, length, error):
                return old
            if error.errno in NO_DESCRIPTOR and not nested and self._tails.spare_one():
                return self._next_segment(slot, length, nested)
            raise
        self._gave_up.discard(slot)
        self._drops.changed = True  # what had no room may have some now
        return self._tails.add(new)

    def _refuse(self, slot: int, look: float = 0.0) -> NoReturn:
        """Say that there is no room, and look again later; the last look took so many seconds."""
        self._full_until[slot] = monotonic() + max(_FULL_CHECK, _PART * look)
        raise queue.Full

    def _goes_on_in(self, old: Tail, length: int, error: OSError) -> bool:
        """Without a descriptor, a segment that is too long is better than none."""
        if old.is_done:
            return False
        if error.errno not in NO_DESCRIPTOR or old.size > _LONGEST:
            self._tails.finish(old)
            return False
        old.capacity = old.size + length
        return True

    def close(self) -> None:
        """Let go of the segments, so that the reader sees that they are complete."""
        nested = self._is_nested()
        with self._lock:
            self._tails.finish_all()
            self._drops.finish_all()
            self._leave(nested)

    def after_fork_in_child(self) -> None:
        """Become a writer of the child's own; called before the child can log."""
        forget_who_empties()
        if not self._is_nested():  # else the call that the fork interrupts goes on here, too
            self._tails.abandon()
        self._drops.abandon()
        self._start(self.child_uid)


def _file_limit() -> int:
    """Return how long a file of this process may be (`ulimit -f`), in bytes."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return SEGMENT_SIZE if limit == resource.RLIM_INFINITY else limit
