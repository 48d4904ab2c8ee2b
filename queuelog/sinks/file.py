"""A log file and its one owner: appends the lines of a batch, each exactly once."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress

from queuelog.base import (
    User,
    acting_as,
    detach_stream,
    opened,
    preamble,
    report,
)
from queuelog.handlers import policy_of
from queuelog.rotation.policy import Policy
from queuelog.rotation.rolling import Rolling
from queuelog.sinks.convert import line_of
from queuelog.sinks.follow import FollowedFile, Position, append_to_backup
from queuelog.sinks.handler_rollover import HandlerRollover
from queuelog.sinks.policy_rollover import PolicyRollover
from queuelog.sinks.protocol import Awaited, Items, Mark, SaveMark, Sink
from queuelog.sinks.rollover import Backup, Rollover
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
        self._file = FollowedFile(handler.baseFilename)
        self._rests = False  # holds no file on purpose, until the next write
        self._policy = policy
        self._rollover = rollover_of(handler, policy)
        self._last_used = time.monotonic()
        self._is_fresh = True  # nothing was written yet
        self._bytes = 0  # written
        self._take_over(handler)

    @property
    def handler(self) -> logging.FileHandler:
        """The handler that decides when and how the file rolls over."""
        handler: logging.FileHandler = self._rollover.handler
        return handler

    @property
    def is_timed(self) -> bool:
        """Whether the file rolls over by time: an equal sink made anew would begin a new period."""
        return self._rollover.is_timed

    def use(self, handler: logging.FileHandler) -> None:
        """Roll over as `handler` says from now on; its own stream is closed.

        Raises:
            ValueError: there is no such encoding.
        """
        preamble(handler)  # raises before anything is changed
        self._rollover = rollover_of(handler, self._policy, self._rollover)
        self._take_over(handler)

    def _take_over(self, handler: logging.FileHandler) -> None:
        self._preamble = preamble(handler)
        truncates = handler.mode.startswith("w") and handler.stream is None
        detach_stream(handler)
        # What the user's mode asks for is done once, on the first opening: reopened with "w" after
        # stop(), the handler would empty the file.
        self._file.truncate = truncates and not self._file.is_open
        self._file.rotates = self._rollover.rotates
        self._file.makes_directory = self._rollover.makes_directory
        self._file.opened = self._rollover.opened
        handler.mode = "a"

    def status(self, sink_id: str) -> SinkStatus:
        """Return its size, and when it rolls over next."""
        size = self._file.end
        at, left = self._rollover.next(size or 0)
        return SinkStatus(sink_id, size, at, left, self.records, self._bytes)

    @property
    def can_roll_over(self) -> bool:
        """Whether its handler can, whenever that is due."""
        return self._rollover.is_possible

    def roll_over(self) -> bool:
        """Roll over now; what was logged before, and comes late, belongs to the backup.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it failed; nothing is lost.
        """
        with acting_as(self.user):
            if not self._file.size():
                return False
            now, identity = time.time(), self._file.path_identity()
            self._rollover.roll_over(now, identity, end=now)
            self._file.close()
            if self._rollover.waits:
                raise OSError(self._rollover.error)
            self._file.size()  # there is a new one, and its lock keeps others away
            self._rollover.begin(self._file.fd)
        return True

    def rotate(self, now: float) -> None:
        """Roll over at the end of a period; compress backups, and remove those that shall go.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it failed; nothing is lost.
        """
        if not self._file.is_open or self._rests:  # nor if another process may own it
            return
        with acting_as(self.user):
            if self._rollover.is_over(now, self._file.size()):
                self.roll_over()
            self._rollover.tick(now)

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
            self._write(items, save_mark)
        self._rests = False
        self._last_used = time.monotonic()

    def _write(self, items: Items, save_mark: SaveMark) -> None:
        done = 0
        if items and self._is_fresh and self._rollover.is_timed and self._file.is_empty():
            self._rollover.begin_with(items[0][0])
        self._is_fresh = False
        while done < len(items):
            created = min(items[done][0], time.time())  # no record is of the future, clock or not
            size = self._size()
            if self._rollover.is_due(created, items[done][1], size):
                save_mark(Mark(done))
                identity = self._file.path_identity()
                self._rollover.roll_over(created, identity)
                self._file.close()  # only now: its lock keeps others away meanwhile
                size = self._size()
            if size == 0:
                self._rollover.begin(self._file.fd)
            backup, end = self._rollover.piece(items, done, size, created)
            piece = items if (done, end) == (0, len(items)) else items[done:end]
            data = b"".join([line for _, line in piece])
            self._append(data, backup, done, save_mark)
            self._bytes += len(data)
            if backup is None:
                self._keep_period(items[end - 1][0])
            done = end

    def _keep_period(self, created: float) -> None:
        """Let the last write be in the period of the file, whose last line was created then.

        The handler that the next start makes takes the period from there.
        """
        at = self._rollover.last_write(created)
        if at is not None:
            self._file.set_modified(at)

    def _size(self) -> int:
        """Return the size of the file if that decides anything: the look has its price."""
        return self._file.size() if self._rollover.needs_size else 0

    def _append(self, data: bytes, backup: Backup | None, done: int, save_mark: SaveMark) -> None:
        def save(position: Position) -> None:
            save_mark(Mark(done, position))

        if backup is None:
            self._file.append(data, self._preamble, save)
        else:
            append_to_backup(backup.path, (backup.device, backup.inode), data, save)

    def awaits(self) -> Awaited | None:
        """Tell since when another process that has just opened the file may say that it owns it."""
        since = self._file.awaits_since
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
            return self._complete(items, mark)

    def _complete(self, items: Items, mark: Mark) -> int:
        position = Position(*mark.token).found()
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
            position.append(expected[done - mark.done][written:])
            done += 1
        if done and position.path == self._file.path:
            if self._is_fresh:  # another process was interrupted
                self._rollover.begin_with(items[done - 1][0])
            self._keep_period(items[done - 1][0])
        return done

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
        """Tell if nothing was written for so long."""
        return time.monotonic() - self._last_used > seconds

    def let_go(self) -> None:
        """Close the file and let other processes own it; the next write opens it."""
        self._rests = True
        self.close()

    def abandon(self) -> None:
        """In a forked child: the file stays the parent's."""
        self._rollover.abandon()
        self._file.close()

    def close(self) -> None:
        """Close the file and let other processes own it."""
        with acting_as(self.user):
            self._rollover.close()
        self._file.release()


def rollover_of(
    handler: logging.FileHandler, default: Policy | None, previous: Rollover | None = None
) -> Rollover:
    """Return how the file of `handler` rolls over: as it says, or by default.

    Of the `previous` one for the same file is kept what is known of backups and periods.
    """
    policy = policy_of(handler, default)
    if policy is None:
        return HandlerRollover(handler, previous)
    if not isinstance(previous, PolicyRollover):
        return PolicyRollover(handler, Rolling(handler.baseFilename, policy))
    previous.rolling.use(policy)
    return PolicyRollover(handler, previous.rolling)
