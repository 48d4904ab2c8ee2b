"""The spool directory: where it is, who may write to it, what lies in it.

    SPOOL/lock          flock: held by the process that owns the spool and so the log files
    SPOOL/ledger        what has reached the log files (see _ledger)
    SPOOL/consumed      how many bytes of the segments there are have been dealt with
    SPOOL/bell          FIFO: a writer rings when it has written
    SPOOL/<uid>/        one directory a user that may write
        <pid>-<start>-<n>           segments, each with one writer (see _writer and _reader)
        <pid>-<start>-<sink>.drops  how many records a process has dropped (see _drops)

Segments of another user than the owner's are not trusted: they name only files that the arbiter
knows or allows.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import stat
import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from queuelog.errors import SpoolError

_SHM = "/dev/shm"  # noqa: S108  # what lies there is checked: see _own_directory
_SEGMENT_NAME = re.compile(r"\d{1,10}-\d{1,20}-\d{1,10}")
_MOST_FILES = 10_000  # of each user that anybody looks at: a million would take seconds
_CONSUMED = struct.Struct("<Q")
_DROPS_NAME = re.compile(_SEGMENT_NAME.pattern + r"\.drops")


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

    @property
    def uids(self) -> set[int]:
        """The users that may write."""
        return {self.owner_uid, self.worker_uid}

    def create(self) -> None:
        """Make the directories and the doorbell; harmless if they are there.

        Raises:
            SpoolError: something is in the way that is not ours, or they cannot be made.
        """
        try:
            self._create()
        except SpoolError:
            raise
        except OSError as error:
            raise unusable(self.path, error) from error

    def _create(self) -> None:
        private = self.uids == {self.owner_uid}
        mode = 0o700 if private else 0o711
        _parent_directory(os.path.dirname(self.path), mode, self.owner_uid)
        _own_directory(self.path, mode, self.owner_uid)
        for uid in self.uids:
            _own_directory(self.incoming(uid), 0o700, uid)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.bell)
        if not stat.S_ISFIFO(os.lstat(self.bell).st_mode):
            raise SpoolError(f"{self.bell} is not a FIFO: remove it")
        os.chmod(self.bell, 0o600 if private else 0o666)

    def segments(self) -> Iterator[tuple[int, str]]:
        """Yield user id and file name of every segment."""
        return self._files(_SEGMENT_NAME)

    def drops(self) -> Iterator[tuple[int, str]]:
        """Yield user id and file name of every count of dropped records."""
        return self._files(_DROPS_NAME)

    def _files(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
        for uid in self.uids:
            for entry in self._entries(uid):
                if pattern.fullmatch(entry.name):
                    yield uid, entry.name

    def _entries(self, uid: int) -> Iterator[os.DirEntry[str]]:
        """Yield what user `uid` has in the spool. Should it be too much, the rest is seen later."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.incoming(uid)) as entries:
            yield from itertools.islice(entries, _MOST_FILES)

    def backlog(self) -> tuple[int, int]:
        """Return how many writers have segments here, and how many bytes of these wait."""
        writers = set()
        total = 0
        for uid in self.uids:
            with contextlib.suppress(OSError):
                for entry in self._entries(uid):
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
                        writers.add(entry.name.rpartition("-")[0])
        with contextlib.suppress(OSError, struct.error), open(self.consumed, "rb") as file:
            total -= _CONSUMED.unpack(file.read(_CONSUMED.size))[0]
        return len(writers), total

    def publish_consumed(self, size: int) -> None:
        """Tell the writers that `size` bytes of the segments, though there, are no backlog."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.consumed, flags, 0o600 if self.uids == {self.owner_uid} else 0o644)
        try:
            os.pwrite(fd, _CONSUMED.pack(size), 0)
        finally:
            os.close(fd)


def unusable(path: str, error: OSError) -> SpoolError:
    """Return the error to raise where the spool `path` cannot be written."""
    return SpoolError(
        f"the spool {path} cannot be used ({error.strerror}): the directory that it is in must "
        f"exist and have room; or choose another place with start(spool=…)"
    )


def base_directory() -> str:
    """Return this user's directory for spools and file locks: on tmpfs where there is one."""
    root = _SHM if os.path.isdir(_SHM) and os.access(_SHM, os.W_OK) else tempfile.gettempdir()
    return os.path.join(root, f"queuelog-{os.geteuid()}")


