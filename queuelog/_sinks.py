"""All sinks of the arbiter: which description means which file or handler, and whether it may.

One path is one sink, however many handlers name it, and wherever they were configured.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any

from queuelog import _frame
from queuelog._description import (
    Description,
    build,
    class_name,
    detach_stream,
    encoding,
    parse,
    preamble,
    writes_lines,
)
from queuelog._files import FileSink, Note
from queuelog._ledger import Mark
from queuelog._report import report
from queuelog._spool import Target, file_lock

IDLE = 60.0  # seconds after which a file that nobody writes to is closed ...
SHORT_IDLE = 1.0  # ... if there are many: each takes two of this process's descriptors
MANY = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8

_REFUSED_FOR_GOOD = 500  # by a mail server: RFC 5321, section 4.2.1
_IS_LINE = "_queuelog_line"  # attribute of a record whose message is a finished line
_PLAIN = logging.Formatter("%(message)s")

Items = list[_frame.Item]
Groups = dict[tuple[Target, int], Items]  # by target and frame kind, as in a batch


class UnknownSinkError(Exception):
    """Nobody here can write this; the records stay in the spool for a process that can."""


class RecordSink:
    """A handler that writes itself: owned by name, or a file handler with an `emit` of its own."""

    def __init__(self, sink_id: str, handler: logging.Handler) -> None:
        self.id = sink_id
        self.take(handler)

    def take(self, handler: logging.Handler) -> None:
        """Use `handler` from now on. Its filters have run in the worker: they do not run again."""
        self.handler: Any = handler
        self._filters, handler.filters = handler.filters, []
        # Errors shall come to us, who can keep the record, and not be printed and forgotten.
        vars(handler)["handleError"] = _raise
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            handler.mode = "a"  # opened again, it must not be emptied

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as records; lines come from a process that knew another handler."""
        return items if kind == _frame.RECORD else [(at, _wrap(at, line)) for at, line in items]

    def write(self, items: Items, note: Note, done: int = 0) -> None:
        """Hand the records to the handler, from the index `done` on.

        Raises:
            OSError: the handler could not reach its file or server.
        """
        self.let_go_if_moved()
        for index in range(done, len(items)):
            note(Mark(index))
            try:
                self._handle(_record(items[index][1]))
            except Exception as error:
                if not _is_final(error):
                    raise
                report(f"record {self.id}", f"handler {self.id} lost a record: {error!r}")
        with suppress(ValueError):
            self.handler.flush()

    def _handle(self, record: logging.LogRecord) -> None:
        formatter = self.handler.formatter
        if hasattr(record, _IS_LINE):
            self.handler.formatter = _PLAIN
        try:
            self.handler.handle(record)
        finally:
            self.handler.formatter = formatter

    def let_go_if_moved(self) -> None:
        """Follow logrotate, as `FileSink` does: the handler opens its file again by itself."""
        stream = getattr(self.handler, "stream", None)
        if stream is None or not isinstance(self.handler, logging.FileHandler):
            return
        with suppress(OSError, ValueError):
            held = os.fstat(stream.fileno())
            with suppress(FileNotFoundError):
                found = os.stat(self.handler.baseFilename)
                if (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino):
                    return
            detach_stream(self.handler)

    def resume(self, items: Items, mark: Mark, note: Note) -> None:
        """Go on at the record that was interrupted."""
        self.write(items, note, mark.done)

    def close(self) -> None:
        """Give the handler back as it was."""
        self.handler.filters = self._filters
        vars(self.handler).pop("handleError", None)


class LineSink:
    """A log file (see `FileSink`) as the listener sees it."""

    def __init__(self, file: FileSink) -> None:
        self.id = file.id
        self.file = file
        self.write = file.write
        self.resume = file.resume

    def accept(self, kind: int, items: Items) -> Items:
        """Return the items as lines; records come from a process that knew another handler."""
        return items if kind == _frame.LINE else [(at, self._format(data)) for at, data in items]

    def _format(self, payload: bytes) -> bytes:
        handler = self.file.handler
        try:
            text: str = handler.format(_record(payload)) + handler.terminator
        except Exception as error:  # not JSON, or the user's formatter: keep what there is
            report(f"record {self.id}", f"cannot format a record for {self.id}: {error!r}")
            return payload + b"\n"
        name, errors = encoding(handler)
        try:
            data = text.encode(name, errors)
        except UnicodeError:
            data = text.encode(name, "backslashreplace")
        return data[len(preamble(handler)) :]

    def close(self) -> None:
        """Close the file and let others own it."""
        self.file.close()


Sink = LineSink | RecordSink


