"""The spool directory: where it is, who may write to it, what lies in it.

    SPOOL/lock          flock: held by the process that owns the spool and so the log files
    SPOOL/ledger        what has reached the log files
    SPOOL/consumed      how many bytes of the segments there are have been dealt with (`backlog`)
    SPOOL/bell          FIFO: a writer rings when it has written
    SPOOL/<uid>/        one directory a user that may write
        <pid>-<start>-<tag>-<n>     segments, each with one writer, for one sink
        <pid>-<start>-<sink>.drops  how many records a process has dropped

Segments of another user than the owner's are not trusted: they name only files that the arbiter
knows or allows.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from queuelog.base import ELSEWHERE, own_directory, shared_parent
from queuelog.base.locks import try_lock
from queuelog.errors import SpoolError

# Without the tag in format 1, of which each has to be reported.
_SEGMENT_NAME = re.compile(r"\d{1,10}-\d{1,20}(-[0-9a-f]{8})?-\d{1,10}")
_DROPS_NAME = re.compile(r"\d{1,10}-\d{1,20}-\d{1,10}\.drops")
_MOST_FILES = 10_000  # of each user that anybody looks at: a million would take seconds


Offsets = dict[str, int]  # segment, as "<uid>/<name>" -> offset in bytes


class Target(NamedTuple):
    """Where an entry shall go: its sink's description, and whether its writer is trusted."""

    description: bytes
    trusted: bool


class SpoolDirectory:
    """The paths of one spool, checked and made by `create`.

    `owner_uid` is the user of the arbiter, by default this process's, and `worker_uid` that of its
    workers (Gunicorn's `user`).
    """

    def __init__(self, path: str, worker_uid: int, *, owner_uid: int | None = None) -> None:
        self.path = path
        self.owner_uid = os.geteuid() if owner_uid is None else owner_uid
        self.worker_uid = worker_uid
        self.uids = {self.owner_uid, worker_uid}  # the users that may write
        self.is_private = len(self.uids) == 1
        self._mode = 0o700 if self.is_private else 0o711
        self.lock = os.path.join(path, "lock")
        self.ledger = os.path.join(path, "ledger")
        self.bell = os.path.join(path, "bell")
        self.consumed = os.path.join(path, "consumed")

    def incoming(self, uid: int) -> str:
        """Return the directory for the segments that user `uid` writes."""
        return os.path.join(self.path, str(uid))

    def segment(self, name: str) -> str:
        """Return the path of the segment that offsets call "<uid>/<file name>"."""
        return os.path.join(self.path, name)

    def is_ours(self) -> bool:
        """Tell if the spool is there, as a directory of its owner's."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == self.owner_uid

    def create_parent(self) -> None:
        """Make the directory that the spool is in; harmless if it is there.

        Raises:
            SpoolError: others could replace what lies in it, or it cannot be made.
        """
        with self.errors():
            shared_parent(os.path.dirname(self.path), self._mode, self.owner_uid)

    def create(self) -> None:
        """Make the directories and the doorbell; harmless if they are there.

        Raises:
            SpoolError: something is in the way that is not ours, or they cannot be made.
        """
        self.create_parent()
        with self.errors():
            own_directory(self.path, self._mode, self.owner_uid)
            for uid in self.uids:
                own_directory(self.incoming(uid), 0o700, uid)
            with contextlib.suppress(FileExistsError):
                os.mkfifo(self.bell)
            if not stat.S_ISFIFO(os.lstat(self.bell).st_mode):
                raise SpoolError(f"{self.bell} is not a FIFO: remove it")
            os.chmod(self.bell, 0o600 if self.is_private else 0o666)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the operating system refuses inside as a `SpoolError` that says what to do."""
        try:
            yield
        except SpoolError:
            raise
        except OSError as error:
            raise SpoolError(
                f"the spool {self.path} cannot be used ({error.strerror}): the directory that it "
                f"is in must exist and have room; {ELSEWHERE}"
            ) from error

    def new_file(self, uid: int, name: str, flags: int, content: bytes = b"") -> int:
        """Make a file that user `uid` writes; return its descriptor, which holds a lock on it.

        Raises:
            OSError: it is there, or there is no room for it.
        """
        path = os.path.join(self.incoming(uid), name)
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            try_lock(fd)  # before the first byte: the reader leaves empty ones alone
            if uid != os.geteuid():  # until this process drops privileges
                os.fchown(fd, uid, -1)
            if content and os.write(fd, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(fd)
            os.unlink(path)
            raise
        return fd

    def is_complete(self) -> bool:
        """Tell if all directories are there: somebody may have removed one."""
        return all(os.path.isdir(self.incoming(uid)) for uid in self.uids)

    def is_empty(self) -> bool:
        """Tell if nothing waits here, nor anything that this version does not know."""
        incoming = [path for path in map(self.incoming, self.uids) if os.path.isdir(path)]
        known = {self.lock, self.ledger, self.bell, self.consumed, *incoming}
        with os.scandir(self.path) as entries:
            return {entry.path for entry in entries} <= known and not any(map(os.listdir, incoming))

    def segments(self) -> Iterator[tuple[int, str]]:
        """Yield user id and file name of every segment."""
        return self._files(_SEGMENT_NAME)

    def drops(self) -> Iterator[tuple[int, str]]:
        """Yield user id and file name of every count of dropped records."""
        return self._files(_DROPS_NAME)

    def _files(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
        return ((uid, e.name) for uid, e in self.entries() if pattern.fullmatch(e.name))

    def entries(self) -> Iterator[tuple[int, os.DirEntry[str]]]:
        """Yield user id and all that this user has in the spool, as far as we may look.

        Should it be too much, the rest is seen later.

        Raises:
            OSError: no descriptor is left.
        """
        missing = FileNotFoundError, PermissionError
        for uid in self.uids:
            with contextlib.suppress(*missing), os.scandir(self.incoming(uid)) as entries:
                for entry in itertools.islice(entries, _MOST_FILES):
                    yield uid, entry


def is_plain(found: os.stat_result, uid: int) -> bool:
    """Tell if a file is a regular one of user `uid` with one name only: no link, no device."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == uid and found.st_nlink == 1
