"""When and how a log file rolls over, and into which of its files a line goes."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from queuelog.base import report
from queuelog.sinks.protocol import Items

_RETRY = 10.0  # seconds


class Backup(NamedTuple):
    """A file that was rolled over, and is no archive yet."""

    path: str
    device: int
    inode: int


class Rollover(ABC):
    """The rollovers of the log file of `handler`. One thread at a time uses it.

    `rotates` tells if there will be one, so that nobody else may write the file, and `is_possible`
    if there could be one. `needs_size` tells if `is_due` looks at the size of the file, and
    `is_timed` if only `handler` knows in which period the file is. `makes_directory`: so is the
    file's directory, where it is missing.
    """

    rotates = True
    is_possible = True
    needs_size = True
    is_timed = False
    makes_directory = False

    def __init__(self, handler: logging.FileHandler) -> None:
        self.handler: Any = handler
        self.error = ""  # of the last try, while it waits
        self._next_try = 0.0

    @property
    def waits(self) -> bool:
        """Whether a rollover failed, and is not tried again yet."""
        return time.monotonic() < self._next_try

    def _failed(self, error: BaseException) -> None:
        """Report why a rollover failed, and wait: the file becomes too long, nothing is lost."""
        self._next_try = time.monotonic() + _RETRY
        path = self.handler.baseFilename
        self.error = f"cannot roll over {path}: {error!r}"
        report(f"rollover {path}", self.error)

    @abstractmethod
    def next(self, size: int) -> tuple[float | None, int | None]:
        """Return when the file, of `size` bytes, rolls over, and how many bytes it takes before.

        Seconds since the epoch; None for what does not decide it.
        """

    @abstractmethod
    def is_due(self, created: float, line: bytes, size: int) -> bool:
        """Tell if the file, of `size` bytes, rolls over before this line, that was created then."""

    @abstractmethod
    def piece(
        self, lines: Items, start: int, size: int, created: float
    ) -> tuple[Backup | None, int]:
        """Return the backup into which the line at `start` goes, and the index behind the piece.

        None for the backup is the file itself, of `size` bytes; the piece are the lines that go
        where that one goes, which counts as `created` then.

        Raises:
            OSError: a backup cannot be made.
        """

    @abstractmethod
    def roll_over(
        self, created: float, identity: tuple[int, int], end: float | None = None
    ) -> None:
        """Roll the closed file over, for a line that was created then.

        `identity` is the file's device and inode, and `end` when its period ends, if that is not
        when the policy says. If it fails, that is reported, and tried again later.
        """

    def begin_with(self, created: float) -> None:  # noqa: B027  # most need not know
        """The first line that is known of the file was created then."""

    def last_write(self, created: float) -> float | None:
        """Return when the file, whose last line was created then, should have been written last.

        None if that is the time of the write.
        """
        return None

    def opened(self) -> None:  # noqa: B027
        """Another file has the path than the last one."""

    def begin(self, fd: int) -> None:  # noqa: B027
        """Prepare the file, open as `fd` and empty, for its first line."""

    def is_over(self, now: float, size: int) -> bool:
        """Tell if the file, of `size` bytes, rolls over without waiting for a line."""
        return False

    @property
    def waits_for_no_line(self) -> bool:
        """Whether `is_over` will be true some day."""
        return False

    @property
    def is_busy(self) -> bool:
        """Whether something is being done in the background, which `close` would end."""
        return False

    def tick(self, now: float) -> None:  # noqa: B027
        """Do what is due about once a second, without waiting for anything."""

    def abandon(self) -> None:  # noqa: B027
        """In a forked child: let go of what is the parent's."""

    def close(self) -> None:  # noqa: B027
        """End what is done in the background; the next start goes on with it."""
