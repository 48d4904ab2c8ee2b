"""A log file and its one owner: appends bytes, and rolls over as the user's handler says.

*When* to roll over and *how* is the handler's own business: `maxBytes`, `rolloverAt`,
`computeRollover`, `rotation_filename`, `rotate`, `doRollover`, a `namer`, a `rotator`, a subclass.
The bytes are written here, through a descriptor of our own, because a buffered file object that a
thread uses must not be inherited by a forked worker.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import stat
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, NamedTuple

from queuelog._description import detach_stream, is_stdlib, preamble
from queuelog._ledger import Mark
from queuelog._native import native
from queuelog._report import report
from queuelog._spool import FileLock, file_lock
from queuelog.errors import FileInUseError

Lines = Sequence[tuple[float, bytes]]  # created, line
Note = Callable[[Mark], None]
_RETRY_ROLLOVER = 10.0  # seconds
_AT_ONCE = 0.001  # seconds in which nobody can move a file away, compress and remove it
_CREATION = 0.1  # seconds from moving a file away to the creation of another, at most
_REMOVAL = 1.0  # seconds from a compressor's last read to the removal, at most
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class _Backup(NamedTuple):
    """A file that was rolled over: it holds the records created before `end`."""

    end: float
    path: str
    device: int
    inode: int


class FileSink:
    """One log file. `lock` is what keeps other owners away; `nofollow` refuses a link as path."""

    def __init__(
        self, sink_id: str, handler: logging.FileHandler, lock: FileLock, *, nofollow: bool = False
    ) -> None:
        self.id = sink_id
        self.path = handler.baseFilename
        self._lock = lock
        self._nofollow = os.O_NOFOLLOW if nofollow else 0
        self._fd = -1
        self._identity = (0, 0)  # device and inode of the descriptor
        self._begin = float("-inf")  # records created before belong to a backup
        self._backups: deque[_Backup] = deque(maxlen=64)
        self._next_try = 0.0
        self.last_used = time.monotonic()
        self.take(handler)

    def take(self, handler: logging.FileHandler) -> None:
        """Roll over as `handler` says from now on; its own stream is closed."""
        previous = getattr(self, "handler", None)
        if _period(handler) is not None and _period(handler) == _period(previous):
            # A new handler counts its period from the file's last write: one that is configured
            # anew at every SIGHUP might never roll over.
            handler.rolloverAt = previous.rolloverAt  # type: ignore[attr-defined, union-attr]
        self.handler: Any = handler
        self._preamble = preamble(handler)
        self._max_bytes: int = getattr(handler, "maxBytes", 0)
        self._timed = hasattr(handler, "rolloverAt") and hasattr(handler, "computeRollover")
        truncates = handler.mode.startswith("w") and handler.stream is None
        detach_stream(handler)
        # What the user's mode asks for is done once, on the first opening: reopened with "w" after
        # stop(), the handler would empty the file.
        self._truncate = os.O_TRUNC if truncates and self._fd < 0 else 0
        handler.mode = "a"
        self._unfinished: tuple[str, str] | None = None  # what a rollover failed to rotate

    def claim(self, note: str) -> None:
        """Take the lock of the file; harmless if it is ours.

        Raises:
            FileInUseError: another process owns the file with another spool.
        """
        if self._lock.is_removed():
            self._lock.release()
            self._lock = file_lock(self.id)
        if not self._lock.acquire(note):
            raise FileInUseError(self.path, self._lock.holder())

    def write(self, lines: Lines, note: Note, done: int = 0) -> None:
        """Append `lines`, which are in order of time, from the index `done` on.

        `note` is called before every piece with the mark to put into the ledger.

        Raises:
            OSError: a piece could not be written. Call `resume` with the last mark, later.
        """
        while done < len(lines):
            first = self._effective(lines[done][0])
            if self._is_due(first, lines[done][1]):
                note(Mark(done))
                self._roll_over(first)
            backup = self._backup_for(first)
            end = self._piece(lines, done, backup)
            piece = lines if (done, end) == (0, len(lines)) else lines[done:end]
            data = b"".join([line for _, line in piece])
            if backup is None:
                self._append(data, note, done)
            else:
                self._append_to_backup(backup, data, note, done)
            done = end
        self.last_used = time.monotonic()

    def resume(self, lines: Lines, mark: Mark, note: Note) -> None:
        """Write what is missing of a batch that was interrupted at `mark`.

        What the file has grown by since then is compared with what should have been written. If
        it is another file, or somebody else wrote to it, all is written again, and reported.
        """
        done = mark.done
        if mark.path:
            expected = self._with_preamble(mark.size, [line for _, line in lines[done:]])
            written = self._written(mark, b"".join(expected))
            if written is None:
                report(
                    f"doubled {self.path}",
                    f"{self.path} is not what it was when a batch was interrupted: "
                    f"{len(lines) - done} lines may now be in it twice",
                )
            else:
                done += self._complete(mark, expected, written)
        self.write(lines, note, done)

    def _with_preamble(self, size: int, lines: list[bytes]) -> list[bytes]:
        return [self._preamble + lines[0], *lines[1:]] if size == 0 and lines else lines

    def _written(self, mark: Mark, expected: bytes) -> int | None:
        """Return how much of `expected` is in the file of `mark`; None if nobody can tell."""
        with suppress(FileNotFoundError):
            fd = os.open(mark.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.fstat(fd)
                if (found.st_dev, found.st_ino) == (mark.device, mark.inode):
                    grown = os.pread(fd, len(expected), mark.size)
                    if found.st_size >= mark.size and expected.startswith(grown):
                        return len(grown)
                    # Truncated before it was written, the file is the batch, or its beginning.
                    whole = os.pread(fd, len(expected) + 1, 0)
                    return len(whole) if whole and expected.startswith(whole) else None
            finally:
                os.close(fd)
        report(f"gone {mark.path}", f"{mark.path} was replaced while a batch was being written")
        return None

    def _complete(self, mark: Mark, expected: list[bytes], written: int) -> int:
        """Finish the line that was cut short; return how many lines of `expected` are written."""
        count = 0
        for line in expected:
            if written < len(line):
                break
            written -= len(line)
            count += 1
        if written:
            fd = os.open(mark.path, _FLAGS & ~os.O_CREAT | self._nofollow)
            try:
                _write_all(fd, expected[count][written:])
            finally:
                os.close(fd)
            count += 1
        return count

    def _effective(self, created: float) -> float:
        """A record cannot be of the future, whatever clock or worker says so."""
        return min(created, time.time())

    def _is_due(self, created: float, line: bytes) -> bool:
        if time.monotonic() < self._next_try:
            return False
        if self._timed:
            return bool(created >= self.handler.rolloverAt)
        if self._max_bytes > 0:
            self._reopen_if_moved()
            size = os.fstat(self._fd).st_size
            return size > 0 and size + len(line) >= self._max_bytes
        return False

    def _backup_for(self, created: float) -> _Backup | None:
        """Return the backup to which a late record belongs, if it is still a plain file."""
        if created >= self._begin:
            return None
        for backup in self._backups:
            if created < backup.end:
                with suppress(OSError):
                    found = os.lstat(backup.path)
                    if (found.st_dev, found.st_ino) == (backup.device, backup.inode):
                        return backup
                return None
        return None

    def _piece(self, lines: Lines, start: int, backup: _Backup | None) -> int:
        """Return the index behind the lines that go where the line at `start` goes."""
        if time.monotonic() >= self._next_try:
            if self._max_bytes > 0:
                return self._piece_by_size(lines, start)
            if self._timed:
                return self._piece_by_time(lines, start, backup)
        return len(lines)

    def _piece_by_size(self, lines: Lines, start: int) -> int:
        self._reopen_if_moved()
        size = os.fstat(self._fd).st_size + len(lines[start][1])
        for index in range(start + 1, len(lines)):
            size += len(lines[index][1])
            if size >= self._max_bytes:
                return index
        return len(lines)

    def _piece_by_time(self, lines: Lines, start: int, backup: _Backup | None) -> int:
        if backup is None and lines[start][0] < self._begin:
            return start + 1  # late, and its backup is gone; the next one's may not be
        end = self.handler.rolloverAt if backup is None else backup.end
        if end > time.time():
            return len(lines)  # those of the future count as of now
        return bisect_left(lines, end, start + 1, key=itemgetter(0))

    def _append(self, data: bytes, note: Note, done: int) -> None:
        while True:
            self._reopen_if_moved()
            size = os.fstat(self._fd).st_size
            note(Mark(done, self.path, *self._identity, size))
            looked = time.monotonic()
            if self._is_moved():  # while the ledger was written
                continue
            try:
                _write_all(self._fd, data if size else self._preamble + data)
            except OSError:
                self._close_file()  # a broken file system can only be unmounted and repaired then
                raise
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
        found = os.fstat(self._fd)
        if written - looked > _AT_ONCE and self._is_moved():
            sleep = native("time", "sleep")
            while found.st_nlink and time.monotonic() - written < _REMOVAL:
                sleep(0.01)
                found = os.fstat(self._fd)
        if found.st_nlink or not self._is_moved():  # /dev/stdout may lead to a file without a name
            return False
        return found.st_atime_ns <= found.st_mtime_ns

    def _append_to_backup(self, backup: _Backup, data: bytes, note: Note, done: int) -> None:
        fd = os.open(backup.path, _FLAGS & ~os.O_CREAT | os.O_NOFOLLOW)
        try:
            note(Mark(done, backup.path, backup.device, backup.inode, os.fstat(fd).st_size))
            _write_all(fd, data)
        finally:
            os.close(fd)

    def _reopen_if_moved(self) -> None:
        """Follow logrotate and everybody else who moves or removes the file."""
        if self._fd >= 0:
            if not self._is_moved():
                return
            self._close_file()
            self._wait_for_another()
        # O_NONBLOCK: should a FIFO be in its place, opening it would wait for a reader.
        fd = self._open(_FLAGS | os.O_NONBLOCK | self._truncate)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or (self._nofollow and found.st_nlink != 1):
            os.close(fd)
            raise OSError(f"{self.path} is no longer a regular file of one name")
        self._fd, self._identity, self._truncate = fd, (found.st_dev, found.st_ino), 0

    def _wait_for_another(self) -> None:
        """Let whoever moved the file make the new one, with the permissions that it shall have.

        logrotate moves what is in its way aside, over what it has moved aside in the same hour.
        """
        end, sleep = time.monotonic() + _CREATION, native("time", "sleep")
        while not os.path.lexists(self.path) and time.monotonic() < end:
            sleep(0.001)

    def _open(self, flags: int) -> int:
        if not self._nofollow:
            return os.open(self.path, flags, 0o666)
        # A stranger named the path, and may own a directory of it: what was no link when the path
        # was checked can be one by now.
        directory, name = os.path.split(self.path)
        parent = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if os.readlink(f"/proc/self/fd/{parent}") != directory:
                raise OSError(f"{directory} leads to another directory by now")
            return os.open(name, flags | self._nofollow, 0o666, dir_fd=parent)
        finally:
            os.close(parent)

    def _is_moved(self) -> bool:
        with suppress(OSError):
            found = os.stat(self.path)
            return (found.st_dev, found.st_ino) != self._identity
        return True

    def close_if_unused(self, idle: float) -> bool:
        """Close the file if it was moved away, or not written to for `idle` seconds.

        Return whether the latter is so.
        """
        unused = time.monotonic() - self.last_used > idle
        if self._fd >= 0 and (unused or self._is_moved()):
            self._close_file()
        return unused

    def _roll_over(self, created: float) -> None:
        """Let the handler roll over. If it fails, go on with the file: too long, but complete."""
        handler: Any = self.handler
        identity, end = self._identity, getattr(handler, "rolloverAt", 0.0)
        failed: list[tuple[str, str]] = []
        self._close_file()
        try:
            if not is_stdlib(handler, "doRollover"):
                handler.stream = handler._open()  # noqa: SLF001  # it expects one to close
            with _watched(handler, self._timed, failed) as moved:
                self._do_rollover()
        except Exception as error:  # it is the user's code: a rotator, a namer, a subclass
            self._next_try = time.monotonic() + _RETRY_ROLLOVER
            report(f"rollover {self.path}", f"cannot roll over {self.path}: {error!r}")
            return
        finally:
            self._unfinished = failed[0] if failed and is_stdlib(handler, "doRollover") else None
            detach_stream(handler)
        if self._timed:
            self._begin = end
            handler.rolloverAt = _next_rollover(handler, created)
            self._backups += [_Backup(end, path, *identity) for path in moved]

    def _do_rollover(self) -> None:
        """Roll over, or do what is left of a rollover whose rotator failed.

        From the beginning, each further try would move every backup on, and the oldest away.
        """
        if self._unfinished is not None and not os.path.lexists(self._unfinished[1]):
            self.handler.rotate(*self._unfinished)
        else:
            self.handler.doRollover()

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Close the file and let other processes own it."""
        self._close_file()
        self._lock.release()


