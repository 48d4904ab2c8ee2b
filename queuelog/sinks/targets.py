"""Which sink the items of a segment go to, as its writer has described it.

What a worker names is built here from its description, and with the rights of the worker's user;
what it may not name is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from operator import itemgetter

from queuelog.base import SinkSpec, User, file_id, is_file, is_named, report
from queuelog.errors import FileInUseError
from queuelog.sinks.file import FileSink
from queuelog.sinks.protocol import Items, Sink
from queuelog.sinks.registry import Sinks
from queuelog.sinks.remote import RemoteSink
from queuelog.spool import Target
from queuelog.spool.merge import Groups


class UnknownSinkError(Exception):
    """Nobody here can write this; the records stay in the spool for a process that can."""


class Targets:
    """The way from targets to `sinks`.

    `groups` are the further groups that the processes of a user have (see `User`), by user id, and
    `elsewhere` the ids of those, known by name, that services have which are gone for now.
    """

    def __init__(self, sinks: Sinks) -> None:
        self.sinks = sinks
        self.groups: dict[int, tuple[int, ...] | None] = {}
        self.elsewhere: set[str] = set()
        self._found: dict[Target, str] = {}  # the id of its sink
        self._as_of = 0  # the version of the sinks for which that is true
        self._refused = 0  # records

    def _resolved(self) -> dict[Target, str]:
        if self._as_of != self.sinks.version:
            self._as_of = self.sinks.version
            self._found.clear()
        return self._found

    def resolve(self, target: Target) -> str:
        """Return the id of `target`'s sink, which is there afterwards.

        Raises:
            UnknownSinkError: only another process knows the handler.
            ValueError: the target is refused; the message says why.
            FileInUseError: another process owns the file.
            OSError: the lock of the file cannot be taken.
        """
        sink_id = self._resolved().get(target)
        if sink_id is None:  # a refusal is not remembered: hostile ones have no end
            sink_id = self._find(target)
            self._resolved()[target] = sink_id
        return sink_id

    def _find(self, target: Target) -> str:
        found = SinkSpec.parse(target.description)
        user = target.user and target.user._replace(groups=self.groups.get(target.user.uid, ()))
        sink_id = self.sinks.shared_by(user, found.sink_id)
        if user is None:
            self.sinks.displace(sink_id)
        sink = self.sinks.get(sink_id)
        if sink is None and found.name:
            if user is None or sink_id in self.elsewhere:
                raise UnknownSinkError(sink_id)
            raise ValueError(f"{found.name} was named by a process of another user")
        if sink is None:
            self.sinks.add_for_workers(sink_id, self._make(sink_id, found, user))
        elif self.sinks.is_for_workers(sink_id) and isinstance(sink, (FileSink, RemoteSink)):
            self._admit(sink, user)
        return sink_id

    def _make(self, sink_id: str, found: SinkSpec, user: User | None) -> Sink:
        if found.server:
            return RemoteSink(found.log_server(), user=user)
        # As this process: that user may not be able to read Python's own files, which may be
        # imported now, and what is not found once is not looked for again.
        handler = _build(found._replace(path=sink_id))
        made = FileSink(self.sinks.schedules.get(sink_id, handler), user)
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
            self._found.clear()  # others need to be admitted again

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
                accepted = self.sinks[sink_id].accept(kind, items)
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
            return self._resolved().get(target) or self.sinks.shared_by(
                target.user, SinkSpec.parse(target.description).sink_id
            )
        except (ValueError, RecursionError, OSError):
            return ""

    def current_id(self, sink_id: str) -> str:
        """Return the id by which a sink is known now: it changes with the path of its file."""
        known = sink_id in self._resolved().values() or not is_file(sink_id)
        return sink_id if known else self.sinks.known_as(file_id(sink_id))


def _build(found: SinkSpec) -> logging.FileHandler:
    """Return a handler for the file of a specification; a plain one, if that is all one can make.

    Of a class of the user's own, from an earlier run, the lines are complete without it.
    """
    try:
        return found.build()
    except Exception:
        return logging.FileHandler(found.path, delay=True)
