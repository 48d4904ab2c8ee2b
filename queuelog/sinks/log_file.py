"""A log file and its backups: which lines go into which of them, and when the file rolls over.

With the rights of the thread that calls; what it writes is not there twice after a crash.
"""

from __future__ import annotations

import logging
import time

from queuelog.base import detach_stream, preamble, report
from queuelog.handlers import policy_of
from queuelog.rotation import Policy
from queuelog.rotation.rolling import Rolling
from queuelog.sinks.follow import FollowedFile
from queuelog.sinks.handler_rollover import HandlerRollover
from queuelog.sinks.policy_rollover import PolicyRollover
from queuelog.sinks.position import Position, append_to_backup
from queuelog.sinks.protocol import Items, Mark, SaveMark
from queuelog.sinks.rollover import Backup, Rollover


class LogFile:
    """The file of `handler`, as `file` while it is open; `bytes` were written to it.

    `policy` is how the file of a plain `logging.FileHandler` rolls over, None for never.
    """

    def __init__(self, handler: logging.FileHandler, policy: Policy | None) -> None:
        self.file = FollowedFile(handler.baseFilename)
        self.file.opened = self._opened
        self.bytes = 0
        self._policy = policy
        self._is_fresh = True  # nothing was written yet
        self.rollover = rollover_of(handler, policy)
        self._take_over(handler)

    def use(self, handler: logging.FileHandler) -> None:
        """Roll over as `handler` says from now on; its own stream is closed.

        Raises:
            ValueError: there is no such encoding.
        """
        preamble(handler)  # raises before anything is changed
        self.rollover = rollover_of(handler, self._policy, self.rollover)
        self._take_over(handler)

    def _take_over(self, handler: logging.FileHandler) -> None:
        self._preamble = preamble(handler)
        truncates = handler.mode.startswith("w") and handler.stream is None
        detach_stream(handler)
        # What the user's mode asks for is done once, on the first opening: reopened with "w" after
        # stop(), the handler would empty the file.
        self.file.truncate = truncates and not self.file.is_open
        self.file.rotates = self.rollover.rotates
        self.file.makes_directory = self.rollover.makes_directory
        handler.mode = "a"

    def _opened(self) -> None:
        self.rollover.opened()
        if self.file.end == 0:
            self.rollover.begin(self.file.fd)

    def roll_over(self) -> bool:
        """Roll over now, and make a new file; return False if this one is empty.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it failed; nothing is lost.
        """
        if not self.file.size():
            return False
        now, identity = time.time(), self.file.path_identity()
        self.rollover.roll_over(now, identity, end=now)
        self.file.close()
        if self.rollover.waits:
            raise OSError(self.rollover.error)
        self.file.size()  # there is a new one, and its lock keeps others away
        return True

    def rotate(self, now: float) -> bool:
        """Roll over at the end of a period; compress backups, and remove those that shall go.

        Return whether it has rolled over.

        Raises:
            FileInUseError: another process owns the file.
            OSError: it failed; nothing is lost.
        """
        if not self.file.is_open:  # another process may own it
            return False
        rolled = self.rollover.is_over(now, self.file.end or 0) and self.roll_over()
        self.rollover.tick(now)
        return rolled

    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Append lines, which are in order of time.

        Raises:
            FileInUseError: another process owns the file.
            OSError: a piece could not be written. Call `resume` with the last mark, later.
        """
        done = 0
        if items and self._is_fresh and self.rollover.is_timed and self.file.is_empty():
            self.rollover.begin_with(items[0][0])
        self._is_fresh = False
        while done < len(items):
            created = min(items[done][0], time.time())  # no record is of the future, clock or not
            size = self._size()
            if self.rollover.is_due(created, items[done][1], size):
                save_mark(Mark(done))
                identity = self.file.path_identity()
                self.rollover.roll_over(created, identity)
                self.file.close()  # only now: its lock keeps others away meanwhile
                size = self._size()
            if size == 0:
                self.rollover.begin(self.file.fd)
            backup, end = self.rollover.piece(items, done, size, created)
            piece = items if (done, end) == (0, len(items)) else items[done:end]
            data = b"".join([line for _, line in piece])
            self._append(data, backup, done, save_mark)
            self.bytes += len(data)
            if backup is None:
                self._keep_period(items[end - 1][0])
            done = end

    def _keep_period(self, created: float) -> None:
        """Let the last write be in the period of the file, whose last line was created then.

        The handler that the next start makes takes the period from there.
        """
        at = self.rollover.last_write(created)
        if at is not None:
            self.file.set_modified(at)

    def _size(self) -> int:
        """Return the size of the file if that decides anything: the look has its price."""
        return self.file.size() if self.rollover.needs_size else 0

    def _append(self, data: bytes, backup: Backup | None, done: int, save_mark: SaveMark) -> None:
        def save(position: Position) -> None:
            save_mark(Mark(done, position))

        if backup is None:
            self.file.append(data, self._preamble, save)
        else:
            identity = backup.device, backup.inode
            append_to_backup(backup.path, identity, data, self._preamble, save)

    def resume(self, items: Items, mark: Mark) -> int:
        """Complete the line that was cut short behind `mark`; return how many are written.

        What the file has grown by since then is compared with what should have been written. If
        it is another file, or somebody else wrote to it, all is written again, and reported.

        Raises:
            OSError: the file cannot be read, or the line not completed.
        """
        position = Position(*mark.token).found()
        expected = [line for _, line in items[mark.done :]]
        if position.size == 0 and expected:
            expected[0] = self._preamble + expected[0]
        found = position.complete(expected)
        if found is None:
            report(
                f"doubled {self.file.path}",
                f"{self.file.path} is not what it was when a batch was interrupted: "
                f"{len(expected)} lines may now be in it twice",
            )
            return mark.done
        done = mark.done + found
        if done and position.path == self.file.path:
            if self._is_fresh:  # another process was interrupted
                self.rollover.begin_with(items[done - 1][0])
            self._keep_period(items[done - 1][0])
        return done


def rollover_of(
    handler: logging.FileHandler, default: Policy | None, previous: Rollover | None = None
) -> Rollover:
    """Return how the file of `handler` rolls over: as it says, or by default.

    Of the `previous` one for the same file is kept what is known of backups and periods; it ends.
    """
    policy = policy_of(handler, default)
    if policy is None:
        if previous is not None:
            previous.close()
        return HandlerRollover(handler, previous)
    if not isinstance(previous, PolicyRollover):
        return PolicyRollover(handler, Rolling(handler.baseFilename, policy))
    previous.rolling.use(policy)
    return PolicyRollover(handler, previous.rolling)
