"""All sinks of the arbiter: which handler writes which file, and what a worker may add.

One path is one sink, however many handlers name it, and wherever they were configured.
"""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from operator import itemgetter

from queuelog.base import (
    Place,
    SinkSpec,
    User,
    detach_stream,
    file_id,
    is_file,
    is_named,
    place_of_sink,
    report,
    rotates,
    sink_id_of,
    writes_lines,
)
from queuelog.base.spec import server_id
from queuelog.errors import ConfigurationError, FileInUseError
from queuelog.handlers import ServerHandler
from queuelog.sinks.file import FileSink
from queuelog.sinks.protocol import Awaited, Items, Sink
from queuelog.sinks.record import RecordSink
from queuelog.sinks.remote import RemoteSink
from queuelog.sinks.route import RouteSink, Tree
from queuelog.spool import Target
from queuelog.spool.merge import Groups
from queuelog.spool.status import SinkStatus

IDLE = 60.0  # seconds after which a file that nobody writes to is closed ...
SHORT_IDLE = 1.0  # ... if there are many: each takes one of this process's descriptors
MOST_TIMED = 1000  # handlers that are kept, about 2 KiB each
MANY = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8


_OTHERS = object()  # they finish a line


class UnknownSinkError(Exception):
    """Nobody here can write this; the records stay in the spool for a process that can."""


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

    `groups` are the further groups that the processes of a user have (see `User`), by user id, and
    `elsewhere` the ids of those, known by name, that services have which are gone for now.
    """

    def __init__(self) -> None:
        self.groups: dict[int, tuple[int, ...] | None] = {}
        self.elsewhere: set[str] = set()
        self.changes = 0  # how often a sink was added or forgotten
        self._sinks: dict[str, Sink] = {}
        self._places: dict[Place, str] = {}  # ids of the files
        self._added: set[str] = set()  # by workers: can be built again from a specification
        self._unused: set[str] = set()  # that no configuration names any more
        self._resolved: dict[Target, str] = {}  # the id of its sink
        self._schedules = _Schedules()  # of files that were let go
        self._refused = 0  # records
        self.unfinished: dict[str, object] = {}  # whose line has to be completed, by sink id

    def add(self, handler: logging.Handler, in_use: Sequence[logging.Handler] = ()) -> None:
        """Let the arbiter write what `handler`, which was taken out of the logger tree, would.

        `in_use` are those that were taken before and that have not been configured away since.

        Raises:
            FileInUseError: another process owns the file.
            ValueError: the handler's encoding is unknown.
        """
        self._resolved.clear()
        sink_id = self._shared_by(None, sink_id_of(handler))
        self._displace(sink_id)
        self._added.discard(sink_id)
        sink = self._sinks.get(sink_id)
        if isinstance(sink, RecordSink) and sink.handler is handler:
            return  # it hangs on a further logger now
        if isinstance(handler, ServerHandler):
            self._add_server(sink_id, handler)
        elif not isinstance(handler, logging.FileHandler) or not writes_lines(handler):
            self._replace(sink_id, RecordSink(sink_id, handler))
        elif not isinstance(sink, FileSink):
            self._replace(sink_id, FileSink(handler))
        elif rotates(sink.handler) and not rotates(handler) and sink.handler in in_use:
            detach_stream(handler)  # the one that rotates decides
        else:
            sink.user = None
            sink.use(handler)
            sink.claim()

    def _add_server(self, sink_id: str, handler: ServerHandler) -> None:
        sink = self._sinks.get(sink_id)
        if isinstance(sink, RouteSink):
            raise ConfigurationError(
                f"{handler!r} would send to the log server {handler.server.address}, which is this "
                f"process: what it logs is here already. Leave the handler out"
            )
        if isinstance(sink, RemoteSink) and sink.server == handler.server:
            sink.handler, sink.user = handler, None
        else:
            self._replace(sink_id, RemoteSink(handler.server, handler))

    def serve(self, address: str, tree: Tree) -> None:
        """Log here what other processes have for the log server at an address, this one."""
        self._replace(server_id(address), RouteSink(tree))

    @property
    def serves(self) -> bool:
        """Whether this process is a log server."""
        return any(isinstance(sink, RouteSink) for sink in self._sinks.values())

    def end_serving(self) -> None:
        """Leave what comes from now on to another log server."""
        for sink in self._sinks.values():
            if isinstance(sink, RouteSink):
                sink.end()

    def _replace(self, sink_id: str, new: Sink) -> None:
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

    def _place_of(self, sink_id: str) -> Place | None:
        """Return where a sink is that other processes find here; None if they don't."""
        is_found = is_file(sink_id) or isinstance(self._sinks.get(sink_id), RouteSink)
        return place_of_sink(sink_id) if is_found else None

    def _known_as(self, sink_id: str) -> str:
        """Return the id of the sink that writes the same file, if there is one."""
        place = None if sink_id in self._sinks else place_of_sink(sink_id)
        return sink_id if place is None else self._places.get(place, sink_id)

    def _shared_by(self, user: User | None, sink_id: str) -> str:
        """Return the id of the sink that writes the same file, if `user` can rely on it.

        Another user may have named the file by a link, which he can lead elsewhere at any time.
        """
        known = self._known_as(sink_id)
        by = getattr(self._sinks.get(known), "user", None)
        is_safe = known == sink_id or by is None or (user is not None and user.uid == by.uid)
        return known if is_safe else sink_id

    def _displace(self, sink_id: str) -> None:
        """Forget the sink that another user has for a file of the owner's own."""
        known = self._known_as(sink_id)
        if known != sink_id:
            self._forget(known)

    def resolve(self, target: Target) -> str:
        """Return the id of `target`'s sink, which is there afterwards.

        Raises:
            UnknownSinkError: only another process knows the handler.
            ValueError: the target is refused; the message says why.
            FileInUseError: another process owns the file.
            OSError: the lock of the file cannot be taken.
        """
        if target not in self._resolved:  # a refusal is not remembered: hostile ones have no end
            self._resolved[target] = self._find(target)
        return self._resolved[target]

    def _find(self, target: Target) -> str:
        found = SinkSpec.parse(target.description)
        user = target.user and target.user._replace(groups=self.groups.get(target.user.uid, ()))
        sink_id = self._shared_by(user, found.sink_id)
        if user is None:
            self._displace(sink_id)
        sink = self._sinks.get(sink_id)
        if sink is None and found.name:
            if user is None or sink_id in self.elsewhere:
                raise UnknownSinkError(sink_id)
            raise ValueError(f"{found.name} was named by a process of another user")
        if sink is None:
            self._add(sink_id, self._make(sink_id, found, user))
            self._added.add(sink_id)
        elif sink_id in self._added and isinstance(sink, (FileSink, RemoteSink)):
            self._admit(sink, user)
        return sink_id

    def _make(self, sink_id: str, found: SinkSpec, user: User | None) -> Sink:
        if found.server:
            return RemoteSink(found.log_server(), user=user)
        # As this process: that user may not be able to read Python's own files, which may be
        # imported now, and what is not found once is not looked for again.
        handler = _build(found._replace(path=sink_id))
        made = FileSink(self._schedules.get(sink_id, handler), user)
        made.use(handler)
        made.claim()
        return made

    def _admit(self, sink: FileSink | RemoteSink, user: User | None) -> None:
        before = sink.user
        try:
            sink.admit(user)
        except OSError as error:
            raise ValueError(f"user {user and user.uid} may not write there: {error}") from None
        if sink.user != before:
            self._resolved.clear()  # others need to be admitted again

    def group(
        self, groups: Groups, *, names: bool
    ) -> tuple[dict[str, Items], dict[str, Exception]]:
        """Merge items by the id of their sink, in order of time, each as its sink wants it.

        Also return the ids of the sinks that nobody here knows, and why: without `names`, all that
        are known by name only.
        """
        merged: dict[str, Items] = {}
        unknown: dict[str, Exception] = {}
        for (target, kind), items in groups.items():
            try:
                sink_id = self.resolve(target)
                if not names and is_named(sink_id):
                    raise UnknownSinkError(sink_id)
                accepted = self._sinks[sink_id].accept(kind, items)
            except (UnknownSinkError, FileInUseError, OSError) as error:
                unknown[self.id_of(target)] = error
            except Exception as error:  # a hostile description may make anything fail
                self._refused += len(items)
                report("refused", f"refused {self._refused} records so far; the last: {error}")
            else:
                merged.setdefault(sink_id, []).extend(accepted)
        for items in merged.values():
            items.sort(key=itemgetter(0))  # stable: a writer's own order stays among equals
        return merged, unknown

    def select(self, groups: Groups, wanted: Callable[[str], bool]) -> Groups:
        """Return those items whose sinks, by their ids, are `wanted`."""
        return {key: items for key, items in groups.items() if wanted(self.id_of(key[0]))}

    def id_of(self, target: Target) -> str:
        """Return the id of a target's sink, whether or not that exists; "" if it is refused."""
        try:
            if target in self._resolved:
                return self._resolved[target]
            return self._shared_by(target.user, SinkSpec.parse(target.description).sink_id)
        except (ValueError, RecursionError, OSError):
            return ""

    def current_id(self, sink_id: str) -> str:
        """Return the id by which a sink is known now: it changes with the path of its file."""
        known = sink_id in self._resolved.values() or not is_file(sink_id)
        return sink_id if known else self._known_as(file_id(sink_id))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all sinks."""
        return tuple(self._sinks)

    def places(self) -> list[Place]:
        """Return where the files of all sinks are by now: a directory may have been made anew."""
        ids = sorted(self._sinks, key=lambda known: known not in self._added)  # workers' yield
        found = ((self._place_of(sink_id), sink_id) for sink_id in ids)
        self._places = {place: sink_id for place, sink_id in found if place is not None}
        return list(self._places)

    def leave_to_others(self, unfinished: Iterable[str]) -> None:
        """Write nothing to files whose last line another process may have to complete, by id."""
        for sink_id in [one for one, by in self.unfinished.items() if by is _OTHERS]:
            del self.unfinished[sink_id]
        for sink_id in map(self.current_id, filter(is_file, unfinished)):
            self.unfinished.setdefault(sink_id, _OTHERS)

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

    def let_go_of_idle(self) -> None:
        """Close the files that nobody has written to for long, if workers have added them.

        They are forgotten: an application may have a file for each job. Files that the arbiter's
        configuration names, as it is now, stay open, so that no other process takes them, unless
        there are many.
        """
        many = len(self._sinks) >= MANY
        for sink_id, sink in list(self._sinks.items()):
            may_go = many or sink_id in self._added or sink_id in self._unused
            if may_go and sink.is_idle(SHORT_IDLE if many else IDLE):
                sink.let_go()
                if sink_id in self._added:
                    self._forget(sink_id)
                    self._schedules.keep(sink_id, sink)

    def use_only(self, handlers: Iterable[logging.Handler]) -> None:
        """Know which handlers the arbiter's configuration has now: others may own the rest."""
        self._unused = self._sinks.keys() - {self._known_as(sink_id_of(h)) for h in handlers}

    def _forget(self, sink_id: str) -> None:
        self._sinks.pop(sink_id).close()
        self.changes += 1
        self._added.remove(sink_id)
        self._places = {place: known for place, known in self._places.items() if known != sink_id}
        self._resolved.clear()

    def tick(self) -> None:
        """Do what is due about once a second."""
        now = time.time()
        for sink in self._sinks.values():
            try:
                sink.tick(now)
            except (OSError, RuntimeError) as error:
                report("tick", f"{error}")

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
        self._resolved.clear()

    def close_inherited(self) -> None:
        """In a forked child: hold no log file, leave nothing for `logging.shutdown` to flush."""
        for sink in self._sinks.values():
            with suppress(Exception):  # nothing may keep the child from its own role
                sink.abandon()
            with suppress(Exception):
                sink.close()  # the application may use its handler again


def _build(found: SinkSpec) -> logging.FileHandler:
    """Return a handler for the file of a specification; a plain one, if that is all one can make.

    Of a class of the user's own, from an earlier run, the lines are complete without it.
    """
    try:
        return found.build()
    except Exception:
        return logging.FileHandler(found.path, delay=True)
