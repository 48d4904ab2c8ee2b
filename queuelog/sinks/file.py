"""A log file and its one owner: appends the lines of a batch, each exactly once."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress

from queuelog.base import User, acting_as, opened
from queuelog.rotation import Policy
from queuelog.sinks.convert import line_of
from queuelog.sinks.log_file import LogFile
from queuelog.sinks.protocol import Awaited, Items, Mark, SaveMark, Sink
from queuelog.spool import frame
from queuelog.spool.status import SinkStatus


class FileSink(Sink):
    """One log file. `user` is the one with whose rights it is written, None for the owner's.

    `policy` is how the file of a plain `logging.FileHandler` rolls over, None for never.
    """

    def __init__(
        self,
        handler: logging.FileHandler,
        user: User | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.user = user
        self._log = LogFile(handler, policy)
        self._file = self._log.file
        self._rests = False  # holds no file on purpose, until the next write
        self._last_used = time.monotonic()

    @property
    def handler(self) -> logging.FileHandler:
        """The handler that decides when and how the file rolls over."""
        handler: logging.FileHandler = self._log.rollover.handler
        return handler

    @property
    def is_timed(self) -> bool:
        """Whether the file rolls over by time: an equal sink made anew would begin a new period."""
        return self._log.rollover.is_timed

    def use(self, handler: logging.FileHandler) -> None:
        """Roll over as `handler` says from now on; its own stream is closed.

        Raises:
            ValueError: there is no such encoding.
        """
        with acting_as(self.user):
            self._log.use(handler)

    def status(self, sink_id: str) -> SinkStatus:
        """Return its size, and when it rolls over next."""
        size = self._file.end
        at, left = self._log.rollover.next(size or 0)
        return SinkStatus(sink_id, size, at, left, self.records, self._log.bytes)

    @property
    def can_roll_over(self) -> bool:
        """Whether its handler can, whenever that is due."""
        return self._log.rollover.is_possible

    def roll_over(self) -> bool:
        """Roll over now; what was logged before, and comes late, belongs to the backup.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it failed; nothing is lost.
        """
        with acting_as(self.user):
            return self._log.roll_over()

    def rotate(self, now: float) -> None:
        """Roll over at the end of a period; compress backups, and remove those that shall go.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it failed; nothing is lost.
        """
        if not self._rests:
            with acting_as(self.user):
                rolled = self._log.rotate(now)
            if rolled or self._log.rollover.is_busy:
                self._last_used = time.monotonic()  # the next backup shall be compressed, too

    def claim(self) -> None:
        """Own the file, if it is there and can be opened; harmless if it is ours.

        Raises:
            FileInUseError: another process owns it.
        """
        with acting_as(self.user), suppress(OSError):  # what is wrong with it, the write says
            self._file.claim()

    def admit(self, user: User | None) -> None:
        """Let a process of another user write here, whose worker has named the file as well.

        Raises:
            OSError: that user could not write the file.
        """
        if user is None:
            self.user = None  # the owner's own: it needs nobody else's rights
        elif self.user is None or self.user[:2] != user[:2]:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
            with acting_as(user), opened(self._file.path, flags, 0o666):
                pass

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as lines, but for those that the handler's filters do not let pass."""
        if kind == frame.LINE:
            return items
        lines = [(created, line_of(self.handler, payload)) for created, payload in items]
        return [(created, line) for created, line in lines if line is not None]

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Append lines, which are in order of time.

        Raises:
            FileInUseError: another process owns the file.
            OSError: a piece could not be written. Call `resume` with the last mark, later.
        """
        self._rests = True  # if it fails: the file system may have to be repaired
        with acting_as(self.user):
            self._log.write(items, save_mark)
        self._rests = False
        self._last_used = time.monotonic()

    def awaits(self) -> Awaited | None:
        """Tell since when another process that has just opened the file may say that it owns it."""
        since = self._file.claimed.awaits_since
        return Awaited(-1, 0, since) if since else None

    def resume(self, items: Items, mark: Mark) -> int:
        """Complete the line that was cut short behind `mark`; return how many are written.

        What the file has grown by since then is compared with what should have been written. If
        it is another file, or somebody else wrote to it, all is written again, and reported.

        Raises:
            OSError: the file cannot be read, or the line not completed.
        """
        if mark.token is None:
            return mark.done
        with acting_as(self.user):
            return self._log.resume(items, mark)

    def tick(self, now: float) -> None:
        """Close a file that was moved away: it is complete; and own the one that has the path now.

        Raises:
            FileInUseError: another process has it.
        """
        with acting_as(self.user):
            if self._file.is_open and self._file.is_moved():
                self._file.close()
        if not self._rests:
            self.claim()

    def is_idle(self, seconds: float) -> bool:
        """Tell if nothing was written, rolled over or compressed for so long."""
        is_busy = self._log.rollover.is_busy
        return not is_busy and time.monotonic() - self._last_used > seconds

    @property
    def will_roll_over(self) -> bool:
        """Whether the file, as it is, rolls over without waiting for a line."""
        is_empty = not (self._file.is_open and self._file.end)
        return self._log.rollover.waits_for_no_line and not is_empty

    def let_go(self) -> None:
        """Close the file and let other processes own it; the next write opens it."""
        self._rests = True
        self.close()

    def abandon(self) -> None:
        """In a forked child: the file stays the parent's."""
        self._log.rollover.abandon()
        self._file.close()

    def close(self) -> None:
        """Close the file and let other processes own it."""
        with acting_as(self.user):
            self._log.rollover.close()
        self._file.release()
