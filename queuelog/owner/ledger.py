"""The ledger: what of the spool has reached the log files, kept through every crash.

Two small writes a batch. Before anything is written to a log file: which part of the spool is
about to be written, and how long the file is. Afterwards: that it is done. A process that finds the
first without the second compares what the file has grown by with what should have been written, so
that every record arrives exactly once.

A line is a CRC-32 in hexadecimal, a space, and JSON with the version of the format; of those that
are whole the one with the highest number counts. The file is a ring: it has all its room from the
beginning, so that a spool that is full can still be emptied, and its lines go round in it; none
reaches the one before.
"""

from __future__ import annotations

import json
import os
import re
import resource
import stat
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from queuelog.base import ELSEWHERE, Descriptor, opened, report
from queuelog.errors import SpoolError
from queuelog.sinks import Mark
from queuelog.spool import Offsets
from queuelog.spool.frame import FORMAT

# Bytes, at least; less only where no file of this process may be so long (`ulimit -f`).
_SIZE = min(1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[0] % (1 << 64))
_MANY = 1 << 40  # lines, more than anybody writes
_MOST = 1 << 26  # bytes that anybody reads from outside
_NUMBER = re.compile(rb'[0-9a-f]{8} \{"format":\d{1,9},"number":(\d{1,18}),')


class Origin(Enum):
    """What the batch is that comes next at a cursor.

    NEW ──begin()──► INTERRUPTED ──finish()──► NEW
    RECOVERED is what another process has left INTERRUPTED.
    """

    NEW = "new"  # nothing of it was written
    INTERRUPTED = "interrupted"  # this process has begun it, and comes back to it
    RECOVERED = "recovered"  # the last owner began it, and died


