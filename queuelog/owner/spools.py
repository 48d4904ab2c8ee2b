"""The spools that one process owns: its own, and those that it has taken over from others."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

from queuelog.base import report
from queuelog.owner import between
from queuelog.owner.delivery import Delivery
from queuelog.owner.leftovers import Leftovers
from queuelog.owner.ownership import Ownership
from queuelog.owner.status import StatusPublisher
from queuelog.sinks import Targets
from queuelog.spool import Registry, SpoolDirectory, wait
from queuelog.spool.merge import Batch


class OwnedSpools:
    """All that waits to be written by this process, to the same sinks, those of `targets`.

    `limit` is the backlog limit in bytes.
    """

    def __init__(self, directory: SpoolDirectory, targets: Targets, limit: int) -> None:
        self._targets = targets
        self._sinks = targets.sinks
        self._limit = limit
        self._own = self._delivery(directory, limit)
        self._own.caught_up = True
        self._all = [self._own]  # the one that is due next comes first
        self._current = self._own  # whose batch was returned last
        self.leftovers = Leftovers(directory.path, targets, self._delivery)
        self._published: Registry | None = None
        self._changes: list[Callable[[], None]] = []
        self._status = StatusPublisher(self._sinks)
        self.stopping: Callable[[], bool] = lambda: False

    def _delivery(self, directory: SpoolDirectory, limit: int) -> Delivery:
        return Delivery(Ownership(directory), self._targets, limit, self._is_stopping)

    def _is_stopping(self) -> bool:
        return self.stopping()

    def own(self) -> bool:
        """Own the spools, again if somebody has removed one; tell if any is ours.

        Raises:
            SpoolError: there is no room for the ledger.
        """
        if not self._own.held and not self._own.directory.is_there():
            self._own.directory.create()  # who took it for a spool that nobody owns has removed it
        owned = [delivery.own() for delivery in self._all]
        return any(owned)

    def publish(self) -> None:
        """Let other processes know what this one owns."""
        ours = Registry(os.getpid(), self._limit, self._sinks.places(), self._sinks.names())
        if self._own.held and (ours != self._published or not self._own.is_published):
            self._published = ours if self._own.publish(ours) else None

    def take_over(self) -> None:
        """Take over the spools that nobody owns any more."""
        mine = [delivery.directory.path for delivery in self._all]
        for delivery in self.leftovers.take_over(mine, self._limit):
            self._all.append(delivery)
            self.publish()  # others may just be looking for the owner of a file

    def change_sinks(self, change: Callable[[], None]) -> None:
        """Call `change` before the next batch, in the thread that is stalled in this one."""
        self._changes.append(change)

    def next(self) -> Batch | None:
        """Return the next batch of one of the spools, or None if nothing is there.

        First what waits in those that were taken over: it is older.

        Raises:
            OSError: a part of a batch that was begun cannot be read now, and no other one is there.
        """
        while self._changes:
            try:
                self._changes.pop(0)()
            except (ValueError, OSError, RuntimeError) as error:
                report("setup", f"cannot take over a handler: {error}")
        failed: OSError | None = None
        for delivery in sorted(self._held(), key=lambda one: one.caught_up):
            try:
                batch = delivery.next()
            except OSError as error:
                failed = error
                continue
            if batch is not None:
                self._current = delivery
                self._all.remove(delivery)
                self._all.append(delivery)
                return batch
            delivery.caught_up = True
        if failed is not None:
            raise failed
        return None

    def deliver(self, batch: Batch) -> None:
        """Write a batch that `next` has just returned; raises as `Delivery.deliver`."""
        changes = self._sinks.changes
        self._current.deliver(batch)
        if self._sinks.changes != changes:  # others may just be looking for the owner of a new file
            self.publish()

    def answer_requests(self) -> None:
        """Do what commands ask for, between two batches."""
        between.answer(self._held(), self._sinks)

    def retry(self, *, at_once: bool = False) -> bool:
        """Try the sinks that failed and whose delay is over; return if one of them has more."""
        more = [delivery.retry(at_once=at_once) for delivery in self._held()]
        self.leftovers.elsewhere.update(*(one.lagging.handover.done_to for one in self._all))
        return any(more)

    def _held(self) -> list[Delivery]:
        """Return the spools that are still ours: somebody may have removed one, and own it now."""
        return [delivery for delivery in self._all if delivery.held]

    def paths(self) -> list[str]:
        """Return the paths of the spools; any thread may ask."""
        return [delivery.directory.path for delivery in self._held()]

    def lagging(self) -> list[str]:
        """Return the ids of the sinks that lag behind."""
        return [sink_id for delivery in self._held() for sink_id in delivery.lagging.ids()]

    def failures(self) -> dict[str, str]:
        """Return why sinks fail, by their ids, also in spools that were left to others for that."""
        found = [*self.leftovers.failures(), *(one.lagging.failures() for one in self._held())]
        return {sink_id: failure.reason for one in found for sink_id, failure in one.items()}

    def unread(self) -> int:
        """Return how many segments cannot be opened now."""
        return sum(delivery.unread() for delivery in self._held())

    def patience(self) -> float:
        """Return for how many seconds there is nothing to retry; infinity if nothing lags."""
        patiences = [delivery.lagging.patience() for delivery in self._held()]
        return min(patiences, default=math.inf)

    def wait(self, wake: int, timeout: float, *, bell: bool = True) -> None:
        """Wait up to `timeout` s until `wake` is readable, a sink has an answer or a bell rings."""
        bells = [delivery.bell for delivery in self._held()] if bell else []
        answers = [(one.fd, one.events) for one in self._sinks.awaited() if one.fd >= 0]
        wait(bells, wake, timeout, answers)

    def awaits(self, silent: float) -> bool:
        """Tell if an answer is there, or awaited of who is silent for less than so many seconds."""
        since = time.monotonic() - silent
        awaited = any(one.since > since for one in self._sinks.awaited())
        return awaited or any(map(self._sinks.is_ready, self._sinks.ids()))

    def tidy(self) -> None:
        """Do what is due about once a second.

        Raises:
            SpoolError: what somebody has removed of a spool cannot be made again.
        """
        self._sinks.let_go_of_idle()  # first: all else may need a descriptor
        for delivery in list(self._all):
            delivery.tidy()
            if delivery is not self._own:
                self._let_go_if_done(delivery)
        for delivery in self._all:
            if delivery.caught_up:  # until then what waits there may yet be left to its owner
                delivery.lagging.handover.report_kept()
        self._sinks.tick()
        between.rotate(self._held(), self._sinks)
        self.publish()
        self.take_over()
        self._status.publish(self._own, self._all)

    def _let_go_if_done(self, delivery: Delivery) -> None:
        if not delivery.held:
            self._all.remove(delivery)
            delivery.release()
        elif delivery.is_empty():
            self._all.remove(delivery)
            delivery.remove()
        elif delivery.is_for_others():
            self._all.remove(delivery)
            self.leftovers.leave(delivery)

    def release(self) -> None:
        """Give up all, and remove the spools in which nothing waits and nobody writes."""
        for delivery in self._all:
            if delivery.held and delivery.is_empty():
                delivery.remove()
            delivery.release()

    def close(self) -> None:
        """In a forked child: hold nothing of it."""
        for delivery in self._all:
            delivery.close()
