"""Exclusive locks between processes: that of a spool, and that of each log file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os

from queuelog.base.descriptor import Descriptor
from queuelog.base.directories import base_directory, own_directory


def try_lock(fd: int) -> bool:
    """Take the exclusive `flock` on an open file, unless somebody has it; return whether."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class FileLock(Descriptor):
    """An exclusive `flock` on a small file that says who holds it; never waits.

    It is released by `close`, by the end of the process, and by nothing else; a forked child must
    call `close` as well, since it shares the lock with its parent, who keeps it. `note` is what
    others read of the holder.
    """

    def __init__(self, path: str, note: str) -> None:
        self._path = path
        self._note = note

    def acquire(self) -> bool:
        """Try to take the lock; return whether it is ours.

        Where somebody has removed the file, so that others could take the lock as well, it is
        taken anew.

        Raises:
            OSError: the file cannot be made.
        """
        if self.is_there:
            return True
        self.close()
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if not try_lock(fd):
            os.close(fd)
            return False
        self.fd = fd
        with contextlib.suppress(OSError):  # no room: the lock counts, not the note
            os.ftruncate(fd, 0)
            os.pwrite(fd, self._note.encode(), 0)
        return True

    def holder(self) -> str:
        """Return the note that the holder left."""
        with contextlib.suppress(OSError), open(self._path, encoding="utf-8") as file:
            return file.read()
        return "a process that is gone"


class LogFileLock(FileLock):
    """The lock of a log file: beside the spools of this user, never beside the file."""

    def __init__(self, sink_id: str, note: str) -> None:
        self._locks = os.path.join(base_directory(), "locks")
        name = hashlib.sha256(os.fsencode(sink_id)).hexdigest()[:32]
        super().__init__(os.path.join(self._locks, name), note)

    def acquire(self) -> bool:
        """Try to take the lock; return whether it is ours.

        Raises:
            SpoolError: the directory for locks is not safe to use.
            OSError: the directory or the file cannot be made.
        """
        if not self.is_there:
            own_directory(os.path.dirname(self._locks), None, os.geteuid())
            own_directory(self._locks, 0o700, os.geteuid())
        return super().acquire()