def file_lock(sink_id: str) -> FileLock:
    """Return the lock of a log file: beside the spools of this user, never beside the file.

    Raises:
        SpoolError: the directory for locks is not safe to use.
    """
    locks = os.path.join(base_directory(), "locks")
    for path, mode in ((os.path.dirname(locks), None), (locks, 0o700)):
        _own_directory(path, mode, os.geteuid())
    return FileLock(os.path.join(locks, hashlib.sha256(os.fsencode(sink_id)).hexdigest()[:32]))


def default_path(log_files: Iterable[str]) -> str:
    """Return the spool for these log files: named after the directory that they have in common.

    Without files it is named after the working directory.
    """
    directories = [os.path.dirname(os.path.realpath(path)) for path in log_files]
    common = os.path.commonpath(directories) if directories else os.getcwd()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", common).strip("-")[-40:]
    digest = hashlib.sha256(os.fsencode(common)).hexdigest()[:12]
    return os.path.join(base_directory(), f"{readable}-{digest}")


def _parent_directory(path: str, mode: int, uid: int) -> None:
    """Make the directory in which a spool of user `uid` lies, or check an existing one.

    Others use it, too: it may be /dev/shm itself, or hold spools of other services. So it is given
    what `mode` has and it lacks, where it is ours, and nothing is taken away.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    fd = _open_directory(path, uid)
    try:
        found = os.fstat(fd)
        if found.st_uid not in (0, uid) or (
            found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
        ):
            raise SpoolError(
                f"others could replace a spool in {path}, which user {found.st_uid} owns, with "
                f"mode {stat.S_IMODE(found.st_mode):o}: it must be writable for user {uid} or root "
                f"only, or sticky as /tmp is; or choose another place with start(spool=…)"
            )
        missing = mode & ~found.st_mode
        if missing and found.st_uid == os.geteuid():
            os.fchmod(fd, stat.S_IMODE(found.st_mode) | missing)
    finally:
        os.close(fd)


def _own_directory(path: str, mode: int | None, uid: int) -> None:
    """Make the directory `path` for user `uid`, or check that it is just that already.

    `mode` None leaves that of an existing one as it is.
    """
    made = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        made = True
    fd = _open_directory(path, uid)
    try:
        if made and uid != os.geteuid():
            os.fchown(fd, uid, -1)
        found = os.fstat(fd)
        if found.st_uid != uid:
            raise SpoolError(
                f"{path} belongs to user {found.st_uid}, not to {uid}: remove it, or choose "
                f"another place with start(spool=…)"
            )
        if mode not in (None, stat.S_IMODE(found.st_mode)) and uid == os.geteuid():
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _open_directory(path: str, uid: int) -> int:
    # O_NOFOLLOW: in a directory for all, as /dev/shm is, anyone may have put a link there first.
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SpoolError(
            f"cannot use {path} as part of the spool: {error.strerror}. It must be a directory of "
            f"user {uid}, and no link: remove it, or choose another place with start(spool=…)"
        ) from error


class FileLock:
    """An exclusive `flock` on a small file that says who holds it; never waits.

    It is released by `release`, by the end of the process, and by nothing else; a forked child
    must call `forget`, since it shares the lock with its parent.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    @property
    def held(self) -> bool:
        return self._fd >= 0

    def acquire(self, note: str) -> bool:
        """Try to take the lock, and leave `note` for others to read; return whether it is ours."""
        if self.held:
            return True
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        with contextlib.suppress(OSError):  # no room: the lock counts, not the note
            os.ftruncate(fd, 0)
            os.pwrite(fd, note.encode(), 0)
        return True

    def is_removed(self) -> bool:
        """Tell if somebody has removed the file, so that others could take the lock as well."""
        return self.held and os.fstat(self._fd).st_nlink == 0

    def holder(self) -> str:
        """Return the note that the holder left."""
        with contextlib.suppress(OSError), open(self._path, encoding="utf-8") as file:
            return file.read()
        return "a process that is gone"

    def release(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Close this process's descriptor: in a forked child the parent keeps the lock."""
        if self.held:
            os.close(self._fd)
            self._fd = -1
