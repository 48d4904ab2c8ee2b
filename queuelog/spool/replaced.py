"""Files by which processes tell each other something: replaced at once, and never trusted.

Whoever reads one finds the whole of what was said before or the whole of what is said now. And
whoever may write to the directory that it is in may have put something else there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from queuelog.base import opened, try_lock


def replace(path: str, content: bytes, mode: int = 0o600) -> None:
    """Give a file another content, and the permissions `mode`.

    Raises:
        OSError: there is no room for it; the one before is still there.
    """
    os.close(_replace(path, content, mode, is_locked=False))


def replace_locked(path: str, content: bytes, mode: int = 0o600) -> int:
    """Do the same; return the descriptor of the new file, which holds a lock on it.

    Raises:
        OSError: as `replace`.
    """
    return _replace(path, content, mode, is_locked=True)


def _replace(path: str, content: bytes, mode: int, *, is_locked: bool) -> int:
    new = f"{path}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        if is_locked:  # before others can read it: a reader's lock would keep the owner's away
            try_lock(fd)
        if os.write(fd, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), new)
        os.fchmod(fd, mode)
        os.rename(new, path)
    except OSError:
        os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(new)  # it would take room from the records
        raise
    return fd


@contextlib.contextmanager
def opened_of(path: str, *uids: int) -> Iterator[int]:
    """Open for reading what one of these users has written; it may be replaced meanwhile.

    Raises:
        OSError: it is not there, is another user's, or no regular file with this name only.
    """
    _check(path, os.lstat(path), uids)  # first: to open a device does harm
    with opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
        _check(path, os.fstat(fd), uids)
        yield fd


def _check(path: str, found: os.stat_result, uids: tuple[int, ...]) -> None:
    if found.st_uid not in uids or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise PermissionError(errno.EPERM, "not its owner's", path)