@contextmanager
def _watched(handler: Any, timed: bool, failed: list[tuple[str, str]]) -> Iterator[list[str]]:
    """Learn to where a rollover moves the file, and keep a timed one from replacing a backup.

    What a rotator failed to move is added to `failed`, and the part of it that was made is removed.
    Where a clock steps back, or summer time ends, a timed rollover arrives at a name that it has
    used: it would remove that backup (before Python 3.12) or not roll over at all.
    """
    moved: list[str] = []
    rotate, rotation_filename = handler.rotate, handler.rotation_filename

    def watch_rotate(source: str, dest: str) -> None:
        before, new = _version(source), not os.path.lexists(dest)
        try:
            rotate(source, dest)
        except BaseException:
            if new and before is not None and _version(source) == before:
                failed.append((source, dest))
                with suppress(OSError):
                    os.unlink(dest)
            raise
        moved.append(dest)

    def free_filename(default_name: str) -> str:
        name: str = rotation_filename(default_name)
        number = 1
        while timed and os.path.exists(name):
            name = rotation_filename(f"{default_name}.{number}")
            number += 1
        return name

    replaced = {"rotate": watch_rotate, "rotation_filename": free_filename}
    own = {name: vars(handler)[name] for name in replaced if name in vars(handler)}
    vars(handler).update(replaced)
    try:
        yield moved
    finally:
        for name in replaced:
            del vars(handler)[name]
        vars(handler).update(own)


def _version(path: str) -> tuple[int, ...] | None:
    """Return what changes when a file does; None if there is none."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _next_rollover(handler: Any, created: float) -> float:
    """Return the end of the period in which `created` lies.

    `doRollover` has set it by the clock, but a backlog is written later than it was logged. Up to
    Python 3.11 `computeRollover` is an hour off where summer time begins or ends.
    """
    at: float = handler.computeRollover(int(created))
    when = getattr(handler, "when", "")
    if (when == "MIDNIGHT" or when.startswith("W")) and not handler.utc:
        wanted = handler.atTime or dt.time()
        for shift in (0, -3600, 3600):
            if time.localtime(at + shift)[3:6] == (wanted.hour, wanted.minute, wanted.second):
                return at + shift
    return at


def _period(handler: Any) -> tuple[Any, ...] | None:
    """Return what decides when a timed handler rolls over, or None for other handlers."""
    names = ("when", "interval", "utc", "atTime")
    if not hasattr(handler, "rolloverAt"):
        return None
    return tuple(getattr(handler, name, None) for name in names)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):  # a full disk, or the kernel's limit of 2 GiB a write
        written += os.write(fd, data[written:])
