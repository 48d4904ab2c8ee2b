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

Each owner makes a spool of its own, whose name says only when that was. Segments of another user
than the owner's are not trusted: what they name is written with that user's rights.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import pwd
import re
import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from queuelog.base import ELSEWHERE, own_directory, shared_parent
from queuelog.base.locks import try_lock
from queuelog.base.rights import User, acting_as
from queuelog.errors import SpoolError

_SPOOL_NAME = re.compile(r"\d{1,10}-\d{1,20}")
# Without the tag in format 1, of which each has to be reported.
_SEGMENT_NAME = re.compile(r"\d{1,10}-\d{1,20}(-[0-9a-f]{8})?-\d{1,10}(\+\d{1,10})?")
_DROPS_NAME = re.compile(r"\d{1,10}-\d{1,20}-\d{1,10}\.drops")
_MOST_FILES = 100_000  # of each user that anybody looks at: a million would take seconds


Offsets = dict[str, int]  # segment, as "<uid>/<name>" -> offset in bytes


def offset_in(offsets: Offsets, name: str) -> int:
    """Return up to where a segment was read: its beginning, or what its name says, if never."""
    found = offsets.get(name)
    return int(name.partition("+")[2] or 0) if found is None else found


def number_of(name: str) -> int:
    """Return the number of a segment among those that its writer has made, by its name or path."""
    return int(name.rpartition("-")[2].partition("+")[0])


def as_written(name: str) -> str:
    """Return the name that a segment had from its writer, also if it was handed over since."""
    return name.partition("+")[0]


class Target(NamedTuple):
    """Where an entry shall go: its sink's description, and the user that its writer is.

    `user` is None if that is the owner's own.
    """

    description: bytes
    user: User | None = None


def new_path(parent: str) -> str:
    """Return where this process shall make its spool, below the directory for spools."""
    return os.path.join(parent, f"{os.getpid()}-{time.time_ns()}")


def made_at(path: str) -> int:
    """Return when a spool was made, in nanoseconds since the epoch, as its name says; 0: unknown.

    A link may lead to one of any name.
    """
    name = os.path.basename(path)
    return int(name.rpartition("-")[2]) if _SPOOL_NAME.fullmatch(name) else 0


def spools(parent: str) -> list[str]:
    """Return the paths of all spools below a directory, the oldest first; none if it is not there.

    A link to a spool elsewhere counts as well.
    """
    try:
        names = [name for name in os.listdir(parent) if _SPOOL_NAME.fullmatch(name)]
    except OSError:
        return []
    return [os.path.join(parent, name) for name in sorted(names, key=lambda n: n.split("-")[::-1])]


class SpoolDirectory:
    """The paths of one spool, checked and made by `create`.

    `owner_uid` is the user of its owner, by default this process's. Who else may write is said by
    `allow`; in a spool that is there, the directories say it.
    """

    def __init__(self, path: str, *, owner_uid: int | None = None) -> None:
        self.path = path
        self.owner_uid = os.geteuid() if owner_uid is None else owner_uid
        self._users: dict[int, User] = {}  # those that may write, beside the owner
        self.lock = os.path.join(path, "lock")
        self.registry = os.path.join(path, "registry")
        self.status = os.path.join(path, "status")
        self.ledger = os.path.join(path, "ledger")
        self.bell = os.path.join(path, "bell")
        self.consumed = os.path.join(path, "consumed")
        self.reserve = os.path.join(path, "reserve")
        for uid in self._incoming_uids():
            if uid != self.owner_uid:
                self._users[uid] = User(uid, os.lstat(self.incoming(uid)).st_gid)

    def _incoming_uids(self) -> list[int]:
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            return [int(entry.name) for entry in entries if entry.name.isdecimal()]
        return []

    @property
    def uids(self) -> list[int]:
        """The users that may write."""
        return [self.owner_uid, *self._users]

    def user(self, uid: int, gid: int) -> User | None:
        """Return whose rights a writer has; None for the owner. `gid` is its segment's group.

        It counts if it is one of the user's: a file that is made in a directory with the
        set-group-ID bit has another group.
        """
        if uid == self.owner_uid:
            return None
        user = self._users[uid]
        return user._replace(gid=gid) if gid in _groups(uid) else user

    def allow(self, user: User) -> None:
        """Let a further user write, from the next `create` on."""
        if user.uid != self.owner_uid:
            self._users[user.uid] = user

    def may_write(self, uid: int) -> int | None:
        """Return the user as which a process of user `uid` may write here; None if it may not."""
        if os.path.isdir(self.incoming(uid)):
            return uid
        return self.owner_uid if uid == 0 else None

    @property
    def _mode(self) -> int:
        return 0o755 if self._users else 0o700

    @property
    def file_mode(self) -> int:
        """The mode of what all who may write can read."""
        return 0o644 if self._users else 0o600

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
            for user in self._users.values():
                own_directory(self.incoming(user.uid), 0o700, user.uid, user.gid)
                with acting_as(user):
                    os.stat(self.incoming(user.uid))  # or a directory above is closed to him
            with contextlib.suppress(FileExistsError):
                os.mkfifo(self.bell)
            if not stat.S_ISFIFO(os.lstat(self.bell).st_mode):
                raise SpoolError(f"{self.bell} is not a FIFO: remove it")
            os.chmod(self.bell, 0o666 if self._users else 0o600)

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

    def writing_as(self, uid: int) -> User | None:
        """Return whose rights this process needs to write as user `uid`; None for its own.

        That user may have put links anywhere below his directory.
        """
        return None if uid == os.geteuid() else self._users.get(uid) or User(uid, os.getegid())

    def new_file(self, uid: int, name: str, flags: int, content: bytes = b"") -> int:
        """Make a file that user `uid` writes; return its descriptor, which holds a lock on it.

        Raises:
            OSError: it is there, or there is no room for it.
        """
        path = os.path.join(self.incoming(uid), name)
        with acting_as(self.writing_as(uid)):
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
        directories = map(self.incoming, self.uids)
        return os.path.lexists(self.bell) and all(map(os.path.isdir, directories))

    def is_empty(self) -> bool:
        """Tell if nothing waits here, nor anybody who may write; no, if nobody can say."""
        with contextlib.suppress(OSError):
            return not any(os.listdir(self.incoming(uid)) for uid in self.uids)
        return False

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


@functools.cache
def _groups(uid: int) -> frozenset[int]:
    """Return the groups of a user, as the databases have them."""
    try:
        name, _, _, gid, *_ = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    return frozenset(os.getgrouplist(name, gid))


def may_have_records(name: str) -> bool:
    """Tell by its file name if something is a segment that records may be written to.

    One without a tag says only that its writer is there.
    """
    found = _SEGMENT_NAME.fullmatch(name)
    return found is not None and found[1] is not None


def is_plain(found: os.stat_result, uid: int) -> bool:
    """Tell if a file is a regular one of user `uid` with one name only: no link, no device."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == uid and found.st_nlink == 1
