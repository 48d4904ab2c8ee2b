"""The rollovers of a log file whose handler decides: the stdlib's, or a subclass.

*When* and *how* is the handler's own business: `maxBytes`, `rolloverAt`, `computeRollover`,
`rotation_filename`, `rotate`, `doRollover`, a `namer`, a `rotator`, a subclass. Here is
decided which lines are written before it, and which ones belong into a backup still.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, NamedTuple

from queuelog.base import can_roll_over, detach_stream, is_stdlib, rotates
from queuelog.sinks.protocol import Items, interrupts
from queuelog.sinks.rollover import Backup, Rollover
from queuelog.spool.frame import FOREVER

_ENDLESS = 1 << 60  # bytes: no file becomes as long


class _Rolled(NamedTuple):
    """A file that was rolled over: it holds the records created before `end`."""

    end: float
    backup: Backup


class HandlerRollover(Rollover):
    """The rollovers of one file, by the handler that the user configured last."""

    def __init__(self, handler: logging.FileHandler, previous: Rollover | None = None) -> None:
        super().__init__(handler)
        self._rolled: deque[_Rolled] = deque(maxlen=64)
        self._begin = float("-inf")  # records created before belong to a backup
        self._unfinished: tuple[str, str] | None = None  # what a rollover failed to rotate
        self.rotates = rotates(handler)
        self.is_possible = can_roll_over(handler)
        self.max_bytes: int = getattr(handler, "maxBytes", 0)
        self.needs_size = self.max_bytes > 0
        self.is_timed = hasattr(handler, "rolloverAt") and hasattr(handler, "computeRollover")
        if isinstance(previous, HandlerRollover):
            self._go_on(previous)

    def _go_on(self, previous: HandlerRollover) -> None:
        """Know the backups that a handler has made which is configured anew."""
        self._rolled, self._begin = previous._rolled, previous._begin
        period = _period(self.handler)
        if period is not None and period == _period(previous.handler):
            # A new handler counts its period from the file's last write: one that is configured
            # anew at every SIGHUP might never roll over.
            self.handler.rolloverAt = previous.handler.rolloverAt

    def is_due(self, created: float, line: bytes, size: int) -> bool:
        """Tell if the file, of `size` bytes, rolls over before this line; neither if it waits."""
        if self.waits:
            return False
        if self.is_timed:
            return bool(created >= self.handler.rolloverAt)
        return size > 0 and 0 < self.max_bytes <= size + len(line)

    def next(self, size: int) -> tuple[float | None, int | None]:
        """Return when the file, of `size` bytes, rolls over, or how many bytes it takes before.

        Neither if that is never: a handler of the user's own may say so by any value.
        """
        if self.is_timed:
            at = self.handler.rolloverAt
            return at if isinstance(at, (int, float)) and abs(at) < FOREVER else None, None
        return None, max(0, self.max_bytes - size) if 0 < self.max_bytes < _ENDLESS else None

    def begin_with(self, created: float) -> None:
        """The first line that is known of the file was created then: its period is that line's.

        A handler takes it from the file's last write, which can be later: lines that a crash has
        held up may be written on another day, and a file be made anew for them.
        """
        if self.is_timed and created > 0:  # else it has no time
            end = _next_rollover(self.handler, created)
            if end <= time.time():
                self.handler.rolloverAt = min(self.handler.rolloverAt, end)

    def last_write(self, created: float) -> float | None:
        """Return when the file, whose last line was created then, should have been written last.

        That is in its period, if this is over already; else None: it is the time of the write.
        """
        if not self.is_timed or self.handler.rolloverAt > time.time():
            return None
        end: float = self.handler.rolloverAt
        return min(max(created, end - getattr(self.handler, "interval", 1)), end - 1)

    def piece(
        self, lines: Items, start: int, size: int, created: float
    ) -> tuple[Backup | None, int]:
        """Return where the line at `start` goes, and the index behind those that go there, too."""
        late = self._rolled_with(created)
        backup = late.backup if late is not None and _is_there(late.backup) else None
        return backup, self._end_of_piece(lines, start, size, late)

    def _rolled_with(self, created: float) -> _Rolled | None:
        """Return what the file became that had the record; None if it is the file of now."""
        if created >= self._begin:
            return None
        return next((one for one in self._rolled if created < one.end), None)

    def _end_of_piece(self, lines: Items, start: int, size: int, late: _Rolled | None) -> int:
        if self.waits:
            return len(lines)
        if self.max_bytes > 0:
            size += len(lines[start][1])
            for index in range(start + 1, len(lines)):
                size += len(lines[index][1])
                if size >= self.max_bytes:
                    return index
        elif self.is_timed:
            # Where the backup is gone, they go into the file all the same.
            end = self.handler.rolloverAt if late is None else late.end
            if end <= time.time():  # else all: those of the future count as of now
                return bisect_left(lines, end, start + 1, key=itemgetter(0))
        return len(lines)

    def roll_over(
        self, created: float, identity: tuple[int, int], end: float | None = None
    ) -> None:
        """Let the handler roll the closed file over, for a line that was created then."""
        handler = self.handler
        end = getattr(handler, "rolloverAt", 0.0) if end is None else end
        self._next_try = 0.0
        failed: list[tuple[str, str]] = []
        try:
            if not is_stdlib(handler, "doRollover"):
                handler.stream = handler._open()  # noqa: SLF001  # it expects one to close
            with _watched(handler, self.is_timed, failed) as moved:
                self._do_rollover()
        except BaseException as error:  # it is the user's code: a rotator, a namer, a subclass
            if interrupts(error):
                raise
            self._failed(error)
            return
        finally:
            self._unfinished = failed[0] if failed and is_stdlib(handler, "doRollover") else None
            detach_stream(handler)
        if self.is_timed:
            self._begin = end
            handler.rolloverAt = _next_rollover(handler, created)
            self._rolled += [_Rolled(end, Backup(path, *identity)) for path in moved]

    def _do_rollover(self) -> None:
        """Roll over, or do what is left of a rollover whose rotator failed.

        From the beginning, each further try would move every backup on, and the oldest away.
        """
        if self._unfinished is not None and not os.path.lexists(self._unfinished[1]):
            self.handler.rotate(*self._unfinished)
        else:
            self.handler.doRollover()


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
    before = {name: vars(handler)[name] for name in replaced if name in vars(handler)}
    vars(handler).update(replaced)
    try:
        yield moved
    finally:
        for name in replaced:
            del vars(handler)[name]
        vars(handler).update(before)


def _is_there(backup: Backup) -> bool:
    """Tell if a backup is still the plain file that it was."""
    with suppress(OSError):
        found = os.lstat(backup.path)
        return (found.st_dev, found.st_ino) == (backup.device, backup.inode)
    return False


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
    if not hasattr(handler, "rolloverAt"):
        return None
    return tuple(getattr(handler, name, None) for name in ("when", "interval", "utc", "atTime"))
