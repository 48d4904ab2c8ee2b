"""The spool directory: where it is, who may write to it, what lies in it.

    SPOOL/lock          write-locked by the process that owns the spool and so the log files
    SPOOL/registry      who that is, and which log files and handlers it owns; write-locked, too
    SPOOL/status        what that one has done so far, and what fails (`status`)
    SPOOL/ledger        what has reached the log files
    SPOOL/consumed      how many bytes of the segments there are have been dealt with (`backlog`)
    SPOOL/reserve       room, for when something else has filled the file system
    SPOOL/bell          FIFO: a writer rings when it has written
    SPOOL/*.request     what a command asks the owner for, and SPOOL/*.answer (`requests`)
    SPOOL/<uid>/        one directory a user that may write
        <pid>-<start>-<tag>-<n>     segments, each with one writer, for one slot (see `tail`)
        ...-<n>+<offset>            one that another owner has read up to there, and handed over
        <pid>-<start>-<sink>.drops  how many records a process has dropped

Each owner makes a spool of its own, whose name says only when that was (`names`). Who may write to
it, and with whose rights, is said by `users`.
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

from queuelog.base import ELSEWHERE, User, acting_as, own_directory, shared_parent, try_lock
from queuelog.errors import SpoolError
from queuelog.spool.names import DROPS, SEGMENT
from queuelog.spool.users import Users

_MOST_FILES = 100_000  # of each user that anybody looks at: a million would take seconds


class Target(NamedTuple):
    """Where an entry shall go: its sink's description, and the user that its writer is.

    `user` is None if that is the owner's own.
    """

    description: bytes
    user: User | None = None


class SpoolDirectory:
    """The paths of one spool, checked and made by `create`.

    `owner_uid` is the user of its owner, by default this process's. Who else may write is said to
    `users`; in a spool that is there, the directories say it.
    """

    def __init__(self, path: str, *, owner_uid: int | None = None) -> None:
        self.path = path
        self.owner_uid = os.geteuid() if owner_uid is None else owner_uid
        self.users = Users(self.owner_uid)
        self.lock = os.path.join(path, "lock")
        self.registry = os.path.join(path, "registry")
        self.status = os.path.join(path, "status")
        self.ledger = os.path.join(path, "ledger")
        self.bell = os.path.join(path, "bell")
        self.consumed = os.path.join(path, "consumed")
        self.reserve = os.path.join(path, "reserve")
        for uid in self._incoming_uids():
            if uid != self.owner_uid:
                self.users.allow(User(uid, os.lstat(self.incoming(uid)).st_gid))

    def _incoming_uids(self) -> list[int]:
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            return [int(entry.name) for entry in entries if entry.name.isdecimal()]
        return []

    def may_write(self, uid: int) -> int | None:
        """Return the user as which a process of user `uid` may write here; None if it may not."""
        if os.path.isdir(self.incoming(uid)):
            return uid
        return self.owner_uid if uid == 0 else None

    @property
    def _mode(self) -> int:
        return 0o755 if self.users.others else 0o700

    @property
    def file_mode(self) -> int:
        """The mode of what all who may write can read."""
        return 0o644 if self.users.others else 0o600

    def incoming(self, uid: int) -> str:
        """Return the directory for the segments that user `uid` writes."""
        return os.path.join(self.path, str(uid))

    def segment(self, name: str) -> str:
        """Return the path of the segment that offsets call "<uid>/<file name>"."""
        return os.path.join(self.path, name)

    def is_there(self) -> bool:
        """Tell if the spool is there, as a directory of its owner's."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == self.owner_uid

    def create(self) -> None:
        """Make the directories and the doorbell; harmless if they are there.

        Raises:
            SpoolError: something is in the way that is not ours, or they cannot be made.
        """
        with self.errors():
            parent = os.path.dirname(self.path)
            shared_parent(os.path.dirname(parent), 0, self.owner_uid)
            shared_parent(parent, self._mode, self.owner_uid)
            own_directory(self.path, self._mode, self.owner_uid)
            own_directory(self.incoming(self.owner_uid), 0o700, self.owner_uid)
            for user in self.users.others:
                own_directory(self.incoming(user.uid), 0o700, user.uid, user.gid)
                with acting_as(user):
                    os.stat(self.incoming(user.uid))  # or a directory above is closed to him
            with contextlib.suppress(FileExistsError):
                os.mkfifo(self.bell)
            if not stat.S_ISFIFO(os.lstat(self.bell).st_mode):
                raise SpoolError(f"{self.bell} is not a FIFO: remove it")
            os.chmod(self.bell, 0o666 if self.users.others else 0o600)

    def remove(self) -> bool:
        """Remove the spool, unless a writer has left something in it; tell if it is gone.

        Only its owner may, and nothing of it can be taken over by somebody else meanwhile.
        """
        try:
            for uid in self._incoming_uids():  # first: a segment that is new by now keeps the rest
                os.rmdir(self.incoming(uid))
            names = os.listdir(self.path)
            for name in sorted(names, key="lock".__eq__):  # that last: it keeps others away
                os.unlink(os.path.join(self.path, name))
            os.rmdir(self.path)
        except OSError:
            return False
        return True

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
        with acting_as(self.users.writing_as(uid)):
            fd = self._new(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
            try:
                # Before the first byte: the reader leaves empty ones alone, others while locked.
                try_lock(fd)
                if content and os.write(fd, content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                os.close(fd)
                os.unlink(path)
                raise
        return fd

    def _new(self, path: str, flags: int) -> int:
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            if self.owner_uid != os.geteuid():
                raise
            self.create()  # its owner has stopped: what is written now is for the next one
            return os.open(path, flags, 0o600)

    def is_complete(self) -> bool:
        """Tell if all that `create` makes is there: somebody may have removed a part of it."""
        directories = map(self.incoming, self.users.ids)
        return os.path.lexists(self.bell) and all(map(os.path.isdir, directories))

    def is_empty(self) -> bool:
        """Tell if nothing waits here, nor anybody who may write; no, if nobody can say."""
        with contextlib.suppress(OSError):
            return not any(os.listdir(self.incoming(uid)) for uid in self.users.ids)
        return False

    def segments(self) -> Iterator[tuple[int, str]]:
        """Yield user id and file name of every segment."""
        return self._files(SEGMENT)

    def drops(self) -> Iterator[tuple[int, str]]:
        """Yield user id and file name of every count of dropped records."""
        return self._files(DROPS)

    def _files(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
        return ((uid, e.name) for uid, e in self.entries() if pattern.fullmatch(e.name))

    def entries(self) -> Iterator[tuple[int, os.DirEntry[str]]]:
        """Yield user id and all that this user has in the spool, as far as we may look.

        Should it be too much, the rest is seen later.

        Raises:
            OSError: no descriptor is left.
        """
        missing = FileNotFoundError, PermissionError
        for uid in self.users.ids:
            with contextlib.suppress(*missing), os.scandir(self.incoming(uid)) as entries:
                for entry in itertools.islice(entries, _MOST_FILES):
                    yield uid, entry


def is_plain(found: os.stat_result, uid: int) -> bool:
    """Tell if a file is a regular one of user `uid` with one name only: no link, no device."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == uid and found.st_nlink == 1
