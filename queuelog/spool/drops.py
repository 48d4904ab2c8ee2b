"""Counts of dropped records, which survive the processes that dropped them.

At the backlog limit a process cannot say in the log what it drops, and it may be killed before it
can. So it keeps the number in a file beside its segments, one for each sink, and the listener says
it in the log as soon as records flow again:

    <uid>/<pid>-<start>-<sink>.drops:  dropped, reported (8 bytes each, little-endian), description

The writer holds a write lock on the file while it lives, as on a segment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator

from queuelog.base import Descriptor, User, opened
from queuelog.base.locks import is_locked
from queuelog.spool.directory import SpoolDirectory, Target, is_plain

_COUNT = struct.Struct("<Q")
_HEADER_SIZE = 2 * _COUNT.size
_MAX_SIZE = 1 << 16  # bytes: longer than any description


class DropCounter(Descriptor):
    """The writer's side: counts what one process, which writes as `uid`, drops of one sink."""

    def __init__(self, directory: SpoolDirectory, uid: int, name: str, description: bytes) -> None:
        """Make the file.

        Raises:
            OSError: there is no room for it.
        """
        self.fd = directory.new_file(uid, name, os.O_WRONLY, bytes(_HEADER_SIZE) + description)
        self._file = os.fstat(self.fd)
        self._count = 0

    def add(self) -> None:
        """Count one more.

        Raises:
            OSError: somebody has closed the descriptor, whose number may be another file's by now.
        """
        if not os.path.samestat(os.fstat(self.fd), self._file):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._count += 1
        os.pwrite(self.fd, _COUNT.pack(self._count), 0)


class Dropped:
    """The listener's side of one file: `count` records of `target` were dropped, and not reported.

    `process` is the id of the one that did.
    """

    def __init__(self, fd: int, path: str, user: User | None) -> None:
        self._fd = fd
        self._path = path
        data = os.pread(fd, _MAX_SIZE, 0)
        self._dropped, reported = struct.unpack_from("<QQ", data)
        self.count = self._dropped - reported
        self.process = int(os.path.basename(path).partition("-")[0])
        self.target = Target(data[_HEADER_SIZE:], user)

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


def collect(directory: SpoolDirectory) -> Iterator[Dropped]:
    """Yield every file with a count; what is not one is passed over."""
    for uid, name in directory.drops():
        path = os.path.join(directory.incoming(uid), name)
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        with contextlib.suppress(OSError, struct.error), opened(path, flags) as fd:
            found = os.fstat(fd)
            if is_plain(found, uid) and _HEADER_SIZE < found.st_size < _MAX_SIZE:
                yield Dropped(fd, path, directory.user(uid, found.st_gid))
