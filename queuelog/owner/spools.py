"""The spools that one process owns: its own, and those that nobody owns any more.

Whoever ended has left a spool with what waits in it, or with writers that go on. The first owner of
the same user that comes, or is there, takes it over: that is recovery after a crash, the hand-over
of an upgrade, and the end of a service to whose files others write.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable

from queuelog.base import report
from queuelog.errors import SpoolError
from queuelog.owner import ledger, requests
from queuelog.owner.delivery import Delivery
from queuelog.owner.ownership import Ownership
from queuelog.owner.status import StatusPublisher
from queuelog.sinks.registry import Sinks
from queuelog.spool import SpoolDirectory, registry
from queuelog.spool.doorbell import wait
from queuelog.spool.merge import Batch
from queuelog.spool.names import made_at, spools
from queuelog.spool.registry import Registry

_AGAIN = 10.0  # seconds for which a spool is left that cannot be emptied here now
_STARTING = 10.0  # seconds in which whoever makes a spool owns it, and says so


class OwnedSpools:
    """All that waits to be written by this process, over the same sinks.

    `limit` is the backlog limit in bytes. `taken_over` is called when a spool was.
    """

    def __init__(
        self, directory: SpoolDirectory, sinks: Sinks, limit: int, taken_over: Callable[[str], None]
    ) -> None:
        self._sinks = sinks
        self._limit = limit
        self._taken_over = taken_over
        self._own = self._delivery(directory, limit)
        self._own.caught_up = True
        self._all = [self._own]  # the one that is due next comes first
        self._current = self._own  # whose batch was returned last
        self.elsewhere: set[str] = set()  # the paths of other owners' spools that we write to
        self.candidates: Callable[[], Iterable[str]] = self._beside  # paths of spools to take over
        self._left_to_others: dict[str, float] = {}  # paths: until when
        self._left_for: dict[str, dict[str, tuple[float, str]]] = {}  # why, by path and sink
        self._published: Registry | None = None
        self._changes: list[Callable[[], None]] = []
        self._status = StatusPublisher(sinks)
        self.stopping: Callable[[], bool] = lambda: False

    def _delivery(self, directory: SpoolDirectory, limit: int) -> Delivery:
        return Delivery(Ownership(directory), self._sinks, limit, self._is_stopping)

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
            self._published = ours if _publish(self._own, ours) else None

    def _beside(self) -> Iterable[str]:
        """Return the paths of all spools beside our own, and of those with what we have written."""
        beside = spools(os.path.dirname(self._own.directory.path))
        return dict.fromkeys([*beside, *self.elsewhere])

    def take_over(self) -> None:
        """Take over the candidates that nobody owns.

        Another process may be faster, which finds half a line in the spool for a file of ours: we
        write nothing behind that until it has left the spool to us, as it does with such.
        """
        mine = {delivery.directory.path for delivery in self._all}
        now = time.monotonic()
        unfinished: set[str] = set()  # sink ids
        for path in self.candidates():
            if path in mine or os.path.islink(path) or self._left_to_others.get(path, 0) > now:
                continue
            directory = SpoolDirectory(path)
            if _is_ownerless(directory) and self._take_over(directory):
                self.publish()  # others may just be looking for the owner of a file
            elif not _is_its_makers(directory):
                state = ledger.look(directory.ledger)
                unfinished |= state.unfinished() if state else set()
        self._sinks.leave_to_others(unfinished)

    def _take_over(self, directory: SpoolDirectory) -> bool:
        """Take over a spool; tell if it is ours now."""
        found = registry.read(directory)
        delivery = self._delivery(directory, max(self._limit, found.limit if found else 0))
        try:
            if not delivery.own():
                return False
        except OSError as error:
            if not directory.is_there():
                return False  # another process has taken it over, and removed it
            report(f"left {directory.path}", f"a spool that nobody owns is left as it is: {error}")
            for_good = isinstance(error, SpoolError) and error.__cause__ is None
            self._leave(delivery, math.inf if for_good else _AGAIN)
            return False
        self._taken_over(directory.path)  # first: its files may be ours by that
        if found is not None:
            # Handlers known by name are another service's, unless it had a file of ours.
            ours = set(self._sinks.places())
            delivery.transfer.names = not found.files or not ours.isdisjoint(found.files)
            self._sinks.elsewhere.update(found.names)
            _publish(delivery, found._replace(owner=os.getpid(), taken_over=True))
        self._all.append(delivery)
        return True

    def _leave(self, delivery: Delivery, seconds: float) -> None:
        self._left_for[delivery.directory.path] = delivery.lagging_since()
        delivery.release()
        self._left_to_others[delivery.directory.path] = time.monotonic() + seconds

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
        requests.answer(self._held(), self._sinks)

    def retry(self, *, at_once: bool = False) -> bool:
        """Try the sinks that failed and whose delay is over; return if one of them has more."""
        more = [delivery.retry(at_once=at_once) for delivery in self._held()]
        for delivery in self._all:
            self.elsewhere |= delivery.lagging.handed_to
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
        found = [*self._left_for.values(), *(one.lagging_since() for one in self._held())]
        return {sink_id: why for one in found for sink_id, (_, why) in one.items()}

    def unread(self) -> int:
        """Return how many segments cannot be opened now."""
        return sum(delivery.unread() for delivery in self._held())

    def patience(self) -> float:
        """Return for how many seconds there is nothing to retry; infinity if nothing lags."""
        patiences = [delivery.lagging.patience() for delivery in self._held()]
        return min(patiences, default=math.inf)

    def wait(self, wake: int, timeout: float, *, bell: bool = True) -> None:
        """Wait up to `timeout` s until descriptor `wake` is readable, or a sink has its answer.

        With `bell`, or until a writer rings.
        """
        bells = [delivery.bell for delivery in self._held()] if bell else []
        answers = [(one.fd, one.events) for one in self._sinks.awaited() if one.fd >= 0]
        wait(bells, wake, timeout, answers)

    def awaits(self, silent: float) -> bool:
        """Tell if an answer is there, or awaited of who is silent for less than so many seconds."""
        since = time.monotonic() - silent
        return any(map(self._sinks.is_ready, self._sinks.ids())) or any(
            one.since > since for one in self._sinks.awaited()
        )

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
            delivery.report_kept()
        self._sinks.tick()
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
            self._leave(delivery, _AGAIN)

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


def _is_ownerless(directory: SpoolDirectory) -> bool:
    """Tell if a spool is there, nobody owns it, and nobody is just making it."""
    is_new = abs(time.time_ns() - made_at(directory.path)) / 1e9 < _STARTING
    is_used = os.path.exists(directory.registry) or any(directory.segments())
    may_go = is_used or not is_new
    return may_go and directory.is_there() and not registry.is_owned(directory)


def _is_its_makers(directory: SpoolDirectory) -> bool:
    """Tell if the owner of a spool is who has made it, and lives."""
    found = registry.read(directory)
    return found is not None and not found.taken_over and registry.is_owned(directory)


def _publish(delivery: Delivery, found: Registry) -> bool:
    """Let other processes know what the owner of a spool owns; return False if that failed."""
    try:
        delivery.publish(found)
    except OSError as error:
        report("registry", f"other processes do not learn which files are ours: {error}")
        return False
    return True
