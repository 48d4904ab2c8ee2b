"""What waits for a file that another process owns is given to that one.

Its own workers find it when they have a handler for the file. Here are those that began when nobody
owned it yet.
"""

from __future__ import annotations

import os

from queuelog.base import report
from queuelog.owner.ledger import Cursor, Ledger
from queuelog.sinks import Targets
from queuelog.spool import SpoolDirectory, offset_in, registry, ring
from queuelog.spool.handover import hand_over
from queuelog.spool.segments import Segments


class Handover:
    """From one spool, whose `segments` and `ledger` these are, to those of other owners.

    `done_to` has the paths of those spools to which something was given.
    """

    def __init__(self, segments: Segments, ledger: Ledger, targets: Targets) -> None:
        self._segments, self._ledger = segments, ledger
        self._targets = targets
        self.done_to: set[str] = set()
        self._kept: set[str] = set()  # ids of sinks whose owner could not be given what waits

    def hand_over(self, names: tuple[str, str], cursor: Cursor, spool: str) -> bool:
        """Give what waits behind `cursor` to the owner of another spool; tell if that was all.

        `names` are the ids by which the sink is known in segments.
        """
        if not os.path.isdir(spool):
            return False
        other = SpoolDirectory(spool, owner_uid=os.stat(spool).st_uid)
        owner = registry.read(other)
        if owner is None:  # it has just ended
            return False
        is_all = cursor.give_up() and self._move_segments(names, cursor, other, owner.limit)
        if not is_all:
            self._kept.add(names[0])
        self._ledger.save()
        self.done_to.add(spool)
        ring(other.bell)
        return is_all

    def report_kept(self) -> None:
        """Say what could not be given to the owner of its file or server, and waits here still."""
        for sink_id in self._kept & self._ledger.state.lagging.keys():
            report(f"left {sink_id}", f"what waits for {sink_id} cannot be given to its owner")
        self._kept.clear()

    def _move_segments(
        self, names: tuple[str, str], cursor: Cursor, other: SpoolDirectory, limit: int
    ) -> bool:
        """Hand over each segment that has something for a sink; tell if all could be."""
        self._ledger.save()  # first: whoever comes after us must not look for what has moved
        segments, is_all = self._segments, True
        for segment in segments.names():
            found = {self._targets.id_of(target) for target in segments.sinks(segment) or ()}
            if found.isdisjoint(names) and segment not in segments.unread:
                continue
            at = offset_in(cursor.offsets, segment)
            is_its_own = bool(found) and found.issubset(names)
            if is_its_own and hand_over(segments, segment, at, other, limit):
                self._ledger.state.forget(segment)
            else:
                is_all = False
        return is_all
