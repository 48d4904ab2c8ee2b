"""One segment that is being read; nothing that is in it is trusted."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

from queuelog.base import Descriptor, User, is_locked, report
from queuelog.spool import frame
from queuelog.spool.directory import Target

CHUNK = 1 << 18  # bytes that are scanned at once, at most ...
_LEAST = 1 << 12  # ... and at least


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
    """A segment that is being read, open or not.

    `limit` is the length in bytes that no frame can have.
    """

    def __init__(self, name: str, fd: int, limit: int, user: User | None) -> None:
        self.name = name
        self.fd = fd
        self.file = os.fstat(fd)
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

    def sinks(self) -> Collection[Target]:
        """Return what is described in it, as far as it was read, or all that is there."""
        if not self.targets and self.is_open:
            # What somebody has read before may have been described anywhere.
            before, end = -1, self.size()
            while before < self._known < end:
                before = self._known
                self._scan(before, min(end, before + CHUNK))
        return self.targets.values()

    def read(self, start: int, stop: int | None, room: int, until: float = frame.FOREVER) -> Part:
        """Take about `room` bytes behind `start`, up to the first that was created after `until`.

        With a `stop`, the end of an earlier read, nothing behind that; without, all that is there.
        A torn end of a dead writer is passed over.
        """
        whole = stop is not None or self.is_complete()  # first: the size counts without the lock
        end = self.size() if stop is None else stop
        part = self._take(start, end, room, until)
        if whole and part.end == start and not part.late:
            part = part._replace(end=end)
        return part._replace(done=whole and part.end >= end)

    def _take(self, start: int, stop: int, room: int, until: float) -> Part:
        if start > self._known:  # the process that read the beginning was another one
            self._scan(self._known, min(start, stop))  # what a name says may be anything
        items: dict[int, list[frame.Item]] = {}
        before, end, late = -1, start, False
        chunk = min(CHUNK, max(room, _LEAST))
        while before < end < stop and end - start < room and not late:
            found = self._scan(end, min(stop, end + chunk), until)
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
                items.setdefault(frame.tag(frame.LINE, sink), [])  # it may be introduced only
            elif kind in (frame.VERSION, frame.SOURCE):
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
