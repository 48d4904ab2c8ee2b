"""The segments of all writers, as they are being read; nothing that is in them is trusted.

A segment is complete when its writer's lock is gone (see `writer`): nothing can follow then, and it
is removed when all that read it have passed it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import stat
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from queuelog.base import report
from queuelog.spool import frame
from queuelog.spool.directory import Offsets, SpoolDirectory, Target

CHUNK = 1 << 18  # bytes that are scanned at once
STALE = 60.0  # seconds after which nobody is about to write a segment's header
HEADER_SIZE = len(frame.SEGMENT_HEADER)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Part(NamedTuple):
    """What is taken from one segment, items by tag, up to the offset `end`; `late` as in a scan."""

    segment: Segment
    items: dict[int, list[frame.Item]]
    end: int
    late: bool

    def latest(self) -> float:
        """Return the time of the latest item; 0.0 if there is none."""
        return max((at for items in self.items.values() for at, _ in items), default=0.0)


class Segment:
    """A segment that is being read. `limit` is the length in bytes that no frame can have."""

    __slots__ = ("_corrupt", "_known", "_limit", "complete", "fd", "name", "targets", "trusted")

    def __init__(self, name: str, fd: int, limit: int, *, trusted: bool) -> None:
        self.name = name
        self.fd = fd
        self.trusted = trusted
        self.targets: dict[int, Target] = {}
        self._limit = limit
        self.complete = False  # nothing can be appended any more, as far as we know
        self._corrupt = False  # nothing that is appended can be read any more
        self._known = 0  # descriptions before this offset are in targets

    def size(self) -> int:
        """Return the size in bytes."""
        return os.fstat(self.fd).st_size

    def is_complete(self) -> bool:
        """Tell if the writer has let go of it."""
        if not self.complete:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.complete = True
        return self.complete

    def is_done(self, end: int) -> bool:
        """Tell if all was read and nothing can follow: the size counts after the lock is gone."""
        return end == self.size() and self.is_complete() and end == self.size()

    def read(self, start: int, room: float, until: float) -> Part:
        """Take about `room` bytes behind `start`, up to the first that was created after `until`.

        A torn end of a dead writer is passed over.
        """
        size = self.size()
        part = self._read(start, size, room, until)
        if part.end == start and not part.late and self.is_complete() and self.size() == size:
            return part._replace(end=size)
        return part

    def read_to(self, start: int, stop: int, room: float, until: float = frame.FOREVER) -> Part:
        """Take about `room` bytes between `start` and `stop`, both the ends of earlier reads."""
        part = self._read(start, stop, room, until)
        return part._replace(end=stop) if part.end == start and not part.late else part

    def _read(self, start: int, stop: int, room: float, until: float) -> Part:
        if start > self._known:  # the process that read the beginning was another one
            self._scan(self._known, start)
        items: dict[int, list[frame.Item]] = {}
        end, late = start, False
        while end < stop and end - start < room and not late:
            before = end
            found, end, late = self._scan(end, min(stop, end + CHUNK), until)
            if end == before:
                break
            for tag, more in found.items():
                items.setdefault(tag, []).extend(more)
        return Part(self, items, end, late)

    def _scan(
        self, start: int, stop: int, until: float = frame.FOREVER
    ) -> tuple[dict[int, list[frame.Item]], int, bool]:
        """Return the items between two offsets by tag, the end, and if a late one ended it.

        Descriptions become targets instead.
        """
        if self._corrupt:
            return {}, stop, False
        scan = frame.scan(os.pread(self.fd, stop - start, start), self._limit, start, until)
        if scan.needed > stop - start and not scan.corrupt:
            data = os.pread(self.fd, scan.needed, start)
            scan = frame.scan(data, self._limit, start, until)
        items, skipped = scan.items, scan.skipped
        for tag in list(items):
            kind, sink = frame.split_tag(tag)
            if kind == frame.DESCRIPTION:
                self.targets.setdefault(sink, Target(items.pop(tag)[0][1], self.trusted))
            elif kind == frame.VERSION:
                del items[tag]
        for tag in list(items):
            if frame.split_tag(tag)[1] not in self.targets:
                skipped += len(items.pop(tag))
        if skipped or scan.corrupt:
            what = "the rest of it" if scan.corrupt else f"{skipped} damaged frames"
            report("spool-damaged", f"passed over {what} in segment {self.name}")
        self._corrupt = scan.corrupt
        end = stop if scan.corrupt else scan.end
        self._known = max(self._known, end)
        return items, end, scan.late

    def distrust(self) -> None:
        """Pass over all of it: it does not even begin as a segment does."""
        report("spool-damaged", f"passed over segment {self.name}, which is none")
        self._corrupt = True


class Segments:
    """All segments of a spool by name; those that are being read are open.

    Also those are read that somebody has removed from the directory: while they are open, nothing
    of them is lost. `limit` is the backlog limit in bytes; a frame that claims to be longer is a
    lie. At most so many are open for each user, that two users leave some descriptors.
    """

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._open: dict[str, Segment] = {}
        self._count: Counter[str] = Counter()  # of the open ones, by user
        self.left_alone: dict[str, int] = {}  # size in bytes
        self.most = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3)

    def names(self) -> Iterable[str]:
        """Return the name of every segment, as in `Offsets`."""
        return {f"{uid}/{name}" for uid, name in self._directory.segments()} | self._open.keys()

    def get(self, name: str) -> Segment | None:
        """Open a segment, if it is one and there is a descriptor for it; else report why not.

        It is a regular file of the right user, under one name, which begins with the header.
        """
        if name in self._open:
            return self._open[name]
        user = name.partition("/")[0]
        if self._count[user] >= self.most:
            report("spool-crowded", f"{self.most} segments are open: further ones wait for them")
            return None
        if name in self.left_alone:
            return None
        path = self._directory.segment(name)
        try:
            fd = os.open(path, _READ)  # not blocking: a hostile worker may have put a FIFO there
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                report("spool-refused", f"cannot read segment {path}: {error.strerror}")
            return None
        segment = None
        try:
            segment = self._accept(name, fd)
        finally:
            if segment is None:
                os.close(fd)
        if segment is not None:
            self._open[name] = segment
            self._count[user] += 1
        return segment

    def _accept(self, name: str, fd: int) -> Segment | None:
        found, uid = os.fstat(fd), int(name.partition("/")[0])
        path = self._directory.segment(name)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != uid or found.st_nlink != 1:
            report("spool-refused", f"refused {path}: not a plain file of user {uid} with one name")
            return None
        if found.st_size < HEADER_SIZE:  # its writer is about to write that, or died before
            return None
        trusted = uid == self._directory.owner_uid
        segment = Segment(name, fd, self._limit, trusted=trusted)
        if os.pread(fd, HEADER_SIZE, 0) != frame.SEGMENT_HEADER:
            if trusted:
                self.left_alone[name] = found.st_size
                report(
                    f"format {path}",
                    f"segment {path} is left alone: it is damaged, or another version of queuelog "
                    f"wrote it (this one reads format {frame.FORMAT}). Start that version once, to "
                    f"write its records, or remove it",
                )
                return None
            segment.distrust()  # a stranger could fill the spool for ever with such
        return segment

    def release(self, positions: list[Offsets]) -> set[str]:
        """Remove the segments that are complete and that all of `positions` have behind them.

        Returns:
            the names of the removed segments.
        """
        removed = set()
        for name, segment in list(self._open.items()):
            if segment.complete:
                size = segment.size()
                if all(offsets.get(name, 0) >= size for offsets in positions):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self._directory.segment(name))
                    os.close(segment.fd)
                    del self._open[name]
                    self._count[name.partition("/")[0]] -= 1
                    removed.add(name)
        return removed

    def remove_stale(self) -> None:
        """Remove the segments of writers that ended before they wrote the header.

        And forget those that were left alone, and that somebody has removed since.
        """
        exists, path_of = os.path.lexists, self._directory.segment
        left = self.left_alone.items()
        self.left_alone = {name: size for name, size in left if exists(path_of(name))}
        for uid, name in self._directory.segments():
            path = os.path.join(self._directory.incoming(uid), name)
            with contextlib.suppress(OSError):
                found = os.lstat(path)
                if found.st_size < HEADER_SIZE and time.time() - found.st_mtime > STALE:
                    _remove_if_let_go(path)

    def close(self) -> None:
        """Close all; in a forked child, let go of what was inherited."""
        for segment in self._open.values():
            os.close(segment.fd)
        self._open.clear()
        self._count.clear()


def _remove_if_let_go(path: str) -> None:
    """Remove a segment without a header, unless its writer lives, and is about to write that."""
    fd = os.open(path, _READ)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_size < HEADER_SIZE:
            os.unlink(path)
    finally:
        os.close(fd)
