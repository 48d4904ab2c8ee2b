"""A log file and its one owner: appends the lines of a batch, each exactly once."""

from __future__ import annotations

import logging
import time

from queuelog.base import detach_stream, preamble, report
from queuelog.base.locks import LogFileLock
from queuelog.errors import FileInUseError
from queuelog.sinks.convert import line_of
from queuelog.sinks.follow import FollowedFile, Position, append_to_backup
from queuelog.sinks.protocol import Items, Mark, SaveMark, Sink
from queuelog.sinks.rollover import Backup, Rollover
from queuelog.spool import frame


class FileSink(Sink):
    """One log file. Its `lock` keeps other owners away; `nofollow` refuses a link as path."""

    def __init__(
        self, handler: logging.FileHandler, lock: LogFileLock, *, nofollow: bool = False
    ) -> None:
        self._lock = lock
        self._file = FollowedFile(handler.baseFilename, nofollow=nofollow)
        self._rollover = Rollover(handler)
        self._last_used = time.monotonic()
        self._take_over(handler)

    @property
    def handler(self) -> logging.FileHandler:
        """The handler that decides when and how the file rolls over."""
        handler: logging.FileHandler = self._rollover.handler
        return handler

    def use(self, handler: logging.FileHandler) -> None:
        """Roll over as `handler` says from now on; its own stream is closed.

        Raises:
            ValueError: there is no such encoding.
        """
        preamble(handler)  # raises before anything is changed
        self._rollover.use(handler)
        self._take_over(handler)

    def _take_over(self, handler: logging.FileHandler) -> None:
        self._preamble = preamble(handler)
        self.has_schedule = self._rollover.timed
        truncates = handler.mode.startswith("w") and handler.stream is None
        detach_stream(handler)
        # What the user's mode asks for is done once, on the first opening: reopened with "w" after
        # stop(), the handler would empty the file.
        self._file.truncate = truncates and not self._file.is_open
        handler.mode = "a"

    def claim(self) -> None:
        """Take the lock of the file, again if somebody has removed it; harmless if it is ours.

        Raises:
            FileInUseError: another process owns the file with another spool.
            SpoolError: the directory for locks is not safe to use.
            OSError: the lock cannot be made.
        """
        if not self._lock.acquire():
            raise FileInUseError(self._file.path, self._lock.holder())

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as lines."""
        if kind == frame.LINE:
            return items
        return [(created, line_of(self.handler, payload)) for created, payload in items]

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Append lines, which are in order of time.

        Raises:
            OSError: a piece could not be written. Call `resume` with the last mark, later.
        """
        done = 0
        while done < len(items):
            created = min(items[done][0], time.time())  # no record is of the future, clock or not
            if self._rollover.is_due(created, items[done][1], self._size()):
                save_mark(Mark(done))
                identity = self._file.path_identity()
                self._file.close()
                self._rollover.roll_over(created, identity)
            backup = self._rollover.backup_for(created)
            end = self._rollover.piece(items, done, self._size(), created)
            piece = items if (done, end) == (0, len(items)) else items[done:end]
            self._append(b"".join([line for _, line in piece]), backup, done, save_mark)
            done = end
        self._last_used = time.monotonic()

    def _size(self) -> int:
        """Return the size of the file if that decides anything: the look has its price."""
        return self._file.size() if self._rollover.max_bytes > 0 else 0

    def _append(self, data: bytes, backup: Backup | None, done: int, save_mark: SaveMark) -> None:
        def save(position: Position) -> None:
            save_mark(Mark(done, position))

        if backup is None:
            self._file.append(data, self._preamble, save)
        else:
            append_to_backup(backup.path, (backup.device, backup.inode), data, save)

    def resume(self, items: Items, mark: Mark) -> int:
        """Complete the line that was cut short behind `mark`; return how many are written.

        What the file has grown by since then is compared with what should have been written. If
        it is another file, or somebody else wrote to it, all is written again, and reported.

        Raises:
            OSError: the file cannot be read, or the line not completed.
        """
        if mark.token is None:
            return mark.done
        position = Position(*mark.token)
        expected = [line for _, line in items[mark.done :]]
        if position.size == 0 and expected:
            expected[0] = self._preamble + expected[0]
        written = position.written(b"".join(expected))
        if written is None:
            report(
                f"doubled {self._file.path}",
                f"{self._file.path} is not what it was when a batch was interrupted: "
                f"{len(expected)} lines may now be in it twice",
            )
            return mark.done
        done = mark.done
        for line in expected:
            if written < len(line):
                break
            written -= len(line)
            done += 1
        if written:
            position.append(expected[done - mark.done][written:], self._file.flags)
            done += 1
        return done

    def tick(self, now: float) -> None:
        """Take a lock again that was removed, and close a file that was moved away: it is complete.

        Raises:
            FileInUseError: another process has taken the lock.
            OSError: the lock cannot be made.
        """
        if self._file.is_open and self._file.is_moved():
            self._file.close()
        self.claim()

    def is_idle(self, seconds: float) -> bool:
        """Tell if nothing was written for so long."""
        return time.monotonic() - self._last_used > seconds

    def let_go(self) -> None:
        """Close the file; the next write opens it."""
        self._file.close()

    def close(self) -> None:
        """Close the file and let other processes own it."""
        try:
            self._file.close()
        finally:  # a network file system reports here what it could not write
            self._lock.close()
