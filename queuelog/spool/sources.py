"""The sources of records: which logger, at which level, as a number in the header of each frame.

A segment says once what a number stands for, as `20 gunicorn.access`: the level, a space, and the
name of the logger. So who looks on knows of each line where it comes from, and a record pays for
it with one look into a dictionary.
"""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from contextlib import suppress

MOST = 4096  # that a process knows at a time: an application may have a logger for each request
_LONGEST_NAME = 255  # characters
_LARGEST_LEVEL = 1 << 31


class Sources:
    """The numbers of one process, never twice the same; any thread may ask, without a lock.

    The one that came first is forgotten when there are too many, and gets another number when it
    comes again.
    """

    def __init__(self) -> None:
        self._numbers: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._descriptions: dict[int, bytes] = {}  # by number
        self._next = itertools.count(1)

    def number_of(self, record: logging.LogRecord) -> int:
        """Return the number for logger and level of a record; 0 if it does not know them."""
        try:
            return self._numbers[record.name, record.levelno]
        except Exception:  # it is new, or no name and level that logging has made
            with suppress(Exception):  # whose str() may raise anything
                return self._number(str(record.name), record.levelno)
            return 0

    def _number(self, name: str, level: int) -> int:
        """Return the number for a logger's name and a level, of which only so much is kept."""
        is_level = isinstance(level, int) and abs(level) < _LARGEST_LEVEL
        source = name[:_LONGEST_NAME], level if is_level else logging.NOTSET
        number = self._numbers.get(source)
        if number is None:
            # In this order: another thread that finds the number can have it described.
            number = next(self._next) & 0xFFFF_FFFF
            self._descriptions[number] = encode(*source)
            self._numbers[source] = number
            while len(self._numbers) > MOST:
                self._descriptions.pop(self._numbers.popitem(last=False)[1], None)
        return number

    def description_of(self, number: int) -> bytes:
        """Return what a number stands for; b"" if it is 0, or forgotten."""
        return self._descriptions.get(number, b"")

    def register(self, description: bytes) -> int:
        """Return the number for what another process calls by another one; 0 for b""."""
        if not description:
            return 0
        level, name = decode(description)
        return self._number(name, level)


def encode(name: str, level: int) -> bytes:
    """Return what a frame says of a source."""
    return f"{level:d} {name}".encode(errors="backslashreplace")


def decode(description: bytes) -> tuple[int, str]:
    """Return level and logger of a source; (0, "") for what is none."""
    level, _, name = description[: 8 * _LONGEST_NAME].decode(errors="replace").partition(" ")
    with suppress(ValueError):
        return int(level), name
    return logging.NOTSET, ""
