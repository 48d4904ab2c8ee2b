"""The descriptor of a log file, which follows logrotate and everybody else who moves the file.

The bytes are written here, past the handler's own file object, because a buffered one that a thread
uses must not be inherited by a forked worker.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress

from queuelog.base import native, report
from queuelog.base.locks import Locked
from queuelog.sinks.claim import Claim
from queuelog.sinks.position import APPEND, Position, Save, identity_of, write_all
from queuelog.sinks.strangers import Strangers

_AT_ONCE = 0.001  # seconds in which nobody can move a file away, compress and remove it
_CREATION = 0.1  # seconds from moving a file away to the creation of another, at most
_REMOVAL = 1.0  # seconds from a compressor's last read to the removal, at most


class FollowedFile(Locked):
    """The file that has `path` now, and the lock on it: this process is its owner.

    `rotates` says that it is rotated here, so that nobody else may write it, `makes_directory` that
    its directory is made if it is missing. `opened` is called when another file has the path.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.identity = (0, 0)  # device and inode of the descriptor
        self.end: int | None = None  # its size in bytes, when it was opened or written last
        self._strangers = Strangers(path)
        self.truncate = False  # before the next write
        self.rotates = False
        self.makes_directory = False
        self._is_new = False  # since it was opened, `opened` was not called
        self.opened: Callable[[], None] = lambda: None
        self.claimed = Claim(path)

    def claim(self) -> None:
        """Own the file, if it is there; harmless if it is ours.

        Raises:
            FileInUseError: another process owns it.
            OSError: it cannot be opened.
        """
        with suppress(FileNotFoundError):
            self._open_current(0)
            self._look_for_strangers(os.fstat(self.fd).st_size)

    def _look_for_strangers(self, size: int) -> None:
        """Look who else writes the file if it has grown since the last look."""
        grown = self.end is not None and size > self.end
        self.end = size
        if not self.claimed.is_shared:
            self._strangers.look(grown=grown)

    def size(self) -> int:
        """Return the size in bytes of the file that has the path now, which is made if need be.

        Raises:
            FileInUseError: another process owns it.
            OSError: it cannot be opened.
        """
        self._open_current()
        if self.truncate:
            os.ftruncate(self.fd, 0)
            self.truncate = False
        return os.fstat(self.fd).st_size

    def is_empty(self) -> bool:
        """Tell if nothing is in the file that has the path now, or none has it."""
        with suppress(OSError):
            return os.stat(self.path).st_size == 0
        return True

    def set_modified(self, at: float) -> None:
        """Let the time of the last write be `at`, in seconds since the epoch, if that is allowed.

        Raises:
            OSError: the file cannot be opened.
        """
        self._open_current(0)
        with suppress(OSError):  # it is somebody else's
            os.utime(self.fd, (os.fstat(self.fd).st_atime, at))

    def append(self, data: bytes, preamble: bytes, save: Save) -> None:
        """Write `data` to the end, behind `preamble` in an empty file; first `save` the position.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it could not be written, or only in part.
        """
        while True:
            size = self.size()
            self._look_for_strangers(size)
            save(Position(self.path, *self.identity, size))
            looked = time.monotonic()
            if self.is_moved():  # while the mark was saved
                continue
            whole = data if size else preamble + data
            try:
                write_all(self.fd, whole)
            except OSError:
                self.close()  # a broken file system can only be unmounted and repaired then
                raise
            self.end = size + len(whole)
            if not self._may_be_lost(looked):
                return
            report(
                f"removed {self.path}",
                f"{self.path} was moved away and removed while a batch was being written: it is "
                f"written again, and may be in an archive as well",
            )

    def _may_be_lost(self, looked: float) -> bool:
        """Tell if the file was removed, with what was written to it after the look at `looked`.

        What was written at once is there before a compressor can have been started. What the disk
        has held up may come after its last read, and go with the file a moment later. Whoever has
        read since the write reads to the end, and has it.
        """
        written = time.monotonic()
        found = os.fstat(self.fd)
        if written - looked > _AT_ONCE and self.is_moved():
            sleep = native("time", "sleep")
            while found.st_nlink and time.monotonic() - written < _REMOVAL:
                sleep(0.01)
                found = os.fstat(self.fd)
        if found.st_nlink or not self.is_moved():  # /dev/stdout may lead to a file without a name
            return False
        return found.st_atime_ns <= found.st_mtime_ns

    def _open_current(self, create: int = os.O_CREAT) -> None:
        if self.is_open and self.is_moved():
            self.close()
            self._wait_for_another()
        if not self.is_open:
            self._open(create)
        try:
            self.claimed.make(self.fd, rotates=self.rotates)
        except BaseException:  # somebody else has it: no descriptor of ours shall be in his way
            self.close()
            raise
        if self._is_new:  # only now: until then it may be another process's
            self._is_new = False
            self.opened()

    def _open(self, create: int) -> None:
        if create and self.makes_directory:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
        # O_NONBLOCK: should a FIFO be in its place, opening it would wait for a reader.
        fd = os.open(self.path, APPEND | os.O_NONBLOCK | create, 0o666)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise OSError(f"{self.path} is no longer a regular file")
        self.fd, self.identity = fd, (found.st_dev, found.st_ino)
        self.claimed.forget()
        self.end = found.st_size
        self._is_new = True

    def _wait_for_another(self) -> None:
        """Let whoever moved the file make the new one, with the permissions that it shall have.

        logrotate moves what is in its way aside, over what it has moved aside in the same hour.
        """
        end, sleep = time.monotonic() + _CREATION, native("time", "sleep")
        while not os.path.lexists(self.path) and time.monotonic() < end:
            sleep(0.001)

    def is_moved(self) -> bool:
        """Tell if the path leads to another file by now, or to none."""
        return self.path_identity() != self.identity

    def path_identity(self) -> tuple[int, int]:
        """Return device and inode of the file that has the path now; (-1, -1) if there is none."""
        return identity_of(self.path)
