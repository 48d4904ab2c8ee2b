"""All sinks of the arbiter, whoever has named them: its own configuration, or a worker.

One path is one sink, however many handlers name it, and wherever they were configured.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from queuelog.base import (
    Place,
    User,
    is_file,
    is_named,
    place_of_sink,
    report,
)
from queuelog.rotation import Policy
from queuelog.sinks.file import FileSink
from queuelog.sinks.protocol import Awaited, Sink
from queuelog.sinks.route import RouteSink
from queuelog.sinks.unfinished import Unfinished
from queuelog.spool.status import SinkStatus

IDLE = 60.0  # seconds after which a file that nobody writes to is closed ...
SHORT_IDLE = 1.0  # ... if there are many: each takes one of this process's descriptors
MOST_TIMED = 1000  # handlers that are kept, about 2 KiB each
MANY = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8


class _Schedules(dict[str, logging.FileHandler]):
    """Timed handlers by sink: one that is made anew goes on with the period of the last."""

    def keep(self, sink_id: str, sink: Sink) -> None:
        """Keep the handler of a sink if it is timed; forget the one that was kept the longest."""
        if isinstance(sink, FileSink) and sink.is_timed:
            self.pop(sink_id, None)
            self[sink_id] = sink.handler
            if len(self) > MOST_TIMED:
                del self[next(iter(self))]


class Sinks:
    """The sinks by id.

    `policy` is how the files of plain file handlers roll over, None for never. `changes` is how
    often a sink was added or forgotten. `version` is another number as soon as what workers name
    (see `targets`) may lead to another sink than before.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy
        self.changes = 0
        self.version = 0
        self._sinks: dict[str, Sink] = {}
        self._places: dict[Place, str] = {}  # ids of the files
        self._added: set[str] = set()  # by workers: can be built again from a specification
        self._unused: set[str] = set()  # that no configuration names any more
        self.schedules = _Schedules()  # of files that were let go
        self.unfinished = Unfinished()

    def configure(self, sink_id: str) -> str:
        """Return the id for what the arbiter's configuration names; no worker decides there now."""
        self.version += 1
        sink_id = self.shared_by(None, sink_id)
        self.displace(sink_id)
        self._added.discard(sink_id)
        return sink_id

    def replace(self, sink_id: str, new: Sink) -> None:
        """Let `new` be the sink with an id.

        Raises:
            FileInUseError: another process owns it.
            OSError: its lock cannot be taken.
        """
        old = self._sinks.pop(sink_id, None)
        if old is not None:
            old.let_go()
            old.close()
        new.claim()
        self._add(sink_id, new)

    def _add(self, sink_id: str, sink: Sink) -> None:
        self._sinks[sink_id] = sink
        self.changes += 1
        place = self._place_of(sink_id)
        if place is not None:
            self._places[place] = sink_id

    def add_for_workers(self, sink_id: str, sink: Sink) -> None:
        """Add a sink that workers have described, and can describe again."""
        self._add(sink_id, sink)
        self._added.add(sink_id)

    def is_for_workers(self, sink_id: str) -> bool:
        """Tell if a sink is there since workers have described it, and for no other reason."""
        return sink_id in self._added

    def _place_of(self, sink_id: str) -> Place | None:
        """Return where a sink is that other processes find here; None if they don't."""
        is_found = is_file(sink_id) or isinstance(self._sinks.get(sink_id), RouteSink)
        return place_of_sink(sink_id) if is_found else None

    def known_as(self, sink_id: str) -> str:
        """Return the id of the sink that writes the same file, if there is one."""
        place = None if sink_id in self._sinks else place_of_sink(sink_id)
        return sink_id if place is None else self._places.get(place, sink_id)

    def shared_by(self, user: User | None, sink_id: str) -> str:
        """Return the id of the sink that writes the same file, if `user` can rely on it.

        Another user may have named the file by a link, which he can lead elsewhere at any time.
        """
        known = self.known_as(sink_id)
        by = getattr(self._sinks.get(known), "user", None)
        is_safe = known == sink_id or by is None or (user is not None and user.uid == by.uid)
        return known if is_safe else sink_id

    def displace(self, sink_id: str) -> None:
        """Forget the sink that another user has for a file of the owner's own."""
        known = self.known_as(sink_id)
        if known != sink_id:
            self._forget(known)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all sinks."""
        return tuple(self._sinks)

    def places(self) -> list[Place]:
        """Return where the files of all sinks are by now: a directory may have been made anew."""
        ids = sorted(self._sinks, key=lambda known: known not in self._added)  # workers' yield
        found = ((self._place_of(sink_id), sink_id) for sink_id in ids)
        self._places = {place: sink_id for place, sink_id in found if place is not None}
        return list(self._places)

    def names(self) -> list[str]:
        """Return the ids of the sinks that only this process knows."""
        return [sink_id for sink_id in self._sinks if is_named(sink_id)]

    def awaited(self) -> list[Awaited]:
        """Return where answers come to what was sent, and are not there yet."""
        waiting = [sink for sink in self._sinks.values() if not sink.is_ready()]
        return [found for sink in waiting if (found := sink.awaits()) is not None]

    def is_ready(self, sink_id: str) -> bool:
        """Tell if a sink has an answer to what was sent."""
        return sink_id in self._sinks and self._sinks[sink_id].is_ready()

    def at(self, place: Place) -> str | None:
        """Return the id of the sink whose file is there; None if there is none."""
        return self._places.get(place)

    def statuses(self, first: Iterable[str]) -> list[SinkStatus]:
        """Return what others may know of the sinks; begin with those whose ids are in `first`."""
        ids = [*(sink_id for sink_id in first if sink_id in self._sinks), *self._sinks]
        return [self._sinks[sink_id].status(sink_id) for sink_id in dict.fromkeys(ids)]

    def __getitem__(self, sink_id: str) -> Sink:
        return self._sinks[sink_id]

    def get(self, sink_id: str) -> Sink | None:
        """Return a sink; None if there is none with this id."""
        return self._sinks.get(sink_id)

    def let_go_of_idle(self) -> None:
        """Close the files that nobody has written to for long, if workers have added them.

        They are forgotten: an application may have a file for each job. Files that the arbiter's
        configuration names, as it is now, stay open, so that no other process takes them, and so do
        those that roll over on time; unless there are many.
        """
        many = len(self._sinks) >= MANY
        for sink_id, sink in list(self._sinks.items()):
            by_workers = sink_id in self._added
            stays = sink.will_roll_over if by_workers else sink_id not in self._unused
            if (many or not stays) and sink.is_idle(SHORT_IDLE if many else IDLE):
                sink.let_go()
                if sink_id in self._added:
                    self._forget(sink_id)
                    self.schedules.keep(sink_id, sink)

    def use_only(self, ids: Iterable[str]) -> None:
        """Know what the arbiter's configuration names now: others may own what it named before."""
        self._unused = self._sinks.keys() - set(map(self.known_as, ids)) - self._added

    def _forget(self, sink_id: str) -> None:
        self._sinks.pop(sink_id).close()
        self.changes += 1
        self._added.remove(sink_id)
        self._places = {place: known for place, known in self._places.items() if known != sink_id}
        self.version += 1

    def tick(self) -> None:
        """Do what is due about once a second."""
        now = time.time()
        for sink in self._sinks.values():
            with _reported("tick"):
                sink.tick(now)

    def rotate(self, but: Collection[str]) -> None:
        """Roll over what is due without a record, between two batches; not those `but` of ids."""
        now = time.time()
        for sink_id, sink in self._sinks.items():
            if sink_id not in but:
                with _reported("rotate"):
                    sink.rotate(now)

    def close(self) -> None:
        """Close every file, and give every handler back."""
        for sink_id, sink in self._sinks.items():
            try:
                sink.close()
            except Exception as error:  # the others shall be closed, too
                report(f"sink {sink_id}", f"cannot close {sink_id}: {error!r}")
        self._sinks.clear()
        self._places.clear()
        self._added.clear()
        self.version += 1

    def close_inherited(self) -> None:
        """In a forked child: hold no log file, leave nothing for `logging.shutdown` to flush."""
        for sink in self._sinks.values():
            with suppress(Exception):  # nothing may keep the child from its own role
                sink.abandon()
            with suppress(Exception):
                sink.close()  # the application may use its handler again


@contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        report(what, f"{error}")