@dataclass
class Cursor:
    """A position in the spool, and how far the batch has got that is being written from there.

    `ends` are the batch's, empty between two batches; `marks` by sink id.
    """

    offsets: Offsets = field(default_factory=dict)
    ends: Offsets = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    origin: Origin = Origin.NEW  # of the batch that comes next

    def begin(self, ends: Offsets) -> None:
        """A new batch is about to be written."""
        self.ends, self.origin = ends, Origin.INTERRUPTED

    def finish(self) -> None:
        """The batch is written."""
        self.offsets.update(self.ends)
        self.ends, self.marks, self.origin = {}, {}, Origin.NEW

    def give_up(self) -> bool:
        """Forget the batch, if nothing of it is written or may be; tell if there is none now."""
        if all(mark == Mark() for mark in self.marks.values()):
            self.ends, self.marks, self.origin = {}, {}, Origin.NEW
        return self.origin is Origin.NEW

    def fields(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {"offsets": self.offsets, "ends": self.ends, "marks": self.marks}


@dataclass
class State:
    """The position of all sinks together, and those of sinks that lag behind, by their id."""

    main: Cursor = field(default_factory=Cursor)
    lagging: dict[str, Cursor] = field(default_factory=dict)

    def cursors(self) -> list[Cursor]:
        """Return all of them."""
        return [self.main, *self.lagging.values()]

    def positions(self) -> list[Offsets]:
        """Return the offsets of all cursors."""
        return [cursor.offsets for cursor in self.cursors()]

    def unfinished(self) -> set[str]:
        """Return the ids of the sinks at whose end may be half a line."""
        marks = [item for cursor in self.cursors() for item in cursor.marks.items()]
        return {sink_id for sink_id, mark in marks if mark.token is not None}

    def forget(self, segment: str) -> None:
        """No cursor is in a segment any more: it is gone."""
        for offsets in self.positions():
            offsets.pop(segment, None)


class Ledger(Descriptor):
    """The state on disk (on tmpfs, that is). Only the owner of the spool opens it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._size = 0  # of the file
        self._end = 0  # of the last line
        self._number = 0  # of the last line
        self._known = False  # the state is that of the spool, whatever becomes of the file
        self.state = State()

    def _read(self, fd: int) -> tuple[int, State, int]:
        """Return number, state and end of the last whole line; damaged ones count as nothing.

        What a crash cannot have done to the file is reported.
        """
        newest: dict[str, Any] = {"number": 0}
        position = end = broken = unread = 0
        is_newest = True
        damage = ""
        try:
            with open(fd, "rb", closefd=False) as file:
                for line in file:
                    position += len(line)
                    found = _parse(line)
                    if found is None:  # torn, or what is left of one that a newer one covers
                        broken += is_newest and bool(line.strip(b"\0\n"))
                        continue
                    is_newest = found["number"] > newest["number"]
                    if is_newest:
                        newest, end, broken = found, position, 0
            if position < _SIZE:
                damage = "was truncated"
            elif broken > (end > 0):  # a crash tears one line behind the last
                damage = "is damaged"
        except OSError as error:
            damage = f"cannot be read ({error.strerror})"
            unread = _MANY  # lines, which may come to light again
        if end and newest.get("format") != FORMAT:
            raise SpoolError(
                f"the spool {os.path.dirname(self._path)} is left alone: another version of "
                f"queuelog wrote it (format {newest.get('format', 0)}, this one has {FORMAT}). "
                f"Start that version once, to write what waits there, and then remove the "
                f"directory; {ELSEWHERE}"
            )
        if damage:
            report(
                "ledger",
                f"the ledger {self._path} {damage}: lines that waited in the spool may be in their "
                f"files twice",
            )
        self._size = max(_SIZE, position)
        return newest["number"] + unread, _state(newest), end

    def open(self) -> None:
        """Read the state that the last owner left, or go on with ours if somebody removed the file.

        Harmless if it is open.

        Raises:
            SpoolError: another version of queuelog has written it.
            OSError: there is no room for the file.
        """
        if self.is_there:
            return
        super().close()
        if not self._known:
            self._number, self.state = 0, State()
        self._size, self._end = _SIZE, 0
        is_new = self._open_file()
        try:
            if not self._known and not is_new:
                self._number, self.state, self._end = self._read(self.fd)
            os.posix_fallocate(self.fd, 0, self._size)
        except BaseException:
            super().close()  # or the next call would take it for whole ...
            if is_new:
                os.unlink(self._path)  # ... or for one that somebody has truncated
            raise
        if self._known:
            self.save()
        self._known = True

    def _open_file(self) -> bool:
        """Open the file; tell if it is new."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self.fd = os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self.fd = os.open(self._path, flags)
            return False
        return True

    def close(self) -> None:
        """Close the file; another process may change it from now on."""
        self._known = False
        super().close()

    def save(self) -> None:
        """Write the state.

        Raises:
            OSError: it is longer than the file, and there is no room for a longer one.
        """
        self._number += 1
        line = _format(self._number, self.state)
        if 3 * len(line) > self._size:  # this one must not reach into the last, if that is longer
            os.posix_fallocate(self.fd, self._size, 6 * len(line) - self._size)
            self._size = 6 * len(line)
        if self._end + len(line) > self._size:
            self._end = 0
        os.pwrite(self.fd, line, self._end)
        self._end += len(line)


def look(path: str) -> State | None:
    """Return the state that a ledger says just now, for those who look from outside, or None."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(OSError), opened(path, flags) as fd:
        data = os.read(fd, _MOST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        lines = [line for line in data.split(b"\n") if _NUMBER.match(line)]
        for line in sorted(lines, key=_number, reverse=True):  # the newest may be half written
            found = _parse(line)
            if found is not None:
                return _state(found) if found.get("format") == FORMAT else None
    return None


def _number(line: bytes) -> int:
    found = _NUMBER.match(line)
    return int(found[1]) if found else 0


def _format(number: int, state: State) -> bytes:
    lagging = {sink: cursor.fields() for sink, cursor in state.lagging.items()}
    fields = {"format": FORMAT, "number": number, "main": state.main.fields(), "lagging": lagging}
    text = json.dumps(fields, separators=(",", ":")).encode()
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the fields of a whole line, of whatever version; None if it is none."""
    crc, _, text = line.rstrip(b"\n").partition(b" ")
    with suppress(ValueError, TypeError, LookupError, AttributeError):
        if int(crc, 16) == zlib.crc32(text):
            found: dict[str, Any] = json.loads(text)
            found["number"] = int(found["number"])
            if found.get("format") == FORMAT:
                _state(found)  # or it is none
            return found
    return None


def _state(found: dict[str, Any]) -> State:
    lagging = {sink: _cursor(fields) for sink, fields in found.get("lagging", {}).items()}
    return State(_cursor(found.get("main", {})), lagging)


def _cursor(found: dict[str, Any]) -> Cursor:
    marks = {sink: Mark(*mark) for sink, mark in found.get("marks", {}).items()}
    ends = found.get("ends", {})
    origin = Origin.RECOVERED if ends else Origin.NEW
    return Cursor(found.get("offsets", {}), ends, marks, origin)