class Sinks:
    """The sinks by id. `allowed` are the directories in which other users' processes may add files.

    `note` is what the lock of each file tells other processes of its owner.
    """

    def __init__(self, allowed: Sequence[str], note: str) -> None:
        self._allowed = tuple(os.path.realpath(path) for path in allowed)
        self._note = note
        self._sinks: dict[str, Sink] = {}
        self._added: set[str] = set()  # by workers: can be built again from a description
        self._resolved: dict[Target, str] = {}  # the id of its sink
        self._refused = 0  # records
        self.claiming = False

    def own(self, handler: logging.Handler, in_use: Sequence[logging.Handler] = ()) -> None:
        """Let the arbiter own `handler`, which was taken out of the logger tree.

        `in_use` are those that were taken before and that have not been configured away since.

        Raises:
            FileInUseError: another process owns the file.
            ValueError: the handler's encoding is unknown.
        """
        self._resolved.clear()
        sink_id = identify(handler)
        self._added.discard(sink_id)
        sink = self._sinks.get(sink_id)
        if isinstance(handler, logging.FileHandler) and writes_lines(handler):
            if isinstance(sink, LineSink):
                current = sink.file.handler
                if _rotates(current) and not _rotates(handler) and current in in_use:
                    detach_stream(handler)  # the one that rotates decides
                else:
                    sink.file.take(handler)
                return
            new: Sink = self._line_sink(sink_id, handler)
            if self.claiming:
                self._claim(new)
        else:
            new = RecordSink(sink_id, handler)
        if sink is not None:
            sink.close()
        self._sinks[sink_id] = new

    def claim(self) -> None:
        """Lock every file, now that this process owns the spool.

        Raises:
            FileInUseError: another process owns one of the files with another spool.
        """
        self.claiming = True
        for sink in self._sinks.values():
            self._claim(sink)

    def mend(self) -> None:
        """Take the locks again that somebody has removed."""
        try:
            self.claim()
        except (OSError, RuntimeError) as error:
            report("locks", f"cannot lock a log file again whose lock was removed: {error}")

    def _claim(self, sink: Sink) -> None:
        if isinstance(sink, LineSink):
            sink.file.claim(self._note)

    def resolve(self, target: Target) -> str | ValueError:
        """Return the id of `target`'s sink, or the reason why the target is refused.

        Raises:
            UnknownSinkError: only another process knows the handler.
            OSError: the lock of the file cannot be taken.
            FileInUseError: another process owns the file.
        """
        if target not in self._resolved:
            try:
                self._resolved[target] = self._find(target).id
            except ValueError as error:
                return error  # not remembered: a hostile process would invent ever more of them
        return self._resolved[target]

    def _find(self, target: Target) -> Sink:
        description = parse(target.description)
        sink_id = _file_id(description.path) if description.path else f"name:{description.name}"
        sink = self._sinks.get(sink_id)
        if sink is not None:
            return sink
        if not description.path:
            if target.trusted:
                raise UnknownSinkError(sink_id)
            raise ValueError(f"{description.name} was named by a process of another user")
        if not target.trusted and not sink_id.startswith(tuple(f"{d}/" for d in self._allowed)):
            raise ValueError(
                f"{description.path} was named by a process of another user, and is not below a "
                f"directory that start(adopt=[…]) allows"
            )
        handler = _build(description._replace(path=sink_id), trusted=target.trusted)
        added = self._line_sink(sink_id, handler, nofollow=not target.trusted)
        added.file.claim(self._note)
        self._sinks[sink_id] = added
        self._added.add(sink_id)
        return added

    def _line_sink(
        self, sink_id: str, handler: logging.FileHandler, *, nofollow: bool = False
    ) -> LineSink:
        return LineSink(FileSink(sink_id, handler, file_lock(sink_id), nofollow=nofollow))

    def group(self, groups: Groups) -> tuple[dict[str, Items], set[str]]:
        """Merge items by the id of their sink, in order of time, each as its sink wants it.

        Also return the ids of the sinks that nobody here knows.
        """
        merged: dict[str, Items] = {}
        unknown = set()
        for (target, kind), items in groups.items():
            try:
                sink_id = self.resolve(target)
            except (UnknownSinkError, OSError, RuntimeError) as error:
                sink_id = _target_id(target)
                report(f"unknown {sink_id}", f"cannot write {sink_id} here: {error}")
                unknown.add(sink_id)
            else:
                if isinstance(sink_id, ValueError):
                    self._refused += len(items)
                    reason = f"refused {self._refused} records so far; the last: {sink_id}"
                    report("refused", reason)
                else:
                    accepted = self._sinks[sink_id].accept(kind, items)
                    merged.setdefault(sink_id, []).extend(accepted)
        for items in merged.values():
            items.sort(key=itemgetter(0))  # stable: a writer's own order stays among equals
        return merged, unknown

    def only(self, groups: Groups, sink_id: str) -> Groups:
        """Return those items that belong to one sink, by whatever name."""
        names = sink_id, self.current(sink_id)
        return {
            (target, kind): items
            for (target, kind), items in groups.items()
            if self._id(target) in names
        }

    def current(self, sink_id: str) -> str:
        """Return the id by which a sink is known now: it changes with the path of its file."""
        known = sink_id in self._resolved.values() or not is_file(sink_id)
        return sink_id if known else _file_id(sink_id)

    def _id(self, target: Target) -> str:
        """Return the id of a target's sink, whether or not that exists; "" if it cannot."""
        with suppress(ValueError):
            return self._resolved.get(target) or _target_id(target)
        return ""

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all sinks."""
        return tuple(self._sinks)

    def knows(self, sink_id: str) -> bool:
        """Tell if there is a sink of that id."""
        return sink_id in self._sinks

    def __getitem__(self, sink_id: str) -> Sink:
        return self._sinks[sink_id]

    def close_unused(self) -> None:
        """Close the files that were moved away, or that nobody has written to for long.

        A file that logrotate has moved is complete then, and a removed one gives its space back.
        One that a worker has added is forgotten: an application may have a file for each job, and
        each lock is a descriptor. A timed handler is kept, since a new one begins a new period.
        """
        idle = IDLE if len(self._sinks) < MANY else SHORT_IDLE
        for sink_id, sink in list(self._sinks.items()):
            if not isinstance(sink, LineSink):
                sink.let_go_if_moved()
                continue
            unused = sink.file.close_if_unused(idle)
            if unused and sink_id in self._added and not hasattr(sink.file.handler, "rolloverAt"):
                self._forget(sink_id)

    def _forget(self, sink_id: str) -> None:
        self._sinks.pop(sink_id).close()
        self._added.remove(sink_id)
        self._resolved.clear()

    def close(self) -> None:
        """Close every file, and give every handler back."""
        for sink in self._sinks.values():
            sink.close()
        self._sinks.clear()
        self._added.clear()
        self._resolved.clear()

    def close_inherited(self) -> None:
        """In a forked child: hold no log file, leave nothing for `logging.shutdown` to flush."""
        for sink in self._sinks.values():
            if isinstance(sink, LineSink):
                sink.file.close()
            else:
                sink.close()  # the application may use it again
                if isinstance(sink.handler, logging.FileHandler):
                    detach_stream(sink.handler)  # empty: the listener flushes every batch


def identify(handler: logging.Handler) -> str:
    """Return the id of the sink that `handler` writes to."""
    if isinstance(handler, logging.FileHandler):
        return _file_id(handler.baseFilename)
    return f"name:{handler.name or class_name(handler)}"


def _target_id(target: Target) -> str:
    """Return the sink id of a target whose description is right, whether or not it exists."""
    description = parse(target.description)
    return _file_id(description.path) if description.path else f"name:{description.name}"


def is_file(sink_id: str) -> bool:
    """Tell if a sink is a log file, and not a handler that is known by its name."""
    return os.path.isabs(sink_id)


def _file_id(path: str) -> str:
    """One id for one file, through whatever links its directory is named."""
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


def _is_final(error: Exception) -> bool:
    """Tell if the record will never pass, however often it is tried: go on with the next one."""
    if not isinstance(error, OSError) or error.errno == errno.EMSGSIZE:
        return True  # the handler's own error, or too long for a datagram
    return getattr(error, "smtp_code", 0) >= _REFUSED_FOR_GOOD or hasattr(error, "recipients")


def _rotates(handler: logging.Handler) -> bool:
    return hasattr(handler, "rolloverAt") or getattr(handler, "maxBytes", 0) > 0


def _build(description: Description, *, trusted: bool) -> logging.FileHandler:
    try:
        return build(description)
    except ValueError:
        if not trusted:
            raise
        # A class of the user's own, from an earlier run: its lines are complete without it.
        return logging.FileHandler(description.path, delay=True)


def _wrap(created: float, line: bytes) -> bytes:
    text = line.decode(errors="backslashreplace").rstrip("\n")
    return json.dumps({"msg": text, "created": created, _IS_LINE: True}).encode()


def _record(payload: bytes) -> logging.LogRecord:
    attributes = json.loads(payload)
    return logging.makeLogRecord(attributes if isinstance(attributes, dict) else {})


def _raise(record: logging.LogRecord) -> None:
    raise  # the exception that handleError was called for  # noqa: PLE0704
