"""Records of several processes in order of time, though some are written later than others."""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections import deque
from operator import itemgetter

from queuelog.spool.onlooker import Entry

SETTLE = 0.1  # seconds for which a record waits for earlier ones of other processes
_MOST_PENDING = 1 << 26  # bytes of records that wait for that ...
_ENTRY_SIZE = 200  # ... each of which takes so many beside its payload


class Ordered:
    """Records that wait for earlier ones, which their processes have not yet written."""

    def __init__(self) -> None:
        self._pending: list[Entry] = []
        self._rounds: deque[tuple[float, float]] = deque()  # when it was read, and the latest
        self._settled = 0.0  # all records up to this time have been waited for
        self._size = 0  # bytes, about

    def add(self, entries: list[Entry]) -> None:
        """Add what was read in one round."""
        if entries:
            self._pending += entries
            self._size += _size(entries)
            self._pending.sort(key=itemgetter(0))
            self._rounds.append((time.monotonic(), max(map(itemgetter(0), entries))))

    def __len__(self) -> int:
        return len(self._pending)

    def take(self, until: float, *, all_: bool = False) -> list[Entry]:
        """Return what need not wait any more; nothing later than `until`, or else `all_`."""
        now = time.monotonic()
        while self._rounds and self._rounds[0][0] <= now - SETTLE:
            self._settled = max(self._settled, self._rounds.popleft()[1])
        until = min(until, self._settled)
        if all_ or self._size > _MOST_PENDING:
            until = sys.float_info.max
        count = bisect_right(self._pending, until, key=itemgetter(0))
        taken, self._pending = self._pending[:count], self._pending[count:]
        self._size -= _size(taken)
        return taken


def _size(entries: list[Entry]) -> int:
    return _ENTRY_SIZE * len(entries) + sum([len(payload) for _, payload, _ in entries])
