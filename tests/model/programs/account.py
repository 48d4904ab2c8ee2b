"""What was logged, what of it is acknowledged, and what is in the files."""

from __future__ import annotations

import glob
import mmap
import os
import re
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

from service import line

LINES = 1 << 20  # that a script may log at most
_DROPPED = re.compile(rb"(\d+) records.* dropped")
_OURS = re.compile(rb"\d{7} x*\|")


class Range(NamedTuple):
    """Consecutive lines of a process for a file: numbers from `start` up to `end`."""

    path: str
    start: int
    end: int
    size: int
    process: str
    user: str  # of its arbiter


class File(NamedTuple):
    """What is wrong with a log file and its backups: numbers of lines, and lines."""

    path: str
    expected: int
    found: int
    missing: list[int]
    doubled: list[int]
    torn: list[bytes]
    dropped: int
    unacknowledged: int

    def is_right(self, tolerated=0):
        """Tell if each line is there once, or counted as dropped; so many may be there twice."""
        few, many = len(self.missing), len(self.missing) + self.unacknowledged
        return len(self.doubled) <= tolerated and not self.torn and few <= self.dropped <= many


class Account:
    """The numbers that were given to lines; processes share it, and mark what is acknowledged."""

    def __init__(self):
        self.acks = mmap.mmap(-1, LINES)  # survives every process that marks something in it
        self._ranges = []
        self._next = 0

    def take(self, path, count, size, process, user):
        """Give numbers to lines that are about to be logged; return them."""
        taken = Range(path, self._next, self._next + count, size, process, user)
        self._next = taken.end
        self._ranges.append(taken)
        return taken

    def paths(self):
        """Return the paths of all files that something was logged to."""
        return sorted({one.path for one in self._ranges})

    def logged_to(self, path):
        """Return what was logged to a file."""
        return [one for one in self._ranges if one.path == path]

    def logged_by(self, path, numbers):
        """Return what was logged to a file and includes one of these numbers."""
        return [
            one for one in self.logged_to(path) if any(one.start <= n < one.end for n in numbers)
        ]

    def check(self, path):
        """Return what is in a file and its backups, against what must be there."""
        sizes, acknowledged, others = {}, set(), 0
        for one in self.logged_to(path):
            for number in range(one.start, one.end):
                sizes[number] = one.size
                if self.acks[number]:
                    acknowledged.add(number)
                else:
                    others += 1
        found, torn, dropped = Counter(), [], 0
        for text in _lines(path):
            number = int(text[:7]) if _OURS.fullmatch(text) else None
            if number in sizes and text == line(number, sizes[number]).encode():
                found[number] += 1
            elif counted := _DROPPED.search(text):
                dropped += int(counted[1])
            else:
                torn.append(text)
        doubled = sorted(number for number, times in found.items() if times > 1)
        missing = sorted(acknowledged - found.keys())
        unacknowledged = others - len(found.keys() - acknowledged)
        return File(
            path, len(acknowledged), sum(found.values()), missing, doubled, torn, dropped,
            unacknowledged,
        )  # fmt: skip


def snapshot(path):
    """Return what can be seen of a file and its backups without reading them."""
    found = set()
    for name in glob.glob(f"{path}*"):
        with suppress(FileNotFoundError):
            status = os.stat(name)
            found.add((name, status.st_ino, status.st_size))
    return found


def _lines(path):
    """Yield the lines of a file and its backups, without their ends."""
    for name in glob.glob(f"{path}*"):
        with suppress(FileNotFoundError), open(name, "rb") as file:
            text = file.read()
            if text:
                *whole, rest = text.split(b"\n")
                yield from whole
                if rest:
                    yield rest + b" (without an end)"
