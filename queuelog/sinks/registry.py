"""All sinks of the arbiter: which handler writes which file, and what a worker may add.

One path is one sink, however many handlers name it, and wherever they were configured.
"""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import itemgetter

from queuelog.base import (
    SinkSpec,
    detach_stream,
    file_id,
    is_file,
    report,
    rotates,
    sink_id_of,
    writes_lines,
)
from queuelog.base.locks import LogFileLock
from queuelog.errors import FileInUseError
from queuelog.sinks.file import FileSink
from queuelog.sinks.protocol import Items, Sink
from queuelog.sinks.record import RecordSink
from queuelog.spool import Target
from queuelog.spool.merge import Groups

IDLE = 60.0  # seconds after which a file that nobody writes to is closed ...
SHORT_IDLE = 1.0  # ... if there are many: each takes two of this process's descriptors
MANY = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8


class UnknownSinkError(Exception):
    """Nobody here can write this; the records stay in the spool for a process that can."""


class Sinks:
    """The sinks by id. `allowed` are the directories in which other users' processes may add files.

    `note` is what the lock of each file tells other processes of its owner.
    """

    def __init__(self, allowed: Sequence[str], note: str) -> None:
        self._allowed = tuple(f"{os.path.realpath(path)}/" for path in allowed)
        self._note = note
        self._sinks: dict[str, Sink] = {}
        self._added: set[str] = set()  # by workers: can be built again from a specification
        self._resolved: dict[Target, str] = {}  # the id of its sink
        self._claims = False  # this process owns the spool
        self._refused = 0  # records

    def add(self, handler: logging.Handler, in_use: Sequence[logging.Handler] = ()) -> None:
        """Let the arbiter write what `handler`, which was taken out of the logger tree, would.

        `in_use` are those that were taken before and that have not been configured away since.

        Raises:
            FileInUseError: another process owns the file.
            ValueError: the handler's encoding is unknown.
        """
        self._resolved.clear()
        sink_id = sink_id_of(handler)
        self._added.discard(sink_id)
        sink = self._sinks.get(sink_id)
        if isinstance(sink, RecordSink) and sink.handler is handler:
            return  # it hangs on a further logger now
        if not isinstance(handler, logging.FileHandler) or not writes_lines(handler):
            self._replace(sink_id, RecordSink(sink_id, handler))
        elif not isinstance(sink, FileSink):
            self._replace(sink_id, self._file_sink(sink_id, handler))
        elif rotates(sink.handler) and not rotates(handler) and sink.handler in in_use:
            detach_stream(handler)  # the one that rotates decides
        else:
            sink.use(handler)

    def _replace(self, sink_id: str, new: Sink) -> None:
        if self._claims:
            new.claim()
        old = self._sinks.get(sink_id)
        if old is not None:
            old.close()
        self._sinks[sink_id] = new

    def _file_sink(
        self, sink_id: str, handler: logging.FileHandler, *, nofollow: bool = False
    ) -> FileSink:
        return FileSink(handler, LogFileLock(sink_id, self._note), nofollow=nofollow)

    def claim(self) -> None:
        """Lock every file, now that this process owns the spool; harmless if repeated.

        Raises: as `Sink.claim`.
        """
        self._claims = True
        for sink in self._sinks.values():
            sink.claim()

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
        sink_id = found.sink_id
        if sink_id in self._sinks:
            return sink_id
        if not found.path:
            if target.trusted:
                raise UnknownSinkError(sink_id)
            raise ValueError(f"{found.name} was named by a process of another user")
        if not target.trusted and not sink_id.startswith(self._allowed):
            raise ValueError(
                f"{found.path} was named by a process of another user, and is not below a "
                f"directory that start(adopt=[…]) allows"
            )
        handler = _build(found._replace(path=sink_id), trusted=target.trusted)
        added = self._file_sink(sink_id, handler, nofollow=not target.trusted)
        added.claim()
        self._sinks[sink_id] = added
        self._added.add(sink_id)
        return sink_id

    def group(self, groups: Groups) -> tuple[dict[str, Items], set[str]]:
        """Merge items by the id of their sink, in order of time, each as its sink wants it.

        Also return the ids of the sinks that nobody here knows.
        """
        merged: dict[str, Items] = {}
        unknown = set()
        for (target, kind), items in groups.items():
            try:
                sink_id = self.resolve(target)
                accepted = self._sinks[sink_id].accept(kind, items)
            except (UnknownSinkError, FileInUseError, OSError) as error:
                sink_id = self.id_of(target)
                report(f"unknown {sink_id}", f"cannot write {sink_id} here: {error}")
                unknown.add(sink_id)
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
            return self._resolved.get(target) or SinkSpec.parse(target.description).sink_id
        except (ValueError, RecursionError, OSError):
            return ""

    def current_id(self, sink_id: str) -> str:
        """Return the id by which a sink is known now: it changes with the path of its file."""
        known = sink_id in self._resolved.values() or not is_file(sink_id)
        return sink_id if known else file_id(sink_id)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all sinks."""
        return tuple(self._sinks)

    def __getitem__(self, sink_id: str) -> Sink:
        return self._sinks[sink_id]

    def let_go_of_idle(self) -> None:
        """Close the files that nobody has written to for long.

        One that a worker has added is forgotten: an application may have a file for each job, and
        each lock is a descriptor. A timed handler is kept, since a new one begins a new period.
        """
        idle = IDLE if len(self._sinks) < MANY else SHORT_IDLE
        for sink_id, sink in list(self._sinks.items()):
            if sink.is_idle(idle):
                sink.let_go()
                if sink_id in self._added and not sink.has_schedule:
                    self._sinks.pop(sink_id).close()
                    self._added.remove(sink_id)
                    self._resolved.clear()

    def tick(self) -> None:
        """Do what is due about once a second."""
        now = time.time()
        for sink in self._sinks.values():
            try:
                sink.tick(now)
            except (OSError, RuntimeError) as error:
                report("locks", f"cannot lock a log file again whose lock was removed: {error}")

    def close(self) -> None:
        """Close every file, and give every handler back."""
        for sink_id, sink in self._sinks.items():
            try:
                sink.close()
            except Exception as error:  # the others shall be closed, too
                report(f"sink {sink_id}", f"cannot close {sink_id}: {error!r}")
        self._sinks.clear()
        self._added.clear()
        self._resolved.clear()

    def close_inherited(self) -> None:
        """In a forked child: hold no log file, leave nothing for `logging.shutdown` to flush."""
        for sink in self._sinks.values():
            # The application may use its handler again. Nothing keeps the child from its own role.
            for let_go in (sink.close, sink.abandon):
                with suppress(Exception):
                    let_go()


def _build(found: SinkSpec, *, trusted: bool) -> logging.FileHandler:
    try:
        return found.build()
    except Exception:
        if not trusted:
            raise
        # A class of the user's own, from an earlier run: its lines are complete without it.
        return logging.FileHandler(found.path, delay=True)
