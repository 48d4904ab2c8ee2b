"""Appends frames to the segments of this process, whole, or not so that anybody reads them.

Any thread may call, also a signal handler or a destructor in the middle of another call: such a
call is *nested* in the one that it interrupts. It may append to the same segment at any point of
that one, but lets go of nothing that the other may be about to use: the outermost call does.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import queue
import time
from os import write
from typing import Any

from queuelog.base import NO_DESCRIPTOR, native
from queuelog.spool import frame
from queuelog.spool.backlog import tag_of
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.drops import DropCounters
from queuelog.spool.numbers import Numbers
from queuelog.spool.room import Room
from queuelog.spool.spoolfile import SpoolFile
from queuelog.spool.tail import Tail, Tails

_NO_SINK = -1

# A lack of room, by whatever limit: the record waits, or is dropped and counted.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM}


class Torn(Exception):  # noqa: N818  # no error: the rest may have room later
    """Of several frames only some had room; `rest` are the others."""

    def __init__(self, rest: list[bytes]) -> None:
        super().__init__(f"no room for {len(rest)} frames")
        self.rest = rest


class Shut(Exception):  # noqa: N818  # no error: `stop` is under way
    """The process owns no log file any more: what it logs goes to the handlers themselves."""


class Appender:
    """What one process has in a spool: its segments, and the counts of what it dropped.

    It writes as user `uid`.
    """

    def __init__(self, directory: SpoolDirectory, numbers: Numbers, room: Room, uid: int) -> None:
        self._directory = directory
        self._numbers = numbers
        self._room = room
        self._begin(uid)

    def _begin(self, uid: int) -> None:
        """Set what belongs to one process only."""
        self._lock: Any = native("_thread", "RLock")()
        self.uid = uid
        self._name = f"{os.getpid()}-{time.time_ns()}"
        self._segment_numbers = itertools.count()
        self.tails = Tails()
        self._drops = DropCounters(self._drop_file)
        self._shut = False

    def _drop_file(self, suffix: str, content: bytes) -> SpoolFile:
        name = f"{self._name}-{suffix}"
        return SpoolFile(self._directory, self.uid, name, os.O_RDWR, content)

    def is_nested(self) -> bool:
        """Tell if this call interrupts another one of its own thread."""
        nested: bool = self._lock._is_owned()  # noqa: SLF001  # as threading.Condition asks
        return nested

    def enter(self) -> None:
        """Have a segment, if only an empty one.

        Raises:
            OSError: the spool cannot be written.
        """
        with self._lock:
            if self.tails.current(_NO_SINK) is None:
                name = f"{self._name}-{next(self._segment_numbers)}"
                self.tails.add(Tail(self._directory, self.uid, name, _NO_SINK, 0))

    def introduce(self, description: bytes) -> None:
        """Have a segment that describes a sink, if there is room."""
        nested = self.is_nested()
        with self._lock, contextlib.suppress(OSError, queue.Full):
            try:
                sink = self._numbers.register(description)
                self._write(sink, b"", {frame.label(frame.DESCRIPTION, sink)}, nested)
            finally:
                self._leave(nested)

    def append(self, items: bytes, labels: set[bytes]) -> None:
        """Append frames of one sink, which have these labels (see `frame`).

        Raises:
            Shut: nothing more is taken.
            Torn: some of them have no room.
            queue.Full: none of them has.
            OSError: the spool cannot be written at all.
        """
        nested = self.is_nested()
        with self._lock:
            try:
                if self._shut:
                    raise Shut
                self._write(frame.sink_of(items), items, labels, nested)
            except OSError as error:
                where = f"cannot write to the spool {self._directory.path}"
                reason = error.strerror or str(error)
                raise OSError(error.errno, f"{where} ({reason})") from None
            finally:
                self._leave(nested)

    def drop(self, item: bytes) -> None:
        """Count a frame that had no room."""
        nested, sink = self.is_nested(), frame.sink_of(item)
        with self._lock:
            self._drops.add(sink, self._numbers.description_of(sink))
            self._leave(nested)

    def _leave(self, nested: bool) -> None:
        """Do what is due at the end of a call, unless that interrupts another one."""
        while (self.tails.changed or self._drops.changed) and not nested:
            self.tails.let_go()
            self._drops.save()

    def _write(self, sink: int, items: bytes, labels: set[bytes], nested: bool) -> None:
        """Append frames to a segment of their sink's slot.

        A nested call goes on to another segment only if it must, as behind a part of what the
        other one writes. Should both write the description of the sink, it stands there twice: no
        harm.
        """
        slot = self.tails.slot_of(sink)
        while True:
            tail = self.tails.current(slot)
            while tail is None or not tail.takes(0 if nested else len(items)):
                tail = self._next_segment(slot, len(items), nested)
            if nested and not tail.is_whole():
                self.tails.finish(tail)
                continue
            begins = not tail.size
            new = labels - tail.introduced
            data = self._numbers.introduction(tail, sink, new) + items if new else items
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
            self.tails.finish(tail)
            _refuse_torn(items, written - (len(data) - len(items)))
            if begins and written < len(data):
                self._room.refuse(slot)

    def _next_segment(self, slot: int, length: int, nested: bool) -> Tail:
        """Make a segment for a slot, with room for frames of so many bytes."""
        old, tag = self.tails.current(slot), tag_of(self._numbers.description_of(slot))
        room, capacity = self._room.look(slot, tag)
        if not room and old is not None:  # only when it is let go the reader can remove it
            self.tails.finish(old)
        if room < max(length, 1):
            raise queue.Full
        name = f"{self._name}-{tag}-{next(self._segment_numbers)}"
        try:
            new = Tail(self._directory, self.uid, name, slot, capacity)
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._room.refuse(slot)
            if old is not None:
                if error.errno in NO_DESCRIPTOR and old.stretch(length):
                    return old
                self.tails.finish(old)
            if error.errno in NO_DESCRIPTOR and not nested and self.tails.spare_one():
                return self._next_segment(slot, length, nested)
            raise
        self._room.had(slot)
        self._drops.changed = True  # what had no room may have some now
        return self.tails.add(new)

    def shut(self) -> None:
        """Take nothing more."""
        with self._lock:
            self._shut = True
        self.close()

    def close(self) -> None:
        """Let go of the segments, so that the reader sees that they are complete."""
        nested = self.is_nested()
        with self._lock:
            self.tails.finish_all()
            self._drops.finish_all()
            self._leave(nested)

    def after_fork_in_child(self, uid: int) -> None:
        """Become the child's own; called before it can log."""
        if not self.is_nested():  # else the call that the fork interrupts goes on here, too
            self.tails.abandon()
        self._drops.abandon()
        self._begin(uid)


def _refuse_torn(items: bytes, written: int) -> None:
    """Raise `Torn` if some of several frames are written, but not all: they must not come twice."""
    if written < frame.HEADER_SIZE:
        return
    whole = 0
    for one in frame.split(items):
        if whole + len(one) > written:
            break
        whole += len(one)
    if 0 < whole < len(items):
        raise Torn([*frame.split(items[whole:])])
