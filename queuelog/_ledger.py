"""The ledger: what of the spool has reached the log files, kept through every crash.

Two small appends a batch. Before anything is written to a log file: which part of the spool is
about to be written, and how long the file is. Afterwards: that it is done. A process that finds the
first without the second compares what the file has grown by with what should have been written
(see _delivery), so that every record arrives exactly once.

A line is a CRC-32 in hexadecimal, a space, and JSON. The last whole line counts.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from dataclasses import dataclass, field
from typing import Any

from queuelog._reader import Offsets

_COMPACT_SIZE = 1 << 20  # bytes


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
        self._size = 0
        self.state = State()

    def open(self) -> None:
        """Read the state that the last owner left. What cannot be read counts as nothing."""
        with contextlib.suppress(FileNotFoundError), open(self._path, "rb") as file:
            for line in file:
                found = _parse(line)
                if found is not None:
                    self.state = found
        self._replace()

    def save(self) -> None:
        """Append the state."""
        if self._size > _COMPACT_SIZE:
            self._replace()
        else:
            self._write(_format(self.state))

    def _replace(self) -> None:
        """Begin a new file that holds the current state only."""
        self.close()
        temporary = f"{self._path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_APPEND
        self._fd = os.open(temporary, flags, 0o600)
        self._write(_format(self.state))
        os.rename(temporary, self._path)

    def _write(self, line: bytes) -> None:
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, self._size)  # or the next line would go on behind half of this
            raise OSError(errno.ENOSPC, f"no room for {self._path}")
        self._size += len(line)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = -1, 0


def _format(state: State) -> bytes:
    text = json.dumps(state, default=vars, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> State | None:
    crc, _, text = line.rstrip(b"\n").partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(text):
            return None
        found = json.loads(text)
        held = {sink: _cursor(cursor) for sink, cursor in found["held"].items()}
        return State(_cursor(found["main"]), held)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _cursor(found: dict[str, Any]) -> Cursor:
    marks = {sink: Mark(**mark) for sink, mark in found["marks"].items()}
    return Cursor(found["offsets"], found["ends"], marks)
