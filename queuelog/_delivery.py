"""Delivery: takes batches from the spool to the sinks, each record exactly once.

All sinks share one cursor. A sink that fails gets a cursor of its own, at the batch that it could
not finish, and is tried again with growing delays, while the others go on; its records stay in the
spool. When it has caught up it joins the others again.

Trying again after an error, and recovering after a crash, are one thing: read the open batch again,
see how far the ledger's mark says each sink had got, and go on there.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from queuelog import _frame
from queuelog._drops import Dropped, collect
from queuelog._ledger import Cursor, Ledger, Mark
from queuelog._reader import Batch, Offsets, SpoolReader
from queuelog._report import report
from queuelog._sinks import Groups, Items, Sinks, is_file
from queuelog._spool import unusable

_FIRST_DELAY, _LAST_DELAY = 0.05, 2.0  # seconds


class Interrupted(BaseException):
    """The listener has to stop before the batch is done; the batch comes again."""


class Delivery:
    """What the listener thread does; one thread at a time uses it, in the spool's owner."""

    def __init__(self, reader: SpoolReader, sinks: Sinks) -> None:
        self._reader = reader
        self._sinks = sinks
        self._ledger = Ledger(reader.directory.ledger)
        self.stopping: Callable[[], bool] = lambda: False
        self._retries: dict[str, tuple[float, float]] = {}  # sink id -> when, delay
        self._moved = False  # something of this batch was written since it was read

    @property
    def held(self) -> list[str]:
        """The ids of the sinks that lag behind because they fail."""
        return list(self._ledger.state.held)

    def own(self) -> bool:
        """Become the owner of the spool and its files, if nobody else is; return if we are.

        Raises:
            FileInUseError: another spool's owner has one of the files.
            SpoolError: there is no room for the ledger.
        """
        if self._reader.owned:
            return True
        try:
            if not self._reader.own():
                return False
            self._sinks.claim()
            self._open_ledger()
        except BaseException:
            self._reader.close()  # an owner that cannot write would keep others from it
            raise
        for offsets in self._positions():
            for name in list(offsets):
                if not os.path.lexists(self._reader.directory.segment(name)):
                    del offsets[name]
        self._follow_files()
        return True

    def _open_ledger(self) -> None:
        try:
            self._ledger.open()
        except OSError as error:
            raise unusable(self._reader.directory.path, error) from error

    def _follow_files(self) -> None:
        """Know what lags by the path that it has by now: a directory may have become a link."""
        held = self._ledger.state.held
        for old in list(held):
            new = self._sinks.current(old)
            if new != old and new not in held:
                cursor = held[new] = held.pop(old)
                if old in cursor.marks:
                    cursor.marks[new] = cursor.marks.pop(old)

    def next(self) -> Batch | None:
        """Return the next batch for the sinks that do not lag, or None if nothing is there.

        A batch that was interrupted comes again.
        """
        main = self._ledger.state.main
        if main.ends is not None:
            return self._reader.read(main.offsets, main.ends, math.inf)
        batch = self._reader.read(main.offsets)
        return batch if batch.ends else None

    def deliver(self, batch: Batch) -> None:
        """Write a batch that `next` returned. A sink's failure is no failure of the batch.

        Raises:
            Interrupted: `stopping()` was true; `next` returns the batch again.
        """
        main, held = self._ledger.state.main, self._ledger.state.held
        self._follow_files()
        self._moved = False
        if main.ends is None:
            main.ends = batch.ends
        groups, unknown = self._sinks.group(batch.items)
        for sink_id in unknown - held.keys():
            self._hold(sink_id)
        for sink_id, items in groups.items():
            if sink_id not in held and not self._write(main, sink_id, items):
                self._hold(sink_id)
        main.advance()
        self._ledger.save()
        self._release()

    def tidy(self) -> None:
        """Do what is due about once a second."""
        self._sinks.close_unused()  # first: all else may need a descriptor
        if not self._reader.mend():
            return
        self._ledger.mend()
        self._sinks.mend()
        self._reader.remove_stale()
        self.report_drops()
        self._release()

    def report_drops(self) -> None:
        """Write into each log how many of its records were dropped since the last time."""
        if self._ledger.state.main.ends is not None:
            return  # nothing may come between an interrupted batch and its rest
        for dropped in collect(self._reader.directory):
            if dropped.count > 0 and self._report_drop(dropped):
                dropped.reported()
            if not dropped.count:
                dropped.remove_if_done()

    def _report_drop(self, dropped: Dropped) -> bool:
        message = (
            f"{dropped.count} records were dropped by process {dropped.process}: "
            f"the backlog limit was reached"
        )
        report("dropped", message, log=False)
        attributes = {
            "name": "queuelog", "levelname": "WARNING", "levelno": logging.WARNING,
            "msg": message, "process": dropped.process,
        }  # fmt: skip
        item = time.time(), json.dumps(attributes).encode()
        groups, unknown = self._sinks.group({(dropped.target, _frame.RECORD): [item]})
        if unknown or any(sink_id in self.held for sink_id in groups):
            return False
        return all(self._write(Cursor(), sink_id, items) for sink_id, items in groups.items())

    def patience(self) -> float:
        """Return for how many seconds there is nothing to retry; infinity if nothing failed."""
        whens = [self._retries.get(sink_id, (0.0, 0.0))[0] for sink_id in self.held]
        return max(0.0, min(whens, default=math.inf) - time.monotonic())

    def retry(self, *, at_once: bool = False) -> bool:
        """Try the sinks that failed and whose delay is over; return if one of them has more."""
        more = False
        if self._ledger.state.main.ends is not None:
            return more  # a sink that joined the others now would get the rest of that batch twice
        for sink_id in self.held:
            if at_once or time.monotonic() >= self._retries.get(sink_id, (0.0, 0.0))[0]:
                more |= self._catch_up(sink_id)
                self._release()
        return more

    def _catch_up(self, sink_id: str) -> bool:
        """Write one batch of a sink that lags; return if it succeeded and there is more."""
        state = self._ledger.state
        cursor = state.held[sink_id]
        if cursor.ends is None:
            batch = self._reader.read(cursor.offsets, state.main.offsets)
            cursor.ends = batch.ends
        else:
            batch = self._reader.read(cursor.offsets, cursor.ends, math.inf)
        wanted = self._sinks.only(batch.items, sink_id)
        groups, unknown = self._sinks.group(wanted)
        written = all(self._write(cursor, now, items) for now, items in groups.items())
        if not written or (unknown and not self._gives_up(sink_id, wanted)):
            self._delay(sink_id)
            return False
        cursor.advance()
        behind = any(cursor.offsets.get(name, 0) < end for name, end in state.main.offsets.items())
        if behind and not batch.ends:  # no descriptor is left, say: the rest cannot be read now
            self._delay(sink_id)
            return False
        self._retries.pop(sink_id, None)
        if not behind:
            del state.held[sink_id]
        self._ledger.save()
        return behind

    def _gives_up(self, sink_id: str, wanted: Groups) -> bool:
        """Tell if records of a handler that no configuration has any more are in the way of others.

        Until then another process may come that knows it, such as the new arbiter of an upgrade.
        """
        if is_file(sink_id) or not self._reader.is_crowded():
            return False
        lost = sum(map(len, wanted.values()))
        report(
            f"gave up {sink_id}",
            f"{lost} records of {sink_id} were dropped: no handler of that name was configured "
            f"since, and the spool is half full",
        )
        return True

    def _write(self, cursor: Cursor, sink_id: str, items: Items) -> bool:
        """Write the items to the sink, or what is missing of them; False if that failed."""
        mark = cursor.marks.get(sink_id)
        note = partial(self._note, cursor, sink_id)
        sink = self._sinks[sink_id]
        try:
            if mark is None:
                sink.write(items, note)
            else:
                sink.resume(items, mark, note)
        except Exception as error:
            report(
                f"sink {sink_id}",
                f"cannot write {sink_id}: {error}. Its records are kept in the spool, and tried "
                f"again until they are written",
            )
            return False
        # Should the batch come again because it was interrupted at another sink: this one is done.
        cursor.marks[sink_id] = Mark(len(items))
        return True

    def _note(self, cursor: Cursor, sink_id: str, mark: Mark) -> None:
        # Between two pieces, since a batch with many rollovers takes longer than a fork may wait;
        # but not before the first, or forks one after the other would never let it get anywhere.
        interrupted = self.stopping() and self._moved
        self._moved = True
        cursor.marks[sink_id] = Mark(mark.done) if interrupted else mark
        self._ledger.save()
        if interrupted:
            raise Interrupted

    def _hold(self, sink_id: str) -> None:
        """Give a sink that failed a cursor of its own, at the open batch."""
        main = self._ledger.state.main
        mark = main.marks.pop(sink_id, None)
        self._ledger.state.held[sink_id] = Cursor(
            dict(main.offsets), dict(main.ends or {}), {sink_id: mark} if mark else {}
        )
        self._delay(sink_id)

    def _delay(self, sink_id: str) -> None:
        delay = min(self._retries.get(sink_id, (0.0, _FIRST_DELAY / 2))[1] * 2, _LAST_DELAY)
        self._retries[sink_id] = time.monotonic() + delay, delay

    def _release(self) -> None:
        positions = self._positions()
        for name in self._reader.release(positions):
            for offsets in positions:
                offsets.pop(name, None)
        consumed = sum(min(o.get(name, 0) for o in positions) for name in positions[0])
        with suppress(OSError):  # it helps a spool that is nearly full, and needs room itself
            self._reader.directory.publish_consumed(consumed)

    def _positions(self) -> list[Offsets]:
        state = self._ledger.state
        return [state.main.offsets, *(cursor.offsets for cursor in state.held.values())]

    def close(self) -> None:
        """Give up the spool and its files; also in a forked child, which must not keep them."""
        self._ledger.close()
        self._reader.close()
