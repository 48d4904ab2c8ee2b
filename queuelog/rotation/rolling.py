"""A policy at work on one log file: when it rolls over, and into which file a line goes.

The live file has the lines of one period, that of now, whichever way the clock goes; a line of
another period goes to a backup of that one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from queuelog.base import report
from queuelog.rotation.backups import Backup, Backups
from queuelog.rotation.policy import Policy
from queuelog.rotation.schedule import Period


class Rolling:
    """The log file `path`, which this process owns. One thread at a time uses it.

    Times are in seconds since the epoch; `now` is the time of the call, and `size` that of the live
    file, in bytes.
    """

    def __init__(self, path: str, policy: Policy) -> None:
        self.policy = policy
        self._path = path
        self._backups = Backups(path, policy)
        self._live: Period | None = None  # of the file that is open; None if nobody has looked
        self._begun: tuple[int, int] | None = None  # device and inode of a file that was prepared

    def use(self, policy: Policy) -> None:
        """Follow another policy from now on."""
        if policy != self.policy:
            self.policy, self._live = policy, None
            self._backups.use(policy)

    def opened(self) -> None:
        """The live file is another one by now: somebody has moved the last one, or it was here.

        Another process may have owned it meanwhile, and a link in its path lead elsewhere.
        """
        self._live = None
        if self._backups.path == os.path.realpath(self._path):
            self._backups.look_again()
        else:
            self._backups.close()
            self._backups = Backups(self._path, self.policy)

    def begin(self, fd: int, now: float) -> None:
        """Prepare the live file for its first line: it is open as `fd`, and empty.

        What fails of it is reported: a line that is in the file counts more.
        """
        found, period = os.fstat(fd), self._backups.schedule.period(now)
        identity = found.st_dev, found.st_ino
        if (self._begun, self._live) != (identity, period):
            self._begun, self._live = identity, period
            with self._reported("begin"):
                self._backups.begin_live(fd, period)

    def is_over(self, now: float, size: int) -> bool:
        """Tell if the period of the live file is another one than that of now."""
        return size > 0 and self._period(now) != self._backups.schedule.period(now)

    def is_due(self, created: float, length: int, size: int, now: float) -> bool:
        """Tell if the file rolls over before a line of `length` bytes, that was created then."""
        if self.is_over(now, size):
            return True
        return created in self._period(now) and not self.policy.fits(size, length)

    def backup_for(self, created: float, length: int, now: float) -> tuple[Backup | None, Period]:
        """Return where a line goes, None for the live file, and the period that the line has.

        A backup that cannot be made is reported: then it is the live file.
        """
        period = self._backups.schedule.period(created)
        if period != self._period(now):
            with self._reported("late"):
                return self._backups.late(period, length), period
        return None, period

    def roll_over(self, now: float) -> str | None:
        """Move the closed live file to its backup; return the path, or None if it was empty.

        Raises:
            OSError: it was not moved.
        """
        path = self._backups.roll_over(self._period(now), now)
        self._live = None
        return path

    def next(self, size: int) -> tuple[float | None, int | None]:
        """Return when the live file rolls over, and how many bytes it takes before.

        None for what the policy does not ask for.
        """
        end = self._backups.schedule.period(time.time()).end
        left = max(0, self.policy.max_size - size) if self.policy.max_size else None
        return end if self.policy.when else None, left

    def tick(self, now: float) -> None:
        """Compress, and remove what shall go; wait for nothing. Call it about once a second."""
        self._backups.tick(now)

    @property
    def is_busy(self) -> bool:
        """Whether something is being done in the background, which `close` would end."""
        return self._backups.is_busy

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self._backups.abandon()

    def close(self) -> None:
        """End what is done in the background; the next process goes on with it."""
        self._backups.close()

    def _period(self, now: float) -> Period:
        """Return the period of the live file; that of now if it has none yet."""
        if self._live is None:
            with self._reported("period"):
                self._live = self._backups.live_period()
        return self._live or self._backups.schedule.period(now)

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            report(f"{what} {self._path}", f"the backups of {self._path}: {error}")
