"""The system calls that change backups: none of them replaces a file, or follows a link."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import secrets
import stat
import zlib
from contextlib import suppress
from typing import Any, NamedTuple

from queuelog.base import opened, report
from queuelog.rotation.policy import Policy

HEAD = 256  # bytes at the beginning of a file, by which it is known again

_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # <fcntl.h>, <linux/fs.h>
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class Head(NamedTuple):
    """How a file begins: the CRC-32 of its first `length` bytes. Appending does not change it."""

    length: int
    crc: int

    @classmethod
    def of(cls, data: bytes) -> Head:
        """Return the head of a file that begins with `data`."""
        return cls(len(data[:HEAD]), zlib.crc32(data[:HEAD]))


class FileState(NamedTuple):
    """A regular file as it was found, and its first bytes."""

    stat: os.stat_result
    data: bytes

    @property
    def head(self) -> Head:
        """Its head now; it may become longer."""
        return Head.of(self.data)

    def begins_with(self, head: Head) -> bool:
        """Tell if the file began so once."""
        return len(self.data) >= head.length and Head.of(self.data[: head.length]) == head


def look(path: str) -> FileState | None:
    """Return the regular file at `path`; None if there is none, or a link or something else.

    Raises:
        OSError: it is there, but cannot be read.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISREG(os.lstat(path).st_mode):  # to open a device does harm
            with opened(path, _READ) as fd:
                return FileState(os.fstat(fd), os.pread(fd, HEAD, 0))
    return None


def rename_new(source: str, dest: str) -> None:
    """Rename a file to a name that is free.

    Raises:
        FileExistsError: it is not.
        OSError: the directory cannot be written.
    """
    renameat2 = _renameat2()
    if renameat2 is not None:
        names = os.fsencode(source), os.fsencode(dest)
        if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return
        failed = ctypes.get_errno()
        if failed not in (errno.EINVAL, errno.ENOSYS):  # the file system does not know the flag
            raise OSError(failed, os.strerror(failed), source, None, dest)
    if os.path.lexists(dest):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), source, None, dest)
    os.rename(source, dest)


@functools.cache
def _renameat2() -> Any:
    """Return the function of the C library; None if that has none."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        number, text = ctypes.c_int, ctypes.c_char_p
        function.argtypes = [number, text, number, text, ctypes.c_uint]
    return function


def temporary_name(name: str) -> str:
    """Return a new name for a hidden file, which becomes a backup of the log file `name`.

    It is as long as that of the next manifest, `.NAME.queuelog.new`: one that is too long would be
    in the manifest for ever, since nobody can remove such a file.
    """
    return f".{name}.{secrets.token_hex(4)}.tmp"


def create(path: str, mode: int) -> int:
    """Make a file and return its descriptor, for writing.

    Raises:
        OSError: there is one, or the directory cannot be written.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)


def remove(path: str) -> None:
    """Remove a file; harmless if there is none.

    Raises:
        OSError: it cannot be removed.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)


def set_access(fd: int, path: str, policy: Policy) -> None:
    """Give a new file the owner, group and permissions of the policy; report what fails."""
    try:
        if policy.owner is not None or policy.group is not None:
            none = -1
            owner = none if policy.owner is None else policy.owner
            os.fchown(fd, owner, none if policy.group is None else policy.group)
        if policy.permissions is not None:
            os.fchmod(fd, policy.permissions)
    except OSError as error:
        report(
            f"access {path}",
            f"{path} does not get the owner, group or permissions that it should have: {error}",
        )


def copy_access(fd: int, original: os.stat_result) -> None:
    """Give a file owner, group, permissions and times of another; if not these, no more rights.

    Raises:
        OSError: its permissions cannot be set.
    """
    mode = stat.S_IMODE(original.st_mode)
    try:
        os.fchown(fd, original.st_uid, original.st_gid)
    except PermissionError:  # only root gives files away: nobody else's group may read this one
        mode &= 0o700
    os.fchmod(fd, mode)
    os.utime(fd, ns=(original.st_atime_ns, original.st_mtime_ns))
