"""The reading end of the spool, in the process that owns it.

`read` merges what all writers have appended behind given offsets, without changing anything; the
same offsets give the same entries again, which is what recovery needs. `release` removes segments
that have been dealt with. A segment is complete when its writer's lock is gone (see _writer).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from queuelog import _frame
from queuelog._native import native
from queuelog._report import report
from queuelog._spool import FileLock, SpoolDirectory

BATCH_SIZE = 1 << 18  # bytes that one batch takes from one writer

Offsets = dict[str, int]  # segment, as "<uid>/<name>" -> offset in bytes


class Target(NamedTuple):
    """Where an entry shall go: its sink's description, and whether its writer is trusted."""

    description: bytes
    trusted: bool


Entry = tuple[float, Target, int, bytes]  # created, target, frame kind, payload


class Batch(NamedTuple):
    """Entries of all writers in order of `created`, and the offsets behind them.

    `more` says that further entries were there already, so that no pause is due.
    """

    entries: list[Entry]
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
    """What one batch takes from one segment."""

    segment: _Segment
    frames: list[_frame.Frame]
    end: int


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

    @property
    def owned(self) -> bool:
        return self._lock.held

    def own(self) -> bool:
        """Try to become the owner of the spool; return whether this process is it."""
        if not self.owned and self._lock.acquire(f"process {os.getpid()}"):
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
            self._bell = os.open(self.directory.bell, flags)
        return self.owned

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
        writers = [list(group) for _, group in groupby(sorted(names, key=_order), key=_writer)]
        streams = [self._read_writer(writer, start, stop, room) for writer in writers]
        return _merge(streams)

    def _names(self) -> Iterable[str]:
        # Also segments that somebody removed from the directory: while they are open, nothing of
        # them is lost.
        return {f"{uid}/{name}" for uid, name in self.directory.segments()} | self._segments.keys()

    def _read_writer(
        self, names: list[str], start: Offsets, stop: Offsets | None, room: float
    ) -> tuple[list[_Part], bool]:
        """Read one writer's segments in order; also tell if there is more than was taken."""
        parts: list[_Part] = []
        for name in names:
            segment = self._segment(name)
            if segment is None:
                continue
            offset = start.get(name, 0)
            limit = None if stop is None else stop[name]
            part = self._read_segment(segment, offset, limit, room)
            if part.end > offset:
                parts.append(part)
            room -= part.end - offset
            if room <= 0:
                return parts, True
            if not (self._is_done(segment, part.end) if limit is None else part.end >= limit):
                break
        return parts, False

    def _is_done(self, segment: _Segment, end: int) -> bool:
        """Tell if all was read and nothing can follow: the size counts after the lock is gone."""
        return end == segment.size() and segment.is_complete() and end == segment.size()

    def _read_segment(self, segment: _Segment, start: int, stop: int | None, room: float) -> _Part:
        """Read frames from `start` on: about `room` bytes, and up to `stop` at most."""
        if start > segment.known:
            self._scan(segment, segment.known, start)
        size = segment.size() if stop is None else stop
        frames: list[_frame.Frame] = []
        end = start
        while end < size and end - start < room:
            found, after = self._scan(segment, end, min(size, end + BATCH_SIZE))
            if after == end:
                break
            frames += found
            end = after
        if end == start and stop is None:
            end = self._skip_torn_tail(segment, end, size)
        return _Part(segment, frames, end if stop is None or frames or end > start else stop)

    def _skip_torn_tail(self, segment: _Segment, end: int, size: int) -> int:
        """Nothing whole is left: pass over what a writer began, if it is dead."""
        if segment.is_complete() and segment.size() == size:
            return size
        return end

    def _scan(self, segment: _Segment, start: int, stop: int) -> tuple[list[_frame.Frame], int]:
        """Return the frames between two offsets without the descriptions, which it notes down."""
        if segment.corrupt:
            return [], stop
        scan = _frame.scan(os.pread(segment.fd, stop - start, start), self._limit, start)
        if scan.needed > stop - start:
            scan = _frame.scan(os.pread(segment.fd, scan.needed, start), self._limit, start)
        skipped = scan.skipped
        frames = []
        for frame in scan.frames:
            if frame.kind == _frame.DESCRIPTION:
                target = Target(frame.payload, segment.trusted)
                segment.targets.setdefault(frame.sink, target)
            elif frame.sink in segment.targets:
                frames.append(frame)
            else:
                skipped += 1
        if skipped or scan.corrupt:
            what = "the rest of it" if scan.corrupt else f"{skipped} damaged frames"
            report("spool-damaged", f"passed over {what} in segment {segment.name}")
        segment.corrupt = scan.corrupt
        end = stop if scan.corrupt else scan.end
        segment.known = max(segment.known, end)
        return frames, end

    def _segment(self, name: str) -> _Segment | None:
        """Open a segment, if it is one: a regular file of the right user, and under one name."""
        if name in self._segments:
            return self._segments[name]
        uid = int(name.partition("/")[0])
        path = os.path.join(self.directory.path, name)
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
                        os.unlink(os.path.join(self.directory.path, name))
                    os.close(segment.fd)
                    del self._segments[name]
                    removed.add(name)
        return removed

    def close(self) -> None:
        """Give the spool up; in a forked child, let go of what was inherited."""
        for segment in self._segments.values():
            os.close(segment.fd)
        self._segments.clear()
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1
        self._lock.release()


def _writer(name: str) -> str:
    return name.rpartition("-")[0]


def _order(name: str) -> tuple[str, int]:
    return _writer(name), int(name.rpartition("-")[2])


def _merge(streams: list[tuple[list[_Part], bool]]) -> Batch:
    """Merge what was read of each writer by `created`.

    Where a writer has more than was taken, later entries of the others must wait for it, or a
    backlog would be written out of order: the batch ends at the earliest such point.
    """
    cutoff = min(
        (max(frame.created for part in parts for frame in part.frames)
         for parts, more in streams if more and any(part.frames for part in parts)),
        default=None,
    )  # fmt: skip
    entries: list[Entry] = []
    ends: Offsets = {}
    for parts, _ in streams:
        for segment, frames, end in parts:
            kept = len(frames) if cutoff is None else _prefix(frames, cutoff)
            targets = segment.targets
            entries += [
                (created, targets[sink], kind, payload)
                for created, _, sink, kind, payload in frames[:kept]
            ]
            if kept < len(frames):
                ends[segment.name] = _frame.start_of(frames[kept])
                break  # what this writer wrote later must stay behind it
            ends[segment.name] = end
    entries.sort(key=itemgetter(0))
    return Batch(entries, ends, cutoff is not None)


def _prefix(frames: list[_frame.Frame], cutoff: float) -> int:
    for index, frame in enumerate(frames):
        if frame.created > cutoff:
            return index
    return len(frames)
