"""The segments of all writers, as they are being read; nothing that is in them is trusted.

A segment is complete when its writer's lock is gone (see `writer`): nothing can follow then, and it
is removed when all that read it have passed it. However many there are, only some are open: they
are opened in turn.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Collection, Iterable

from queuelog.base import NO_DESCRIPTOR, is_locked, opened, report
from queuelog.spool import frame
from queuelog.spool.directory import SpoolDirectory, Target, is_plain
from queuelog.spool.segment import Segment

STALE = 60.0  # seconds after which nobody is about to write a segment's header
HEADER_SIZE = len(frame.SEGMENT_HEADER)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Segments:
    """All segments of a spool by name. `most` may be open at a time.

    Also those are read that somebody has removed from the directory: they stay open, and nothing
    of them is lost. `limit` is the backlog limit in bytes; a frame that claims to be longer is a
    lie.
    """

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self.directory = directory
        self.limit = limit
        self._open: dict[str, Segment] = {}  # the one that was used last comes last
        self._parked: dict[str, Segment] = {}  # closed for now
        self.unread: set[str] = set()  # names of those that could not be opened when it was tried
        self.left_alone: dict[str, int] = {}  # size in bytes
        self.most = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3)

    def names(self) -> Iterable[str]:
        """Return the name of every segment, as in `Offsets`."""
        return {f"{uid}/{name}" for uid, name in self.directory.segments()} | self._open.keys()

    def get(self, name: str) -> Segment | None:
        """Open a segment as `get_again` does, but if it cannot be opened now, only report it."""
        self.unread.discard(name)
        try:
            return self.get_again(name)
        except OSError as error:
            self.unread.add(name)
            report("spool-refused", f"cannot read a segment, for now: {error}")
            return None

    def get_again(self, name: str) -> Segment | None:
        """Open a segment; None if it is none. It stays open while `most` others are opened.

        It is a regular file of the right user, under one name, which begins with the header.

        Raises:
            OSError: it is there, and cannot be opened now.
        """
        if name in self._open:
            self._open[name] = self._open.pop(name)
        elif name not in self.left_alone:
            while len(self._open) >= self.most and self._park_one():
                pass
            self._get(name)
        return self._open.get(name)

    def _park_one(self) -> bool:
        """Close the segment that was used longest ago, of those that can be found again."""
        found = next((s for s in self._open.values() if s.is_there), None)
        if found is not None:
            self._parked[found.name] = self._open.pop(found.name)
            found.close()
        return found is not None

    def _get(self, name: str) -> None:
        path, uid = self.directory.segment(name), _uid(name)
        fd = self._open_file(path, uid)
        if fd < 0:
            return
        file = os.fstat(fd)
        segment = self._parked.pop(name, None)
        if segment is not None and os.path.samestat(segment.file, file):
            segment.fd = fd
        else:
            user = self.directory.users.rights_of(uid, file.st_gid)
            segment = Segment(name, fd, self.limit, user)
        with contextlib.ExitStack() as refused:
            refused.callback(segment.close)
            if self._is_acceptable(segment, path, uid):
                refused.pop_all()
                self._open[name] = segment

    def _open_file(self, path: str, uid: int) -> int:
        """Return a descriptor; -1 if there is nothing that could be a segment."""
        while True:
            try:
                return os.open(path, _READ)  # not blocking: it may be a hostile worker's FIFO
            except FileNotFoundError:
                return -1
            except OSError as error:
                if error.errno in NO_DESCRIPTOR and self._park_one():
                    continue
                if is_plain(os.lstat(path), uid):
                    raise
                report("spool-refused", f"refused {path}: not a plain file of user {uid}")
                return -1

    def sinks(self, name: str) -> Collection[Target] | None:
        """Return what is described in a segment, or None if that cannot be known now."""
        segment = self._open.get(name) or self._parked.get(name)
        if segment is None or not segment.targets:
            segment = self.get(name)
        return None if segment is None else segment.sinks()

    def _is_acceptable(self, segment: Segment, path: str, uid: int) -> bool:
        found = os.fstat(segment.fd)
        if not found.st_nlink and not found.st_size:  # its writer let go of it, unused
            return False
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

    def release(self, position: Callable[[str], int]) -> set[str]:
        """Remove the segments that are complete and that all who read them have behind them.

        `position` returns, for a name, the offset that all of them have reached.

        Returns:
            the names of the removed segments.
        """
        known = [*self._open.values(), *self._parked.values()]
        complete = [segment for segment in known if segment.complete]
        passed = {s.name for s in complete if self.size(s.name) <= position(s.name)}
        for name in passed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.directory.segment(name))
            self.forget(name)
        return passed

    def size(self, name: str) -> int:
        """Return how many bytes a segment has; 0 if it is gone."""
        if name in self._open:
            return self._open[name].size()
        with contextlib.suppress(FileNotFoundError):
            return os.lstat(self.directory.segment(name)).st_size
        return 0

    def forget(self, name: str) -> None:
        """Close a segment that is not in this spool any more."""
        self._parked.pop(name, None)
        if name in self._open:
            self._open.pop(name).close()

    def remove_stale(self) -> None:
        """Remove the segments of writers that ended before they wrote the header.

        And forget those that are not open, and that somebody has removed since.
        """
        exists, path_of = os.path.lexists, self.directory.segment
        left = self.left_alone.items()
        self.left_alone = {name: size for name, size in left if exists(path_of(name))}
        self._parked = {name: s for name, s in self._parked.items() if exists(path_of(name))}
        self.unread = {name for name in self.unread if exists(path_of(name))}
        for uid, name in self.directory.segments():
            if f"{uid}/{name}" in self._open or f"{uid}/{name}" in self._parked:
                continue  # it has one
            path = os.path.join(self.directory.incoming(uid), name)
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
        self._parked.clear()
        self.unread.clear()


def _uid(name: str) -> int:
    return int(name.partition("/")[0])
