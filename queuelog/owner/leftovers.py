"""The spools that nobody owns any more: which of them this process takes over, or leaves to others.

Whoever ended has left a spool with what waits in it, or with writers that go on. The first owner of
the same user that comes, or is there, takes it over: that is recovery after a crash, the hand-over
of an upgrade, and the end of a service to whose files others write.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator

from queuelog.base import is_file, report
from queuelog.errors import SpoolError
from queuelog.owner import ledger
from queuelog.owner.delivery import Delivery
from queuelog.owner.transfer import Failure
from queuelog.sinks import Targets
from queuelog.spool import SpoolDirectory, made_at, registry, spools

_AGAIN = 10.0  # seconds for which a spool is left that cannot be emptied here now
_STARTING = 10.0  # seconds in which whoever makes a spool owns it, and says so

Deliver = Callable[[SpoolDirectory, int], Delivery]  # of a spool, with a limit in bytes


class Leftovers:
    """Those that are beside the spool at `path`, and those with what this process has written.

    `deliver` makes their deliveries, to the sinks of `targets`.
    """

    def __init__(self, path: str, targets: Targets, deliver: Deliver) -> None:
        self._path = path
        self._targets = targets
        self._deliver = deliver
        self.elsewhere: set[str] = set()  # the paths of other owners' spools that we write to
        self.candidates: Callable[[], Iterable[str]] = self._beside  # paths of spools to take over
        self.taken_over: Callable[[str], None] = lambda _: None  # what to do after that
        self._left_to_others: dict[str, float] = {}  # paths: until when
        self._left_for: dict[str, dict[str, Failure]] = {}  # by path and sink

    def _beside(self) -> Iterable[str]:
        beside = spools(os.path.dirname(self._path))
        return dict.fromkeys([*beside, *self.elsewhere])

    def take_over(self, mine: Iterable[str], limit: int) -> Iterator[Delivery]:
        """Take over the candidates that nobody owns, and yield their deliveries.

        Not those at the paths that are `mine`. The backlog `limit`, in bytes, is raised to what the
        last owner had.

        Another process may be faster, which finds half a line in the spool for a file of ours: we
        write nothing behind that until it has left the spool to us, as it does with such.
        """
        mine = set(mine)
        now = time.monotonic()
        unfinished: set[str] = set()  # sink ids
        for path in self.candidates():
            if path in mine or os.path.islink(path) or self._left_to_others.get(path, 0) > now:
                continue
            directory = SpoolDirectory(path)
            delivery = self._take_over(directory, limit) if _is_ownerless(directory) else None
            if delivery is not None:
                yield delivery
            else:
                unfinished |= _unfinished(directory)
        current = {self._targets.current_id(sink_id) for sink_id in filter(is_file, unfinished)}
        self._targets.sinks.unfinished.leave_to_others(current)

    def _take_over(self, directory: SpoolDirectory, limit: int) -> Delivery | None:
        """Take over a spool, unless somebody else is faster, or it cannot be done."""
        found = registry.read(directory)
        delivery = self._deliver(directory, max(limit, found.limit if found else 0))
        try:
            if not delivery.own():
                return None
        except OSError as error:
            if not directory.is_there():
                return None  # another process has taken it over, and removed it
            report(f"left {directory.path}", f"a spool that nobody owns is left as it is: {error}")
            for_good = isinstance(error, SpoolError) and error.__cause__ is None
            self.leave(delivery, math.inf if for_good else _AGAIN)
            return None
        self.taken_over(directory.path)  # first: its files may be ours by that
        if found is not None:
            # Handlers known by name are another service's, unless it had a file of ours.
            ours = set(self._targets.sinks.places())
            delivery.transfer.names = not found.files or not ours.isdisjoint(found.files)
            self._targets.elsewhere.update(found.names)
            delivery.publish(found._replace(owner=os.getpid(), taken_over=True))
        return delivery

    def leave(self, delivery: Delivery, seconds: float = _AGAIN) -> None:
        """Leave a spool to others for so long."""
        path = delivery.directory.path
        self._left_for[path] = delivery.lagging.failures()
        delivery.release()
        self._left_to_others[path] = time.monotonic() + seconds

    def failures(self) -> Iterator[dict[str, Failure]]:
        """Yield why sinks failed in the spools that were left to others for that."""
        yield from self._left_for.values()


def _is_ownerless(directory: SpoolDirectory) -> bool:
    """Tell if a spool is there, nobody owns it, and nobody is just making it."""
    is_new = abs(time.time_ns() - made_at(directory.path)) / 1e9 < _STARTING
    is_used = os.path.exists(directory.registry) or any(directory.segments())
    may_go = is_used or not is_new
    return may_go and directory.is_there() and not registry.is_owned(directory)


def _unfinished(directory: SpoolDirectory) -> set[str]:
    """Return the ids of the sinks that have half a line of a spool's, if its maker is gone.

    What another user says of his spool is not believed: it could keep us from any file.
    """
    found = registry.read(directory)
    is_its_makers = found is not None and not found.taken_over and registry.is_owned(directory)
    if is_its_makers or not directory.is_there():
        return set()
    state = ledger.look(directory.ledger)
    return state.unfinished() if state else set()
