"""The segments of all writers, as they are being read; nothing that is in them is trusted.

A segment is complete when its writer's lock is gone (see `writer`): nothing can follow then, and it
is removed when all that read it have passed it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from queuelog.base import Descriptor, User, opened, report
from queuelog.base.locks import is_locked
from queuelog.spool import frame
from queuelog.spool.directory import Offsets, SpoolDirectory, Target, is_plain

CHUNK = 1 << 18  # bytes that are scanned at once
STALE = 60.0  # seconds after which nobody is about to write a segment's header
HEADER_SIZE = len(frame.SEGMENT_HEADER)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Part(NamedTuple):
    """What is taken from one segment, items by tag, up to the offset `end`; `late` as in a scan.

    `done` says that nothing is behind, or can follow.
    """

    segment: Segment
    items: dict[int, list[frame.Item]]
    end: int
    late: bool
    done: bool = False

    def latest(self) -> float:
        """Return the time of the latest item; 0.0 if there is none."""
        return max((at for items in self.items.values() for at, _ in items), default=0.0)


class Segment(Descriptor):
    """A segment that is being read. `limit` is the length in bytes that no frame can have."""

    def __init__(self, name: str, fd: int, limit: int, user: User | None) -> None:
        self.name = name
        self.fd = fd
        self.user = user  # None: the owner
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
        self.complete = self.complete or not is_locked(self.fd)
        return self.complete

    def ends_at(self, offset: int) -> bool:
        """Tell if nothing is behind `offset`, or can follow: the size counts without the lock."""
        return offset == self.size() and self.is_complete() and offset == self.size()

    def read(self, start: int, stop: int | None, room: float, until: float = frame.FOREVER) -> Part:
        """Take about `room` bytes behind `start`, up to the first that was created after `until`.

        With a `stop`, the end of an earlier read, nothing behind that; without, all that is there.
        A torn end of a dead writer is passed over.
        """
        end = self.size() if stop is None else stop
        part = self._take(start, end, room, until)
        stuck = part.end == start and not part.late
        if stuck and (stop is not None or self.ends_at(end)):
            part = part._replace(end=end)
        return part._replace(done=self.ends_at(part.end) if stop is None else part.end >= stop)

    def _take(self, start: int, stop: int, room: float, until: float) -> Part:
        if start > self._known:  # the process that read the beginning was another one
            self._scan(self._known, start)
        items: dict[int, list[frame.Item]] = {}
        before, end, late = -1, start, False
        while before < end < stop and end - start < room and not late:
            found = self._scan(end, min(stop, end + CHUNK), until)
            before, end, late = end, found.end, found.late
            for tag, more in found.items.items():
                items.setdefault(tag, []).extend(more)
        return Part(self, items, end, late)

    def _scan(self, start: int, stop: int, until: float = frame.FOREVER) -> frame.Scan:
        """Scan between two offsets. Descriptions become targets; without one, items are skipped."""
        if self._corrupt:
            return frame.Scan({}, stop, 0, 0, corrupt=True, late=False)
        scan = frame.scan(os.pread(self.fd, stop - start, start), self._limit, start, until)
        if scan.needed > stop - start and not scan.corrupt:
            data = os.pread(self.fd, scan.needed, start)
            scan = frame.scan(data, self._limit, start, until)
        items, skipped = scan.items, scan.skipped
        for tag in list(items):
            kind, sink = frame.split_tag(tag)
            if kind == frame.DESCRIPTION:
                self.targets.setdefault(sink, Target(items.pop(tag)[0][1], self.user))
            elif kind == frame.VERSION:
                del items[tag]
        for tag in list(items):
            if frame.split_tag(tag)[1] not in self.targets:
                skipped += len(items.pop(tag))
        if skipped or scan.corrupt:
            what = "the rest of it" if scan.corrupt else f"{skipped} damaged frames"
            report("spool-damaged", f"passed over {what} in segment {self.name}")
        self._corrupt = scan.corrupt
        scan = scan._replace(end=stop if scan.corrupt else scan.end)
        self._known = max(self._known, scan.end)
        return scan

    def distrust(self) -> None:
        """Pass over all of it: it does not even begin as a segment does."""
        report("spool-damaged", f"passed over segment {self.name}, which is none")
        self._corrupt = True


class Segments:
    """All segments of a spool by name; those that are being read are open.

    Also those are read that somebody has removed from the directory: while they are open, nothing
    of them is lost. `limit` is the backlog limit in bytes; a frame that claims to be longer is a
    lie. `most` is how many may be open for one user; two users leave a third of the descriptors.
    """

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._open: dict[str, Segment] = {}
        self._count: Counter[int] = Counter()  # of the open ones, by user
        self.left_alone: dict[str, int] = {}  # size in bytes
        self.most = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3)

    def names(self) -> Iterable[str]:
        """Return the name of every segment, as in `Offsets`."""
        return {f"{uid}/{name}" for uid, name in self._directory.segments()} | self._open.keys()

    def get(self, name: str) -> Segment | None:
        """Open a segment, if it is one and there is a descriptor for it; else report why not."""
        if name not in self._open and self._count[_uid(name)] >= self.most:
            report("spool-crowded", f"{self.most} segments are open: further ones wait for them")
            return None
        try:
            return self.get_again(name)
        except OSError as error:
            report("spool-refused", f"cannot read a segment, for now: {error}")
            return None

    def get_again(self, name: str) -> Segment | None:
        """Open a segment that was read before, however many are open; None if it is none any more.

        It is a regular file of the right user, under one name, which begins with the header.

        Raises:
            OSError: it is there, and cannot be opened now.
        """
        if name in self._open or name in self.left_alone:
            return self._open.get(name)
        uid = _uid(name)
        path = self._directory.segment(name)
        try:
            fd = os.open(path, _READ)  # not blocking: a hostile worker may have put a FIFO there
        except FileNotFoundError:
            return None
        except OSError:
            if is_plain(os.lstat(path), uid):
                raise
            report("spool-refused", f"refused {path}: not a plain file of user {uid}")
            return None
        user = self._directory.user(uid, os.fstat(fd).st_gid)
        segment = Segment(name, fd, self._limit, user)
        with contextlib.ExitStack() as refused:
            refused.callback(segment.close)
            if self._is_acceptable(segment, path, uid):
                refused.pop_all()
                self._open[name] = segment
                self._count[uid] += 1
        return self._open.get(name)

    def _is_acceptable(self, segment: Segment, path: str, uid: int) -> bool:
        found = os.fstat(segment.fd)
        if not is_plain(found, uid):
            report("spool-refused", f"refused {path}: not a plain file of user {uid} with one name")
            return False
        if found.st_size < HEADER_SIZE:  # its writer is about to write that, or died before
            return False
        if os.pread(segment.fd, HEADER_SIZE, 0) == frame.SEGMENT_HEADER:
            return True
        if segment.user is None:
            self.left_alone[segment.name] = found.st_size
            report(
                "format",
                f"segment {path} is left alone: it is damaged, or another version of queuelog "
                f"wrote it (this one reads format {frame.FORMAT}). Start that version once, to "
                f"write its records, or remove it",
            )
            return False
        segment.distrust()  # a stranger could fill the spool for ever with such
        return True

    def release(self, positions: list[Offsets]) -> set[str]:
        """Remove the segments that are complete and that all of `positions` have behind them.

        Returns:
            the names of the removed segments.
        """
        complete = [segment for segment in self._open.values() if segment.complete]
        passed = [s.name for s in complete if s.size() <= min(o.get(s.name, 0) for o in positions)]
        for name in passed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._directory.segment(name))
            self._open.pop(name).close()
            self._count[_uid(name)] -= 1
        return set(passed)

    def remove_stale(self) -> None:
        """Remove the segments of writers that ended before they wrote the header.

        And forget those that were left alone, and that somebody has removed since.
        """
        exists, path_of = os.path.lexists, self._directory.segment
        left = self.left_alone.items()
        self.left_alone = {name: size for name, size in left if exists(path_of(name))}
        for uid, name in self._directory.segments():
            path = os.path.join(self._directory.incoming(uid), name)
            with contextlib.suppress(OSError), opened(path, _READ) as fd:
                found = os.fstat(fd)
                stale = found.st_size < HEADER_SIZE and time.time() - found.st_mtime > STALE
                # Unless its writer lives, and is about to write the header.
                if stale and not is_locked(fd) and os.fstat(fd).st_size < HEADER_SIZE:
                    os.unlink(path)

    def close(self) -> None:
        """Close all; in a forked child, let go of what was inherited."""
        for segment in self._open.values():
            segment.close()
        self._open.clear()
        self._count.clear()


def _uid(name: str) -> int:
    return int(name.partition("/")[0])
