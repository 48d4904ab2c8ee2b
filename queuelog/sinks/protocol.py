"""What every sink can do, and the mark by which it tells how far it has come."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from queuelog.base import native
from queuelog.spool import frame
from queuelog.spool.status import SinkStatus

Items = list[frame.Item]


class Mark(NamedTuple):
    """How far a batch has got in one sink, when its next piece is about to be written.

    `done` items are written. `token` is plain data that only the sink understands, by which it can
    tell later how much of the next piece is; None if it is known that nothing is.
    """

    done: int = 0
    token: Any = None


SaveMark = Callable[[Mark], None]


class Unanswered(OSError):  # noqa: N818  # no error yet
    """What was written is under way, or somebody else has a say first. Call `resume` later.

    That is when the sink `is_ready`, at the latest.
    """


class Awaited(NamedTuple):
    """Where an answer comes: a descriptor, and for what to `poll` it; -1 if it does not ring.

    `since` is when there was progress last, of the monotonic clock.
    """

    fd: int
    events: int
    since: float


def interrupts(error: BaseException) -> bool:
    """Tell if somebody interrupts this process: all else that a user's code raises is its failure.

    Signal handlers raise in the main thread only, in which `stop` writes. It is also the one in
    which a child goes on that such code has forked: the owner is its parent.
    """
    in_main_thread = native("_thread", "get_native_id")() == os.getpid()
    return in_main_thread and not isinstance(error, Exception)


class Sink(ABC):
    """One place where records end. One thread at a time uses it.

    `records` is how many were written since it was made.
    """

    records = 0

    def status(self, sink_id: str) -> SinkStatus:
        """Return what others may know of it; touches no file, since its disk may stand still."""
        return SinkStatus(sink_id, records=self.records)

    @abstractmethod
    def accept(self, kind: int, items: Items) -> Items:
        """Return items of a frame kind as this sink writes them."""

    @abstractmethod
    def write(self, items: Items, save_mark: SaveMark) -> None:
        """Write the items, and give out a mark before each piece.

        Raises:
            Unanswered: it goes on by itself; `awaits` says where an answer comes.
            OSError: it failed for now. Call `resume` with the last mark later.
            Exception: as OSError; a user's handler may raise anything.
        """

    @abstractmethod
    def resume(self, items: Items, mark: Mark) -> int:
        """Finish what was begun behind `mark`; return how many of the items are written now.

        Raises:
            OSError: it failed for now; call it again later.
        """

    @property
    def can_roll_over(self) -> bool:
        """Whether there is a file, and a policy of how it rolls over."""
        return False

    def roll_over(self) -> bool:
        """Roll the file over now, between two batches; return False if it is empty.

        Raises:
            OSError: it failed, or another process owns the file.
            Exception: a user's handler may raise anything.
        """
        return False

    @property
    def will_roll_over(self) -> bool:
        """Whether there is a file that rolls over some day, also if no item comes."""
        return False

    def awaits(self) -> Awaited | None:
        """Return where the answer comes to what was `Unanswered`; None if none is awaited."""
        return None

    def is_ready(self) -> bool:
        """Go on with what was `Unanswered`, without waiting; tell if `resume` would get further."""
        return False

    def claim(self) -> None:  # noqa: B027  # a handler of the user's own has no lock
        """Keep other processes from owning this; harmless if repeated.

        Raises:
            FileInUseError: another process owns it.
            OSError: the lock cannot be taken.
        """

    def rotate(self, now: float) -> None:  # noqa: B027  # most have no files to rotate
        """Roll over and remove what is due without an item; `now` in seconds since the epoch.

        Called about once a second, between two batches.

        Raises:
            OSError: it failed; nothing is lost.
        """

    @abstractmethod
    def tick(self, now: float) -> None:
        """Do what is due without an item, about once a second; `now` in seconds since the epoch."""

    def is_idle(self, seconds: float) -> bool:
        """Tell if nothing was written for so long; never, unless there is a good reason to ask."""
        return False

    @abstractmethod
    def let_go(self) -> None:
        """Hold no descriptor; the next write opens what it needs."""

    def abandon(self) -> None:
        """In a forked child: hold no descriptor, and write nothing of what the parent will."""
        self.let_go()

    @abstractmethod
    def close(self) -> None:
        """Let go of everything, locks included, and leave the handler as it was."""
