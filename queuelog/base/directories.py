"""Directories that are safe to use in a place where everybody may write, as /dev/shm is."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from queuelog.errors import SpoolError

ELSEWHERE = "or choose another place with start(spool=…)"


def shared_parent(path: str, mode: int, uid: int) -> None:
    """Make the directory in which something of user `uid` lies, or check an existing one.

    Others use it, too: it may be /dev/shm itself, or hold spools of other services. So it is given
    what `mode` has and it lacks, where it is ours, and nothing is taken away.

    Raises:
        SpoolError: it is no directory, or others could replace what lies in it.
        OSError: it cannot be made.
    """
    with _directory(path, uid) as (fd, found, _):
        for_others = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (0, uid) or for_others:
            raise SpoolError(
                f"others could replace a spool in {path}, which user {found.st_uid} owns, with "
                f"mode {stat.S_IMODE(found.st_mode):o}: it must be writable for user {uid} or root "
                f"only, or sticky as /tmp is; {ELSEWHERE}"
            )
        missing = mode & ~found.st_mode
        if missing and found.st_uid == os.geteuid():
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | missing)


def own_directory(path: str, mode: int, uid: int, gid: int = -1) -> None:
    """Make the directory `path` for user `uid`, or check that it is just that already.

    A new one gets the group `gid`, unless that is -1.

    Raises:
        SpoolError: it is no directory, or another user's.
        OSError: it cannot be made.
    """
    with _directory(path, uid) as (fd, found, made):
        if made and uid != os.geteuid():
            os.fchown(fd, uid, gid)
        elif found.st_uid != uid:
            raise SpoolError(
                f"{path} belongs to user {found.st_uid}, not to {uid}: remove it, {ELSEWHERE}"
            )
        if mode != stat.S_IMODE(found.st_mode) and uid == os.geteuid():
            os.fchmod(fd, mode)


@contextlib.contextmanager
def _directory(path: str, uid: int) -> Iterator[tuple[int, os.stat_result, bool]]:
    """Open a directory, which is made if it is not there; yield it, what it is, and if it is new.

    No link is followed: in a directory for all anyone may have put one there first.
    """
    made = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        made = True
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise SpoolError(
            f"cannot use {path} as part of the spool: {error.strerror}. It must be a directory of "
            f"user {uid}, and no link: remove it, {ELSEWHERE}"
        ) from error
    try:
        yield fd, os.fstat(fd), made
    finally:
        os.close(fd)
