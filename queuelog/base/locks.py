"""Exclusive locks between processes: that of a spool, and that of each log file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile

from queuelog.base.descriptor import Descriptor
from queuelog.base.directories import own_directory

MEMORY = "/dev/shm"  # noqa: S108  # what lies there is checked: see own_directory


def base_directory() -> str:
    """Return this user's directory for spools and locks: on tmpfs where there is one."""
    usable = os.path.isdir(MEMORY) and os.access(MEMORY, os.W_OK)
    return os.path.join(MEMORY if usable else tempfile.gettempdir(), f"queuelog-{os.geteuid()}")


def try_lock(fd: int) -> bool:
    """Take the exclusive `flock` on an open file, unless somebody has it; return whether."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(fd: int) -> None:
    """Release the lock on an open file, for all who have the same descriptor: forked children."""
    fcntl.flock(fd, fcntl.LOCK_UN)


def is_locked(fd: int) -> bool:
    """Tell if somebody has the lock on a file that is open here as well."""
    if not try_lock(fd):
        return True
    unlock(fd)
    return False


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
        self.fd = fd
        locked = False
        try:
            locked = try_lock(fd)
        finally:
            if not locked:
                self.close()
        if locked:
            with contextlib.suppress(OSError):  # no room: the lock counts, not the note
                os.ftruncate(fd, 0)
                os.pwrite(fd, os.fsencode(self._note), 0)
        return locked

    def holder(self) -> str:
        """Return the note that the holder left."""
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            return os.fsdecode(file.read())
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
