"""The rollovers of a log file with a policy: of a `RollingFileHandler`, or `start(rotation=…)`."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from operator import itemgetter

from queuelog.rotation.rolling import Rolling
from queuelog.sinks.protocol import Items
from queuelog.sinks.rollover import Backup, Rollover


class PolicyRollover(Rollover):
    """The rollovers of the file of `handler` with its policy."""

    makes_directory = True

    def __init__(self, handler: logging.FileHandler, rolling: Rolling) -> None:
        super().__init__(handler)
        self.rotates = rolling.policy.rotates
        self.rolling = rolling

    def next(self, size: int) -> tuple[float | None, int | None]:
        """Return when the file rolls over, and how many bytes it takes before."""
        return self.rolling.next(size)

    def opened(self) -> None:
        """Another file has the path."""
        self.rolling.opened()

    def is_due(self, created: float, line: bytes, size: int) -> bool:
        """Tell if the file rolls over before this line; not if it waits."""
        return not self.waits and self.rolling.is_due(created, len(line), size, time.time())

    def piece(
        self, lines: Items, start: int, size: int, created: float
    ) -> tuple[Backup | None, int]:
        """Return where the line at `start` goes, and the index behind those that go there, too."""
        if self.waits:
            return None, len(lines)
        now = time.time()
        late, period = self.rolling.backup_for(created, len(lines[start][1]), now)
        size = size if late is None else late.size
        # Those of the future count as of now.
        end = len(lines) if now < period.end else bisect_left(
            lines, period.end, start + 1, key=itemgetter(0)
        )  # fmt: skip
        end = self._fitting(lines, start, end, size)
        return None if late is None else Backup(late.path, late.device, late.inode), end

    def _fitting(self, lines: Items, start: int, end: int, size: int) -> int:
        """Return the index behind the lines for which a file of `size` bytes has room."""
        size += len(lines[start][1])
        for index in range(start + 1, end if self.rolling.policy.max_size else start):
            if not self.rolling.policy.fits(size, len(lines[index][1])):
                return index
            size += len(lines[index][1])
        return end

    def roll_over(
        self, created: float, identity: tuple[int, int], end: float | None = None
    ) -> None:
        """Roll the closed file over."""
        try:
            self.rolling.roll_over(time.time())
            self._next_try = 0.0
        except OSError as error:
            self._failed(error)

    def begin(self, fd: int) -> None:
        """Prepare the file, open as `fd` and empty, for its first line."""
        self.rolling.begin(fd, time.time())

    def is_over(self, now: float, size: int) -> bool:
        """Tell if the period of the file is over."""
        return not self.waits and self.rolling.is_over(now, size)

    @property
    def waits_for_no_line(self) -> bool:
        """Whether periods end."""
        return self.rolling.policy.when is not None

    @property
    def is_busy(self) -> bool:
        """Whether a backup is being compressed."""
        return self.rolling.is_busy

    def tick(self, now: float) -> None:
        """Compress and remove backups."""
        self.rolling.tick(now)

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self.rolling.abandon()

    def close(self) -> None:
        """End what is done in the background."""
        self.rolling.close()
