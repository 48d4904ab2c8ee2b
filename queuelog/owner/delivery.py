"""Delivery: takes batches from the spool to the sinks, each record exactly once.

All sinks that keep up share one cursor; those that fail have cursors of their own (`lagging`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress

from queuelog.owner.drops import DropReports
from queuelog.owner.lagging import Lagging
from queuelog.owner.ledger import Origin
from queuelog.owner.ownership import Ownership
from queuelog.owner.transfer import Transfer
from queuelog.sinks import Targets
from queuelog.spool import Registry, registry, requests
from queuelog.spool.backlog import consumed_by, publish
from queuelog.spool.merge import Batch, SpoolReader
from queuelog.spool.reserve import Reserve

RETRIES = 0.1  # seconds for sinks that fail, until the others have their turn


class Delivery:
    """What the listener thread does with one spool; one thread at a time uses it, in its owner.

    `limit` is the backlog limit in bytes, and `stopping` tells if the thread shall stop.
    """

    def __init__(
        self, ownership: Ownership, targets: Targets, limit: int, stopping: Callable[[], bool]
    ) -> None:
        self._ownership = ownership
        self.directory = ownership.directory
        self.bell = ownership.bell
        self.caught_up = False  # all that waited when the spool was taken over is written
        self._ledger = ownership.ledger
        self._targets = targets
        self.limit = limit
        self.drops = DropReports(self.directory, limit)
        self._reader = SpoolReader(self.directory, limit)
        self._reserve = Reserve(self.directory.reserve)
        self.transfer = Transfer(self._ledger, targets, stopping)
        self.lagging = Lagging(self._reader, self._ledger, targets, self.transfer)

    def own(self) -> bool:
        """Become the owner of the spool, if nobody else is; return if we are.

        Raises:
            SpoolError: there is no room for the ledger, or another version of queuelog wrote it.
        """
        if self._ownership.held:
            return True
        try:
            if not self._ownership.acquire():
                return False
        except BaseException:
            self._ownership.release()  # an owner that cannot write would keep others from it
            raise
        self._reserve.adjust()
        self._reader.segments.close()  # another owner may have read what this one had open once
        self._forget_removed()
        self.lagging.follow_files()
        self.transfer.recover()
        return True

    def _forget_removed(self) -> None:
        """Forget the segments that are gone, and not open either: nothing of them can be read."""
        known = set(self._reader.segments.names())
        for offsets in self._ledger.state.positions():
            for name in offsets.keys() - known:
                if not os.path.lexists(self.directory.segment(name)):
                    del offsets[name]

    def publish(self, found: Registry) -> bool:
        """Let other processes know what the owner of the spool owns; tell if there was room."""
        return self._ownership.publish(found)

    @property
    def is_published(self) -> bool:
        """Whether that can still be read: somebody may have removed it."""
        return self._ownership.is_published

    @property
    def is_interrupted(self) -> bool:
        """Whether a batch has been begun, and comes again."""
        return self._ledger.state.main.origin is not Origin.NEW

    @property
    def held(self) -> bool:
        """Whether this process owns the spool."""
        return self._ownership.held

    def is_empty(self) -> bool:
        """Tell if nothing waits in the spool, and nobody writes to it."""
        return not self._ledger.state.lagging and self.directory.is_empty()

    def is_for_others(self) -> bool:
        """Tell if all that waits is for sinks that only other processes can write.

        Or if one of these has half a line at its end: its owner writes nothing behind that.
        """
        lagging, others = set(self._ledger.state.lagging), self.transfer.for_others
        awaited = lagging & others & self._ledger.state.unfinished()
        return self.caught_up and (bool(awaited) or (bool(lagging) and lagging <= others))

    def next(self) -> Batch | None:
        """Return the next batch for the sinks that do not lag, or None if nothing is there.

        One that was interrupted, or that the last owner left unfinished, comes again.

        Raises:
            OSError: a part of such a batch cannot be read now.
        """
        self._reserve.adjust()
        main = self._ledger.state.main
        if main.origin is not Origin.NEW:
            return self._reader.read_again(main.offsets, main.ends)
        batch = self._reader.read_new(main.offsets)
        return batch if batch.ends else None

    def deliver(self, batch: Batch) -> None:
        """Write a batch that `next` returned. A sink's failure is no failure of the batch.

        Raises:
            Interrupted: the listener has to stop; `next` returns the batch again.
            OSError: the ledger has no room for a longer state.
        """
        main = self._ledger.state.main
        was_all = main.origin is Origin.NEW and not batch.more
        self.lagging.follow_files()
        self.transfer.begin()
        if main.origin is Origin.NEW:
            main.begin(batch.ends)
        items = self._targets.select(batch.items, lambda sink_id: sink_id not in self.lagging)
        for sink_id in self.transfer.write(main, items):
            self.lagging.add(sink_id)
        main.finish()
        self._ledger.save()
        # Not only when nothing is there at all: a writer that goes on would silence other spools.
        self.caught_up |= was_all
        self._release()

    def retry(self, *, at_once: bool = False) -> bool:
        """Try the sinks that failed and whose delay is over; return if one of them has more.

        Not while a batch is open: a sink that joined the others now would get its rest twice.
        """
        more = False
        until = math.inf if at_once else time.monotonic() + RETRIES
        if self._ledger.state.main.origin is Origin.NEW:
            for sink_id in self.lagging.ids() if at_once else self.lagging.due():
                more |= self.lagging.retry(sink_id)
                if time.monotonic() > until:
                    more = True
                    break
            self._release()  # once, since it looks at every segment
        return more

    def unread(self) -> int:
        """Return how many segments cannot be opened now."""
        return len(self._reader.segments.unread)

    def tidy(self) -> None:
        """Do what is due about once a second.

        Raises:
            SpoolError: what somebody has removed of the spool cannot be made again.
        """
        if self.held and self._ownership.mend():
            self._reader.segments.remove_stale()
            requests.remove_unread(self.directory)
            self._forget_removed()
            self.drops.report()
            self._release()

    def _release(self) -> None:
        position, state = self.lagging.position(), self._ledger.state
        for name in self._reader.segments.release(position):
            state.forget(name)
        left_alone = self._reader.segments.left_alone  # no backlog of ours
        read = {name: position(name) for name in state.main.offsets}
        with suppress(OSError):  # no room for the file: more seems to wait than does
            publish(self.directory, consumed_by([*left_alone.items(), *read.items()]))

    def remove(self) -> None:
        """Remove the spool, in which nothing is; should somebody begin to write, it stays."""
        self._reader.segments.close()
        if self.directory.remove():
            registry.withdraw(self.directory)
        self.release()

    def release(self) -> None:
        """Let another process own the spool."""
        self.transfer.release()
        self._reader.segments.close()
        self._ownership.release()

    def close(self) -> None:
        """In a forked child: let go of what was inherited."""
        self._reader.segments.close()
        self._ownership.close()
