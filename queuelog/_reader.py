"""The reading end of the spool, in the process that owns it.

`read` merges what all writers have appended behind given offsets, without changing anything; the
same offsets give the same entries again, which is what recovery needs. `release` removes segments
that have been dealt with. A segment is complete when its writer's lock is gone (see _writer).
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import resource
import select
import stat
import time
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from queuelog import _frame
from queuelog._native import native
from queuelog._report import report
from queuelog._spool import FileLock, SpoolDirectory, Target

BATCH_SIZE = 1 << 18  # bytes that one batch takes from one writer ...
MOST_OF_ALL = 1 << 22  # ... and from all together, about: a fork may have to wait for it
LEAST = 1 << 12  # bytes that it takes from each writer, however many there are
HOLD = 10.0  # seconds for which a writer with a backlog may hold up later records of the others
STALE = 60.0  # seconds after which nobody is about to write to an empty segment

Offsets = dict[str, int]  # segment, as "<uid>/<name>" -> offset in bytes


class Batch(NamedTuple):
    """Items of all writers by target and frame kind, and the offsets behind them.

    The items of one target are in order by writer, not yet by time. `more` says that further ones
    were there already, so that no pause is due.
    """

    items: dict[tuple[Target, int], list[_frame.Item]]
    ends: Offsets
    more: bool


class _Segment:
    """A segment that is being read."""

    __slots__ = ("complete", "corrupt", "fd", "known", "name", "targets", "trusted")

    def __init__(self, name: str, fd: int, trusted: bool) -> None:
        self.name = name
        self.fd = fd
        self.trusted = trusted
        self.complete = False  # nothing can be appended any more
        self.corrupt = False  # nothing that is appended can be read any more
        self.targets: dict[int, Target] = {}
        self.known = 0  # descriptions before this offset are in targets

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def is_complete(self) -> bool:
        if not self.complete:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.complete = True
        return self.complete


class _Part(NamedTuple):
    """What one batch takes from one segment, by tag; `late` as in `_frame.Scan`."""

    segment: _Segment
    items: dict[int, list[_frame.Item]]
    end: int
    late: bool


class SpoolReader:
    """The queue as the listener sees it. One thread uses it, once `own` has returned True.

    `limit` is the backlog limit in bytes; a frame that claims to be longer is a lie.
    """

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self.directory = directory
        self._limit = limit
        self._lock = FileLock(directory.lock)
        self._bell = -1
        self._segments: dict[str, _Segment] = {}
        self._holding_since = 0.0  # 0 while nobody holds up the others
        self._open: Counter[str] = Counter()  # segments, by user
        # For each of two users, descriptors for more segments than any sane server has.
        self._most = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3)

    @property
    def owned(self) -> bool:
        return self._lock.held

    def own(self) -> bool:
        """Try to become the owner of the spool; return whether this process is it."""
        if not self.owned and self._lock.acquire(f"process {os.getpid()}"):
            self._open_bell()
        return self.owned

    def is_crowded(self) -> bool:
        """Tell if half of the backlog limit is reached."""
        return self.directory.backlog()[1] > self._limit / 2

    def _open_bell(self) -> None:
        self._close_bell()
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        self._bell = os.open(self.directory.bell, flags)

    def _close_bell(self) -> None:
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1

    def mend(self) -> bool:
        """Make again what somebody has removed: the directory, or something in it.

        Returns:
            whether this process is the owner still: another one may have taken the new lock.
        """
        there = all(os.path.isdir(self.directory.incoming(uid)) for uid in self.directory.uids)
        if there and os.fstat(self._bell).st_nlink and not self._lock.is_removed():
            return True
        path = self.directory.path
        report("spool-removed", f"{path} was removed, in whole or in part: it is made again")
        self.directory.create()
        if self._lock.is_removed():
            self._lock.release()
        if self.own():
            self._open_bell()
        return self.owned

    def remove_stale(self) -> None:
        """Remove empty segments of writers that ended before they wrote anything."""
        for uid, name in self.directory.segments():
            path = os.path.join(self.directory.incoming(uid), name)
            with contextlib.suppress(OSError):
                found = os.lstat(path)
                if found.st_size == 0 and time.time() - found.st_mtime > STALE:
                    _remove_if_let_go(path)

    def wait(self, wake: int, timeout: float, *, bell: bool) -> None:
        """Wait until descriptor `wake` is readable or, with `bell`, until a writer rings."""
        poll = native("select", "poll")()
        poll.register(wake, select.POLLIN)
        if bell and self._bell >= 0:
            poll.register(self._bell, select.POLLIN)
        for fd, _ in poll.poll(timeout * 1000):
            if fd == self._bell:
                with contextlib.suppress(OSError):
                    os.read(fd, 1 << 16)

    def read(self, start: Offsets, stop: Offsets | None = None, room: float = BATCH_SIZE) -> Batch:
        """Return what was written behind the offsets `start`, up to `stop` if that is given.

        Segments that `start` does not name are read from their beginning; with `stop`, those that
        it does not name are not read at all. `room` is how many bytes to take from one writer,
        about. To get a batch again, read from its start to its ends with `room=math.inf`.
        """
        names = self._names() if stop is None else stop
        groups = groupby(sorted(names, key=_order), key=_writer)
        writers = sorted((list(group) for _, group in groups), key=_started)
        if room < math.inf:
            room = min(room, max(LEAST, MOST_OF_ALL // max(1, len(writers))))
        # Where a writer has more than was taken, later items of the others must wait for it, or a
        # backlog would be written out of order: the batch ends at the earliest such point. But not
        # for ever: a writer that is flooded with old records must not silence the others.
        until = _frame.FOREVER
        streams: list[tuple[list[str], list[_Part]]] = []
        more = False
        for names in writers:
            if _started(names) > until:  # and so are all that follow
                more = True
                break
            parts, full, late = self._read_writer(names, start, stop, room, until)
            streams.append((names, parts))
            more |= full or late
            if full and self._may_hold():
                until = min(until, _latest(parts))
        if stop is None and not more:
            self._holding_since = 0.0
        kept = [
            parts
            if _latest(parts) <= until
            else self._read_writer(names, start, stop, room, until)[0]
            for names, parts in streams
        ]
        return _merge([part for parts in kept for part in parts], more=more)

    def _may_hold(self) -> bool:
        self._holding_since = self._holding_since or time.monotonic()
        return time.monotonic() - self._holding_since < HOLD

    def _names(self) -> Iterable[str]:
        # Also segments that somebody removed from the directory: while they are open, nothing of
        # them is lost.
        found = self.directory.segments()
        return {f"{uid}/{name}" for uid, name in found} | self._segments.keys()

    def _read_writer(
        self,
        names: list[str],
        start: Offsets,
        stop: Offsets | None,
        room: float,
        until: float = _frame.FOREVER,
    ) -> tuple[list[_Part], bool, bool]:
        """Read one writer's segments in order.

        Also tell if there was no room for more, and if something is later than `until`.
        """
        parts: list[_Part] = []
        for name in names:
            segment = self._segment(name)
            if segment is None:
                continue
            offset = start.get(name, 0)
            limit = None if stop is None else stop[name]
            part = self._read_segment(segment, offset, limit, room, until)
            if part.end > offset:
                parts.append(part)
            room -= part.end - offset
            done = self._is_done(segment, part.end) if limit is None else part.end >= limit
            if room <= 0 or part.late:
                return parts, room <= 0, part.late
            if not done:
                break
        return parts, False, False

    def _is_done(self, segment: _Segment, end: int) -> bool:
        """Tell if all was read and nothing can follow: the size counts after the lock is gone."""
        return end == segment.size() and segment.is_complete() and end == segment.size()

    def _read_segment(
        self, segment: _Segment, start: int, stop: int | None, room: float, until: float
    ) -> _Part:
        """Read frames from `start` on: about `room` bytes, and up to `stop` at most."""
        if start > segment.known:
            self._scan(segment, segment.known, start)
        size = segment.size() if stop is None else stop
        items: dict[int, list[_frame.Item]] = {}
        end, late = start, False
        while end < size and end - start < room and not late:
            before = end
            found, end, late = self._scan(segment, end, min(size, end + BATCH_SIZE), until)
            if end == before:
                break
            for tag, more in found.items():
                items.setdefault(tag, []).extend(more)
        if end == start and not late:
            end = self._skip_torn_tail(segment, end, size) if stop is None else stop
        return _Part(segment, items, end, late)

    def _skip_torn_tail(self, segment: _Segment, end: int, size: int) -> int:
        """Nothing whole is left: pass over what a writer began, if it is dead."""
        if segment.is_complete() and segment.size() == size:
            return size
        return end

    def _scan(
        self, segment: _Segment, start: int, stop: int, until: float = _frame.FOREVER
    ) -> tuple[dict[int, list[_frame.Item]], int, bool]:
        """Return the items between two offsets by tag, the end, and if a late one ended it.

        Descriptions are noted down in the segment instead.
        """
        if segment.corrupt:
            return {}, stop, False
        scan = _frame.scan(os.pread(segment.fd, stop - start, start), self._limit, start, until)
        if scan.needed > stop - start and not scan.corrupt:
            data = os.pread(segment.fd, scan.needed, start)
            scan = _frame.scan(data, self._limit, start, until)
        items, skipped = scan.items, scan.skipped
        for tag in list(items):
            kind, sink = _frame.split_tag(tag)
            if kind == _frame.DESCRIPTION:
                target = Target(items.pop(tag)[0][1], segment.trusted)
                segment.targets.setdefault(sink, target)
        for tag in list(items):
            if _frame.split_tag(tag)[1] not in segment.targets:
                skipped += len(items.pop(tag))
        if skipped or scan.corrupt:
            what = "the rest of it" if scan.corrupt else f"{skipped} damaged frames"
            report("spool-damaged", f"passed over {what} in segment {segment.name}")
        segment.corrupt = scan.corrupt
        end = stop if scan.corrupt else scan.end
        segment.known = max(segment.known, end)
        return items, end, scan.late

    def _segment(self, name: str) -> _Segment | None:
        """Open a segment, if it is one: a regular file of the right user, and under one name."""
        if name in self._segments:
            return self._segments[name]
        user, _, _ = name.partition("/")
        uid = int(user)
        if self._open[user] >= self._most:
            report("spool-crowded", f"{self._most} segments are open: further ones wait for them")
            return None
        path = self.directory.segment(name)
        # O_NONBLOCK: opening a FIFO that a hostile worker put there would wait for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(path, flags)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                report("spool-refused", f"cannot read segment {path}: {error.strerror}")
            return None
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid or found.st_nlink != 1:
            os.close(fd)
            report("spool-refused", f"refused {path}: not a plain file of user {uid} with one name")
            return None
        segment = _Segment(name, fd, trusted=uid == self.directory.owner_uid)
        if found.st_size == 0:  # its writer is about to lock it, or died before it wrote anything
            os.close(fd)
            return None
        self._segments[name] = segment
        self._open[user] += 1
        return segment

    def release(self, cursors: Iterable[Offsets]) -> set[str]:
        """Remove the segments that are complete and that every cursor has behind it.

        Returns:
            the names of the removed segments.
        """
        positions = list(cursors)
        removed = set()
        for name, segment in list(self._segments.items()):
            if segment.complete:
                size = segment.size()
                if all(offsets.get(name, 0) >= size for offsets in positions):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self.directory.segment(name))
                    os.close(segment.fd)
                    del self._segments[name]
                    self._open[name.partition("/")[0]] -= 1
                    removed.add(name)
        return removed

    def close(self) -> None:
        """Give the spool up; in a forked child, let go of what was inherited."""
        for segment in self._segments.values():
            os.close(segment.fd)
        self._segments.clear()
        self._open.clear()
        self._close_bell()
        self._lock.release()


def _remove_if_let_go(path: str) -> None:
    """Remove an empty segment, unless its writer lives: it found no room for a line."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_size == 0:
            os.unlink(path)
    finally:
        os.close(fd)


def _latest(parts: list[_Part]) -> float:
    created = (at for part in parts for items in part.items.values() for at, _ in items)
    return max(created, default=0.0)


def _started(names: list[str]) -> float:
    """Return when the writer of these segments began: none of its records is older."""
    return int(_writer(names[0]).rpartition("-")[2]) / 1e9


def _writer(name: str) -> str:
    return name.rpartition("-")[0]


def _order(name: str) -> tuple[str, int]:
    return _writer(name), int(name.rpartition("-")[2])


def _merge(parts: list[_Part], *, more: bool) -> Batch:
    merged: dict[tuple[Target, int], list[_frame.Item]] = {}
    for segment, by_tag, _, _ in parts:
        for tag, items in by_tag.items():
            kind, sink = _frame.split_tag(tag)
            merged.setdefault((segment.targets[sink], kind), []).extend(items)
    return Batch(merged, {part.segment.name: part.end for part in parts}, more)
