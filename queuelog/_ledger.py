"""The ledger: what of the spool has reached the log files, kept through every crash.

Two small writes a batch. Before anything is written to a log file: which part of the spool is
about to be written, and how long the file is. Afterwards: that it is done. A process that finds the
first without the second compares what the file has grown by with what should have been written
(see _delivery), so that every record arrives exactly once.

A line is a CRC-32 in hexadecimal, a space, and JSON; of those that are whole the one with the
highest number counts. The file is a ring: it has all its room from the beginning, so that a spool
that is full can still be emptied, and its lines go round in it; none reaches the one before.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass, field
from typing import Any

from queuelog._reader import Offsets

_SIZE = 1 << 20  # bytes, at least


@dataclass
class Mark:
    """How far an open batch has got in one sink, when its next piece is about to be written.

    `done` entries of the batch are in their files. The next one goes to the end of `path`, which
    is `size` bytes long and the file `inode` of `device`; `path` is "" while that is undecided.
    """

    done: int = 0
    path: str = ""
    device: int = 0
    inode: int = 0
    size: int = 0


@dataclass
class Cursor:
    """A position in the spool, and the batch that is being written from there, if `ends` is set."""

    offsets: Offsets = field(default_factory=dict)
    ends: Offsets | None = None
    marks: dict[str, Mark] = field(default_factory=dict)  # by sink id

    def advance(self) -> None:
        """The open batch is done."""
        self.offsets.update(self.ends or {})
        self.ends = None
        self.marks = {}


@dataclass
class State:
    """The position of all sinks together, and those of sinks that lag behind, by their id."""

    main: Cursor = field(default_factory=Cursor)
    held: dict[str, Cursor] = field(default_factory=dict)


class Ledger:
    """The state on disk (on tmpfs, that is). Only the owner of the spool opens it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._size = 0  # of the file
        self._end = 0  # of the last line
        self._number = 0  # of the last line
        self.state = State()

    def open(self) -> None:
        """Read the state that the last owner left. What cannot be read counts as nothing.

        Raises:
            OSError: there is no room for the file.
        """
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        position = 0
        with open(self._path, "rb") as file:
            for line in file:
                position += len(line)
                found = _parse(line)
                if found is not None and found[0] > self._number:
                    self._number, self.state = found
                    self._end = position
        self._size = 0
        self._reserve(max(_SIZE, position))

    def save(self) -> None:
        """Write the state.

        Raises:
            OSError: it is longer than the file, and there is no room for a longer one.
        """
        self._number += 1
        line = _format(self._number, self.state)
        if 3 * len(line) > self._size:  # this one must not reach into the last, if that is longer
            self._reserve(6 * len(line))
        if self._end + len(line) > self._size:
            self._end = 0
        os.pwrite(self._fd, line, self._end)
        self._end += len(line)

    def mend(self) -> None:
        """Write the file anew if somebody has removed it."""
        if os.fstat(self._fd).st_nlink == 0:
            self.close()
            state = self.state
            self.open()
            self.state = state
            self.save()

    def _reserve(self, size: int) -> None:
        os.posix_fallocate(self._fd, self._size, size - self._size)
        self._size = size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._end = -1, 0


def _format(number: int, state: State) -> bytes:
    fields = {"number": number, **vars(state)}
    text = json.dumps(fields, default=vars, separators=(",", ":")).encode()
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> tuple[int, State] | None:
    crc, _, text = line.rstrip(b"\n").partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(text):
            return None
        found = json.loads(text)
        held = {sink: _cursor(cursor) for sink, cursor in found["held"].items()}
        return int(found["number"]), State(_cursor(found["main"]), held)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _cursor(found: dict[str, Any]) -> Cursor:
    marks = {sink: Mark(**mark) for sink, mark in found["marks"].items()}
    return Cursor(found["offsets"], found["ends"], marks)
