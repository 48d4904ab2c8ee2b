"""The reading end of the spool: what all writers have appended, in batches, in order of time.

Reading changes nothing: the same offsets give the same items again, which is what recovery needs.
"""

from __future__ import annotations

import functools
import sys
import time
from itertools import groupby
from typing import NamedTuple

from queuelog.base import report
from queuelog.spool import frame
from queuelog.spool.directory import SpoolDirectory, Target
from queuelog.spool.names import Offsets, number_of, offset_in
from queuelog.spool.segment import Part
from queuelog.spool.segments import Segments

BATCH_SIZE = 1 << 18  # bytes that one batch takes from one writer ...
MOST_OF_ALL = 1 << 22  # ... and from all together, about: a fork may have to wait for it
LEAST = 1 << 12  # bytes that it takes from each writer, however many there are
HOLD = 10.0  # seconds for which a writer with a backlog may hold up later records of the others

Groups = dict[tuple[Target, int], list[frame.Item]]  # items by target and frame kind


class Batch(NamedTuple):
    """Items of all writers, and the offsets behind them; empty if `ends` is.

    The items of one target are in order by writer, not yet by time. `more` says that further ones
    were there already, so that no pause is due.
    """

    items: Groups
    ends: Offsets
    more: bool


class SpoolReader:
    """The queue as the listener sees it; one thread at a time uses it, in the spool's owner.

    Segments that the offsets do not name are read from their beginning. `limit` is the backlog
    limit in bytes.
    """

    def __init__(self, directory: SpoolDirectory, limit: int) -> None:
        self.segments = Segments(directory, limit)
        self._holding_since = 0.0  # 0 while nobody holds up the others

    def read_new(self, start: Offsets) -> Batch:
        """Return what was written behind the offsets `start`; a piece, if it is much."""
        batch = self._read(dict.fromkeys(self.segments.names()), start)
        if not batch.more:
            self._holding_since = 0.0
        return batch

    def read_up_to(self, start: Offsets, stop: Offsets) -> Batch:
        """Return what lies between the offsets `start` and `stop`; a piece, if it is much."""
        return self._read(dict(stop), start)

    def read_again(self, start: Offsets, ends: Offsets) -> Batch:
        """Return the batch that was read before from `start`, and that had these `ends`.

        Without a segment that is gone, which is reported: nothing can be read of it any more.

        Raises:
            OSError: a segment cannot be opened now. Try again: what it has is of the batch.
        """
        parts = []
        for name in sorted(ends, key=_order):
            segment = self.segments.get_again(name)
            if segment is not None:
                parts.append(segment.read(offset_in(start, name), ends[name], sys.maxsize))
        if len(parts) < len(ends):
            gone = ", ".join(ends.keys() - {part.segment.name for part in parts})
            report("spool-gone", f"what was not yet written of these segments is lost: {gone}")
        return _merge(parts, more=False)

    def _read(self, stops: dict[str, int | None], start: Offsets) -> Batch:
        """Read the named segments, up to their stops if they have any, in order of time.

        Where a writer has more than there is room for, later items of the others must wait for it,
        or a backlog would be written out of order: the batch ends at the earliest such point. But
        not for ever: a writer that is flooded with old records must not silence the others.
        """
        groups = groupby(sorted(stops, key=_order), key=lambda name: _order(name)[:2])
        writers = [list(group) for _, group in groups]
        room = min(BATCH_SIZE, max(LEAST, MOST_OF_ALL // max(1, len(writers))))
        until = frame.FOREVER
        streams: list[tuple[dict[str, int | None], list[Part]]] = []
        more = False
        for names in writers:
            if _order(names[0]).started > until:  # and so are all that follow
                more = True
                break
            mine = {name: stops[name] for name in names}
            parts, full, late = self._read_writer(mine, start, room, until)
            streams.append((mine, parts))
            more |= full or late
            if full and self._may_hold():
                until = min(until, _latest(parts))
        kept = [
            parts
            if until == frame.FOREVER or _latest(parts) <= until
            else self._read_writer(mine, start, room, until)[0]
            for mine, parts in streams
        ]
        return _merge([part for parts in kept for part in parts], more=more)

    def _may_hold(self) -> bool:
        self._holding_since = self._holding_since or time.monotonic()
        return time.monotonic() - self._holding_since < HOLD

    def _read_writer(
        self, stops: dict[str, int | None], start: Offsets, room: int, until: float
    ) -> tuple[list[Part], bool, bool]:
        """Read one writer's segments in order.

        Also tell if there was no room for more, and if something is later than `until`.
        """
        parts: list[Part] = []
        for name, stop in stops.items():
            segment = self.segments.get(name)
            if name in self.segments.unread:
                break  # what is in the next ones comes after it
            if segment is None:
                continue
            offset = offset_in(start, name)
            part = segment.read(offset, stop, room, until)
            if part.end > offset:
                parts.append(part)
            room -= part.end - offset
            if room <= 0 or part.late:
                return parts, room <= 0, part.late
            if not part.done:
                break
        return parts, False, False


def _latest(parts: list[Part]) -> float:
    return max((part.latest() for part in parts), default=0.0)


class _Order(NamedTuple):
    """Where a segment comes among others: when its writer `started`, no record of it is older.

    What one process writes in one slot (see `tail`) counts as one writer.
    """

    started: float
    writer: str
    number: int


@functools.lru_cache(1 << 14)
def _order(name: str) -> _Order:
    writer = name.rpartition("-")[0]
    return _Order(int(name.split("-")[1]) / 1e9, writer, number_of(name))


def _merge(parts: list[Part], *, more: bool) -> Batch:
    merged: Groups = {}
    for part in parts:
        for tag, items in part.items.items():
            kind, sink = frame.split_tag(tag)
            merged.setdefault((part.segment.targets[sink], kind), []).extend(items)
    return Batch(merged, {part.segment.name: part.end for part in parts}, more)
