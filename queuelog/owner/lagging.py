"""Sinks that fail: each has a cursor of its own, and is tried again with growing delays.

    keeps up ──fails──► lagging ──tried again, until nothing is behind──► keeps up

Its records stay in the spool meanwhile, in segments of its own, while the other sinks go on. It
may have only so much there (see `queuelog.spool.backlog`).
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable

from queuelog.base import report
from queuelog.owner.handover import Handover
from queuelog.owner.ledger import Cursor, Ledger, Origin
from queuelog.owner.transfer import Failure, Transfer
from queuelog.sinks import Targets
from queuelog.spool import Offsets, offset_in
from queuelog.spool.merge import Batch, SpoolReader

_FIRST_DELAY, _LAST_DELAY = 0.05, 2.0  # seconds


class Lagging:
    """The sinks that lag behind."""

    def __init__(
        self, reader: SpoolReader, ledger: Ledger, targets: Targets, transfer: Transfer
    ) -> None:
        self._reader, self._ledger = reader, ledger
        self._targets, self._transfer = targets, transfer
        self._tries: dict[str, tuple[float, float]] = {}  # by sink id: when, and after what delay
        self.handover = Handover(reader.segments, ledger, targets)

    def __contains__(self, sink_id: object) -> bool:
        return sink_id in self._ledger.state.lagging

    def ids(self) -> list[str]:
        """Return the ids of the sinks that lag behind."""
        return list(self._ledger.state.lagging)

    def failures(self) -> dict[str, Failure]:
        """Return since when and why they fail, by their ids.

        One that waits for a server's answer lags, but does not fail.
        """
        failures = self._transfer.failures
        return {sink_id: failures[sink_id] for sink_id in self.ids() if sink_id in failures}

    def add(self, sink_id: str) -> None:
        """Let a sink that failed lag behind, from the batch on that is being written."""
        main = self._ledger.state.main
        marks = {sink_id: main.marks.pop(sink_id)} if sink_id in main.marks else {}
        offsets, ends = self._of(sink_id, main.offsets), self._of(sink_id, main.ends)
        self._ledger.state.lagging[sink_id] = Cursor(offsets, ends, marks, Origin.INTERRUPTED)
        self._delay(sink_id)

    def _of(self, sink_id: str, offsets: Offsets) -> Offsets:
        """Return the offsets of those segments that may have records of a sink."""
        concerns = self._concerns()
        return {name: at for name, at in offsets.items() if concerns(name, sink_id)}

    def _concerns(self) -> Callable[[str, str], bool]:
        """Return a function that tells if a segment may have records of a sink, by its id."""
        names_of = functools.cache(self._names)
        id_of = functools.cache(self._targets.id_of)

        def concerns(segment: str, sink_id: str) -> bool:
            targets = self._reader.segments.sinks(segment)
            return targets is None or any(id_of(target) in names_of(sink_id) for target in targets)

        return concerns

    def _names(self, sink_id: str) -> tuple[str, str]:
        """Return the ids by which a sink is known in segments."""
        return sink_id, self._targets.current_id(sink_id)

    def position(self) -> Callable[[str], int]:
        """Return a function that returns the offset in a segment that all have behind them."""
        main, lagging = self._ledger.state.main, self._ledger.state.lagging
        concerns = self._concerns()

        def position(segment: str) -> int:
            behind = [
                offset_in(cursor.offsets, segment)
                for sink_id, cursor in lagging.items()
                if concerns(segment, sink_id)
            ]
            return min([offset_in(main.offsets, segment), *behind])

        return position

    def follow_files(self) -> None:
        """Know every sink by the path that it has by now: a directory may have become a link."""
        state, current = self._ledger.state, self._targets.current_id
        for old in list(state.lagging):
            new = current(old)
            if new != old and new not in state.lagging:
                state.lagging[new] = state.lagging.pop(old)
                self._transfer.failures.pop(old, None)
        for cursor in state.cursors():
            cursor.marks = {current(sink_id): mark for sink_id, mark in cursor.marks.items()}

    def patience(self) -> float:
        """Return for how many seconds there is nothing to retry; infinity if nothing lags."""
        return max(0.0, min(map(self._when, self.ids()), default=math.inf) - time.monotonic())

    def due(self) -> list[str]:
        """Return the ids of the sinks whose delay is over."""
        now = time.monotonic()
        return [sink_id for sink_id in self.ids() if self._when(sink_id) <= now]

    def _when(self, sink_id: str) -> float:
        if self._targets.sinks.is_ready(sink_id):
            return 0.0
        return self._tries[sink_id][0] if sink_id in self._tries else 0.0

    def retry(self, sink_id: str) -> bool:
        """Write one batch of a sink; tell if it succeeded and there is more."""
        state = self._ledger.state
        cursor = state.lagging[sink_id]
        try:
            batch = self._next(sink_id, cursor)
        except OSError as error:
            report("spool-refused", f"cannot read a segment, for now: {error}")
            self._delay(sink_id)
            return False
        self._transfer.begin()
        names = self._names(sink_id)
        wanted = self._targets.select(batch.items, lambda found: found in names)
        if self._transfer.write(cursor, wanted):
            self._delay(sink_id)
            owner = self._transfer.owners.get(sink_id, "")
            if self.handover.hand_over(names, cursor, owner):
                self._end(sink_id)
                self._ledger.save()
            return False
        cursor.finish()
        ahead = self._of(sink_id, state.main.offsets)
        behind = any(offset_in(cursor.offsets, name) < end for name, end in ahead.items())
        if behind and not batch.ends:  # no descriptor is left, say: the rest cannot be read now
            self._delay(sink_id)
            return False
        self._tries.pop(sink_id, None)
        if not behind:
            self._end(sink_id)
        self._ledger.save()
        return behind

    def _end(self, sink_id: str) -> None:
        """Let a sink lag no more: nothing is behind."""
        del self._ledger.state.lagging[sink_id]
        self._tries.pop(sink_id, None)
        self._transfer.failures.pop(sink_id, None)

    def _next(self, sink_id: str, cursor: Cursor) -> Batch:
        if cursor.origin is not Origin.NEW:
            return self._reader.read_again(cursor.offsets, cursor.ends)
        ahead = self._of(sink_id, self._ledger.state.main.offsets)
        batch = self._reader.read_up_to(cursor.offsets, ahead)
        cursor.begin(batch.ends)
        return batch

    def _delay(self, sink_id: str) -> None:
        delay = _FIRST_DELAY
        if sink_id in self._tries:
            delay = min(self._tries[sink_id][1] * 2, _LAST_DELAY)
        self._tries[sink_id] = time.monotonic() + delay, delay
