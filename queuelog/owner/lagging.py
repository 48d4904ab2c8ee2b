"""Sinks that fail: each has a cursor of its own, and is tried again with growing delays.

    keeps up ──fails──► lagging ──tried again, until nothing is behind──► keeps up

Its records stay in the spool meanwhile, while the other sinks go on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from queuelog.base import is_file, report
from queuelog.owner.ledger import Cursor, Ledger, Origin
from queuelog.owner.transfer import Transfer
from queuelog.sinks.registry import Sinks
from queuelog.spool.merge import Batch, Groups, SpoolReader

_FIRST_DELAY, _LAST_DELAY = 0.05, 2.0  # seconds


class Lagging:
    """The sinks that lag behind; `is_crowded` tells if the spool is half full."""

    def __init__(
        self,
        reader: SpoolReader,
        ledger: Ledger,
        sinks: Sinks,
        transfer: Transfer,
        is_crowded: Callable[[], bool],
    ) -> None:
        self._reader, self._ledger = reader, ledger
        self._sinks, self._transfer = sinks, transfer
        self._is_crowded = is_crowded
        self._tries: dict[str, tuple[float, float]] = {}  # by sink id: when, and after what delay

    def __contains__(self, sink_id: object) -> bool:
        return sink_id in self._ledger.state.lagging

    def ids(self) -> list[str]:
        """Return the ids of the sinks that lag behind."""
        return list(self._ledger.state.lagging)

    def add(self, sink_id: str) -> None:
        """Let a sink that failed lag behind, from the batch on that is being written."""
        main = self._ledger.state.main
        marks = {sink_id: main.marks.pop(sink_id)} if sink_id in main.marks else {}
        cursor = Cursor(dict(main.offsets), dict(main.ends), marks, Origin.INTERRUPTED)
        self._ledger.state.lagging[sink_id] = cursor
        self._delay(sink_id)

    def follow_files(self) -> None:
        """Know what lags by the path that it has by now: a directory may have become a link."""
        lagging = self._ledger.state.lagging
        for old in list(lagging):
            new = self._sinks.current_id(old)
            if new != old and new not in lagging:
                cursor = lagging[new] = lagging.pop(old)
                if old in cursor.marks:
                    cursor.marks[new] = cursor.marks.pop(old)

    def patience(self) -> float:
        """Return for how many seconds there is nothing to retry; infinity if nothing lags."""
        return max(0.0, min(map(self._when, self.ids()), default=math.inf) - time.monotonic())

    def due(self) -> list[str]:
        """Return the ids of the sinks whose delay is over."""
        now = time.monotonic()
        return [sink_id for sink_id in self.ids() if self._when(sink_id) <= now]

    def _when(self, sink_id: str) -> float:
        return self._tries[sink_id][0] if sink_id in self._tries else 0.0

    def retry(self, sink_id: str) -> bool:
        """Write one batch of a sink; tell if it succeeded and there is more."""
        state = self._ledger.state
        cursor = state.lagging[sink_id]
        try:
            batch = self._next(cursor)
        except OSError as error:
            report("spool-refused", f"cannot read a segment, for now: {error}")
            self._delay(sink_id)
            return False
        self._transfer.begin()
        names = sink_id, self._sinks.current_id(sink_id)
        wanted = self._sinks.select(batch.items, lambda found: found in names)
        if self._transfer.write(cursor, wanted) and not self._gives_up(sink_id, wanted):
            self._delay(sink_id)
            return False
        cursor.finish()
        behind = any(cursor.offsets.get(name, 0) < end for name, end in state.main.offsets.items())
        if behind and not batch.ends:  # no descriptor is left, say: the rest cannot be read now
            self._delay(sink_id)
            return False
        self._tries.pop(sink_id, None)
        if not behind:
            del state.lagging[sink_id]
        self._ledger.save()
        return behind

    def _next(self, cursor: Cursor) -> Batch:
        if cursor.origin is not Origin.NEW:
            return self._reader.read_again(cursor.offsets, cursor.ends)
        batch = self._reader.read_up_to(cursor.offsets, self._ledger.state.main.offsets)
        cursor.begin(batch.ends)
        return batch

    def _delay(self, sink_id: str) -> None:
        delay = _FIRST_DELAY
        if sink_id in self._tries:
            delay = min(self._tries[sink_id][1] * 2, _LAST_DELAY)
        self._tries[sink_id] = time.monotonic() + delay, delay

    def _gives_up(self, sink_id: str, wanted: Groups) -> bool:
        """Tell if records of a handler that no configuration has any more are in the way of others.

        Until then another process may come that knows it, such as the new arbiter of an upgrade.
        """
        if is_file(sink_id) or sink_id in self._sinks.ids() or not self._is_crowded():
            return False
        lost = sum(map(len, wanted.values()))
        report(
            f"gave up {sink_id}",
            f"{lost} records of {sink_id} were dropped: no handler of that name was configured "
            f"since, and the spool is half full",
        )
        return True
