"""How fast things go that are looked at from time to time: what `queuelog top` shows."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter, deque
from collections.abc import Hashable
from typing import NamedTuple

from queuelog.outside.seen import Spool
from queuelog.spool import SpoolDirectory

_WINDOW = 5.0  # seconds: an owner says once a second how far it is, not just when it is looked at


class Counts(NamedTuple):
    """What was counted at one time, as `time.monotonic` has it: totals since whenever."""

    at: float
    totals: Counter[Hashable]


class Rates:
    """What of each thing comes in a second, over the last few seconds.

    A thing is any key; what begins anew, as an owner that was started again, has no rate for once.
    """

    def __init__(self) -> None:
        self._counts: deque[Counts] = deque()

    def count(self, totals: Counter[Hashable]) -> None:
        """Tell the totals that were seen just now."""
        now = time.monotonic()
        self._counts.append(Counts(now, totals))
        while len(self._counts) > 2 and self._counts[1].at <= now - _WINDOW:  # noqa: PLR2004
            self._counts.popleft()

    def of(self, key: Hashable) -> float:
        """Return how many a second."""
        known = [one for one in self._counts if key in one.totals]
        if len(known) < 2:  # noqa: PLR2004  # times make a rate
            return 0.0
        first, last = known[0], known[-1]
        return max(0, last.totals[key] - first.totals[key]) / (last.at - first.at)


class Written:
    """How many bytes each process has written to the segments of its spools, since first seen.

    What it wrote to a segment after the last look at it, and before its removal, is not counted.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}  # by path
        self._totals: Counter[tuple[str, int]] = Counter()

    def look(self, spools: list[Spool]) -> Counter[tuple[str, int]]:
        """Return the totals by path of the spool and process id; only of those that live."""
        sizes: dict[str, int] = {}
        living = {(spool.path, process) for spool in spools for process in spool.writers}
        for spool in spools:
            directory = SpoolDirectory(spool.path, owner_uid=spool.uid)
            for uid, name in directory.segments():
                path = os.path.join(directory.incoming(uid), name)
                with contextlib.suppress(OSError):  # it has just been removed
                    sizes[path] = os.lstat(path).st_size
                    grown = sizes[path] - self._sizes.get(path, 0)
                    self._totals[spool.path, int(name.partition("-")[0])] += max(0, grown)
        self._sizes = sizes
        known = self._totals.items()
        self._totals = Counter({key: total for key, total in known if key in living})
        return self._totals.copy()
