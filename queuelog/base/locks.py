"""Write locks of open files: of a spool, of each segment, and of each log file.

They belong to the open file, not to the process (`F_OFD_SETLK`, fcntl(2)): they are kept over forks
and released when the last copy of the descriptor is closed. Other users, containers and hosts meet
them; to take one needs a descriptor for writing, so that nobody who may only read a file can be in
the way; and who is in the way can be asked without taking anything.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import tempfile
from enum import Enum

from queuelog.base.descriptor import Descriptor

MEMORY = "/dev/shm"  # noqa: S108  # what lies there is checked: see own_directory
_FLOCK = struct.Struct("hhqqi")  # struct flock: type, whence, start, length, process id
_EVERY = 1 << 16  # bytes of a log file whose locks say who writes it
_NO_LOCKS = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def base_directory() -> str:
    """Return this user's directory for spools: on tmpfs where there is one."""
    usable = os.path.isdir(MEMORY) and os.access(MEMORY, os.W_OK)
    return os.path.join(MEMORY if usable else tempfile.gettempdir(), f"queuelog-{os.geteuid()}")


def _call(fd: int, command: int, kind: int, start: int, length: int) -> tuple[int, int, int]:
    """Return type, start and length of what the kernel answers."""
    asked = _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)
    kind, _, start, length, _ = _FLOCK.unpack(fcntl.fcntl(fd, command, asked))
    return kind, start, length


def try_lock(fd: int, start: int = 0, length: int = 1) -> bool:
    """Take the write lock on bytes of an open file, unless somebody has it; return whether.

    Raises:
        OSError: the file system has no locks, or the file is not open for writing.
    """
    try:
        _call(fd, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, start, length)
    except (BlockingIOError, PermissionError):
        return False
    return True


def unlock(fd: int) -> None:
    """Release what this open file has locked, also where a child holds a copy of it.

    Raises:
        OSError: the file system has no locks.
    """
    _call(fd, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, 0, 0)


def is_locked(fd: int, start: int = 0, length: int = 1) -> bool:
    """Tell if another open file has a write lock on these bytes; a reader's lock is none.

    Raises:
        OSError: the file system has no locks.
    """
    return _call(fd, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, start, length)[0] == fcntl.F_WRLCK


class Answer(Enum):
    """What comes of a try to become the owner of a log file."""

    ALONE = "nobody else writes the file"
    SHARED = "others append to the file, and nobody rotates it"
    TAKEN = "another process owns the file"
    UNGUARDED = "nobody can be kept away: a reader has locked it, or nobody can lock it"


def lock_log_file(fd: int, *, rotates: bool) -> Answer:
    """Become the owner of an open log file.

    Who rotates it locks many bytes of it; who only appends locks one of them. So those who append
    don't meet each other, and who rotates meets everybody.
    """
    try:
        if rotates:
            free = try_lock(fd, 0, _EVERY)
            return Answer.ALONE if free else _whose(fd)
        for _ in range(8):  # two may choose the same byte
            if try_lock(fd, 1 + int.from_bytes(os.urandom(2), "little") % (_EVERY - 1)):
                others = is_locked(fd, 0, _EVERY)
                return Answer.SHARED if others else Answer.ALONE
            if is_locked(fd, 0):
                return Answer.TAKEN
        return _whose(fd)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return Answer.UNGUARDED


def _whose(fd: int) -> Answer:
    return Answer.TAKEN if is_locked(fd, 0, _EVERY) else Answer.UNGUARDED


class Locked(Descriptor):
    """A file on which there is a write lock.

    A forked child shares it with its parent, and lets go of it with `close`; the parent keeps it.
    """

    def release(self) -> None:
        """Let others have the lock, also where a child holds a copy of the descriptor."""
        if self.is_open:
            with contextlib.suppress(OSError):
                unlock(self.fd)
        self.close()


class FileLock(Locked):
    """The write lock on a small file that is made for it; never waits."""

    def __init__(self, path: str) -> None:
        self._path = path

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
        fd = self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        locked = False
        try:
            locked = try_lock(fd) and self.is_there  # its last owner may have just removed it
        finally:
            if not locked:
                self.close()
        return locked
