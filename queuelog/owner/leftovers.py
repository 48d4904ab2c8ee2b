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

from queuelog.base import report
from queuelog.errors import SpoolError
from queuelog.owner.delivery import Delivery
from queuelog.owner.transfer import Failure
from queuelog.sinks.registry import Sinks
from queuelog.spool import SpoolDirectory, registry
from queuelog.spool.names import made_at, spools

_AGAIN = 10.0  # seconds for which a spool is left that cannot be emptied here now
_STARTING = 10.0  # seconds in which whoever makes a spool owns it, and says so

Deliver = Callable[[SpoolDirectory, int], Delivery]  # of a spool, with a limit in bytes


class Leftovers:
    """Those that are beside the spool at `path`, and those with what this process has written.

    `deliver` makes their deliveries, over `sinks`. `taken_over` is called when a spool was.
    """

    def __init__(
        self, path: str, sinks: Sinks, deliver: Deliver, taken_over: Callable[[str], None]
    ) -> None:
        self._path = path
        self._sinks = sinks
        self._deliver = deliver
        self._taken_over = taken_over
        self.elsewhere: set[str] = set()  # the paths of other owners' spools that we write to
        self.candidates: Callable[[], Iterable[str]] = self._beside  # paths of spools to take over
        self._left_to_others: dict[str, float] = {}  # paths: until when
        self._left_for: dict[str, dict[str, Failure]] = {}  # by path and sink

    def _beside(self) -> Iterable[str]:
        beside = spools(os.path.dirname(self._path))
        return dict.fromkeys([*beside, *self.elsewhere])

    def take_over(self, mine: Iterable[str], limit: int) -> Iterator[Delivery]:
        """Take over the candidates that nobody owns, and yield their deliveries.

        Not those at the paths that are `mine`. The backlog `limit`, in bytes, is raised to what the
        last owner had.
        """
        mine = set(mine)
        now = time.monotonic()
        for path in self.candidates():
            if path in mine or os.path.islink(path) or self._left_to_others.get(path, 0) > now:
                continue
            directory = SpoolDirectory(path)
            if _is_ownerless(directory):
                yield from self._take_over(directory, limit)

    def _take_over(self, directory: SpoolDirectory, limit: int) -> Iterator[Delivery]:
        found = registry.read(directory)
        delivery = self._deliver(directory, max(limit, found.limit if found else 0))
        try:
            if not delivery.own():
                return
        except OSError as error:
            if not directory.is_there():
                return  # another process has taken it over, and removed it
            report(f"left {directory.path}", f"a spool that nobody owns is left as it is: {error}")
            for_good = isinstance(error, SpoolError) and error.__cause__ is None
            self.leave(delivery, math.inf if for_good else _AGAIN)
            return
        self._taken_over(directory.path)  # first: its files may be ours by that
        if found is not None:
            # Handlers known by name are another service's, unless it had a file of ours.
            ours = set(self._sinks.places())
            delivery.transfer.names = not found.files or not ours.isdisjoint(found.files)
            self._sinks.elsewhere.update(found.names)
            delivery.publish(found._replace(owner=os.getpid(), taken_over=True))
        yield delivery

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
