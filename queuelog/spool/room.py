"""The room that one process finds in a spool, and when it looks again where there was none.

It looks only where it needs another segment: what a look costs is paid once for a thousand records.
"""

from __future__ import annotations

import queue
import resource
from time import monotonic
from typing import NamedTuple, NoReturn

from queuelog.spool.backlog import is_emptying, longest, room_for
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.tail import SEGMENT_SIZE

CHECK = 0.02  # seconds between two looks at a spool that was full, at least
_PART = 20  # a look takes no more than this part of the time: the reader needs the processor, too
_SMALLEST = 1 << 12  # bytes


class Found(NamedTuple):
    """How many bytes a sink may add, and how many of them its next segment; none: it is full."""

    room: int = 0
    capacity: int = 0


class Room:
    """What there is for each slot. `limit` is the backlog limit in bytes."""

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._segment_size = SEGMENT_SIZE
        self._full_until: dict[int, float] = {}  # by slot
        self._gave_up: set[int] = set()  # slots

    def look(self, slot: int, tag: str) -> Found:
        """Return what room there is now for a slot, whose first sink has this tag.

        Raises:
            queue.Full: there was none a moment ago.
        """
        if monotonic() < self._full_until.get(slot, 0.0) and not is_emptying():
            raise queue.Full
        began = monotonic()
        room, writers = room_for(tag, self._directory, self._limit)
        if room < _SMALLEST:
            self._look_later(slot, monotonic() - began)
            return Found()
        # Room is looked at only here: with many writers the segments must be small, or they
        # could go far beyond it before they are full.
        share = max(_SMALLEST, room // (writers + 1))
        return Found(room, min(self._segment_size, share, _file_limit()))

    def refuse(self, slot: int) -> NoReturn:
        """Raise `queue.Full`: the kernel has no room for this slot. Look again later."""
        self._look_later(slot)
        raise queue.Full

    def _look_later(self, slot: int, took: float = 0.0) -> None:
        """Look again later; the last look took so many seconds."""
        self._full_until[slot] = monotonic() + max(CHECK, _PART * took)

    def may_be_waited_for(self, slot: int, length: int) -> bool:
        """Tell if room for so many bytes may come, and was not waited for in vain since it went."""
        return slot not in self._gave_up and length <= longest(self._directory.path, self._limit)

    def give_up(self, slot: int) -> None:
        """Wait no more for this slot, until it has had room again."""
        self._gave_up.add(slot)

    def had(self, slot: int) -> None:
        """There was room for a further segment of this slot."""
        self._gave_up.discard(slot)

    def forget(self) -> None:
        """In a forked child: look anew."""
        self._full_until.clear()
        self._gave_up.clear()


def _file_limit() -> int:
    """Return how long a file of this process may be (`ulimit -f`), in bytes."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return SEGMENT_SIZE if limit == resource.RLIM_INFINITY else limit
