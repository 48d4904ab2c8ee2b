"""Counts of dropped records, which survive the processes that dropped them.

At the backlog limit a process cannot say in the log what it drops, and it may be killed before it
can. So it keeps the number in a file beside its segments, one for each sink, and the listener says
it in the log as soon as records flow again:

    <uid>/<pid>-<start>-<n>.drops:  dropped, reported (8 bytes each, little-endian), description

The writer has a lock on the file while it lives, as on a segment. Where there is no room even for
that file, the process keeps the number until there is.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
from collections.abc import Callable, Iterator

from queuelog.base import User, is_locked, opened
from queuelog.spool.directory import SpoolDirectory, Target, is_plain
from queuelog.spool.spoolfile import SpoolFile

_COUNT = struct.Struct("<Q")
_HEADER = struct.Struct("<QQ")
_MAX_SIZE = 1 << 16  # bytes: longer than any description

Make = Callable[[str, bytes], SpoolFile]  # of a file, by what its name ends with, and its content


class DropCounter:
    """The writer's side: what one process drops of one sink. `make` makes its file."""

    def __init__(self, make: Make, numbers: Iterator[int], description: bytes) -> None:
        self._make = make
        self._numbers = numbers
        self._description = description
        self.count = 0
        self._saved = 0  # what the file says
        self._file: SpoolFile | None = None

    def save(self) -> None:
        """Write the number to the file, or leave that for later if there is no room."""
        count = self.count  # a nested call may go on counting
        with contextlib.suppress(OSError):
            if self._saved < count:
                if self._file is None or not self._file.is_usable():
                    self._begin(count)
                else:
                    os.pwrite(self._file.fd, _COUNT.pack(count), 0)
                self._saved = count

    def _begin(self, count: int) -> None:
        """Make a file, or another one if somebody has removed that, or closed all descriptors."""
        content = _HEADER.pack(count, self._said()) + self._description
        new = self._make(f"{next(self._numbers)}.drops", content)
        self.close()
        self._file = new

    def _said(self) -> int:
        """Return how many the listener has said, or will say without us."""
        if self._file is None or not self._file.is_ours():
            return self._saved
        said: int = _COUNT.unpack(os.pread(self._file.fd, _COUNT.size, _COUNT.size))[0]
        return said

    def let_go(self) -> None:
        """Let the listener remove the file when it has said the number; go on in another one."""
        if self._file is not None:
            self._file.let_go()

    def close(self) -> None:
        """Close the file, which in a forked child is the parent's."""
        if self._file is not None:
            self._file.close()


class DropCounters:
    """Those of one process, by sink number.

    A nested call only counts; `save` and what lets go is for the outermost one.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._numbers = itertools.count()
        self._counters: dict[int, DropCounter] = {}
        self._ends = False
        self.changed = False  # there may be something to save

    def add(self, sink: int, description: bytes) -> None:
        """Count a record of a sink."""
        new = DropCounter(self._make, self._numbers, description)
        self._counters.setdefault(sink, new).count += 1
        self.changed = True

    def finish_all(self) -> None:
        """Let go of the files when they are saved."""
        self._ends = self.changed = True

    def save(self) -> None:
        """Write what is new, and what had no room before."""
        self.changed = False  # first: a nested call may change it again
        ends, self._ends = self._ends, False
        for counter in [*self._counters.values()]:
            counter.save()
            if ends:
                counter.let_go()

    def abandon(self) -> None:
        """In a forked child: close what is the parent's."""
        for counter in [*self._counters.values()]:
            counter.close()


class Dropped:
    """The listener's side of one file: `count` records of `target` were dropped, and not reported.

    `process` is the id of the one that did.
    """

    def __init__(self, fd: int, path: str, user: User | None) -> None:
        self._fd = fd
        self._path = path
        data = os.pread(fd, _MAX_SIZE, 0)
        self._dropped, reported = _HEADER.unpack_from(data)
        self.count = self._dropped - reported
        self.process = int(os.path.basename(path).partition("-")[0])
        self.target = Target(data[_HEADER.size :], user)

    def reported(self) -> None:
        """The count is in the log."""
        os.pwrite(self._fd, _COUNT.pack(self._dropped), _COUNT.size)
        self.count = 0

    def remove_if_done(self) -> None:
        """Remove the file if all is reported and its writer is gone."""
        written = os.pread(self._fd, _COUNT.size, 0)
        if not is_locked(self._fd) and written == _COUNT.pack(self._dropped):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


def collect(directory: SpoolDirectory, access: int = os.O_RDWR) -> Iterator[Dropped]:
    """Yield every file with a count; what is not one is passed over.

    Who only looks has `os.O_RDONLY` as `access`.
    """
    for uid, name in directory.drops():
        path = os.path.join(directory.incoming(uid), name)
        flags = access | os.O_NOFOLLOW | os.O_NONBLOCK
        with contextlib.suppress(OSError, struct.error), opened(path, flags) as fd:
            found = os.fstat(fd)
            if is_plain(found, uid) and _HEADER.size < found.st_size < _MAX_SIZE:
                yield Dropped(fd, path, directory.users.rights_of(uid, found.st_gid))
