"""Directories that are watched for new files: inotify(7), which the standard library does not have.

Only names that appear are asked for, so that those who write into the files pay nothing for it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from contextlib import suppress
from typing import Any

from queuelog.base.descriptor import Descriptor

# From <sys/inotify.h>.
_IN_MOVED_TO, _IN_CREATE = 0x80, 0x100
_IN_Q_OVERFLOW, _IN_IGNORED = 0x4000, 0x8000
_IN_ONLYDIR = 0x0100_0000
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_BUFFER = 1 << 16  # bytes


class Watcher(Descriptor):
    """Tells which names have appeared in the directories that are watched.

    Raises:
        OSError: there are too many watchers on this machine.
    """

    def __init__(self) -> None:
        self.fd = _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        self._directories: dict[int, str] = {}  # by watch
        self.overflowed = False  # more has appeared than the kernel remembers

    def watch(self, directory: str) -> None:
        """Watch a directory as well; harmless if it is watched.

        Raises:
            OSError: it is not there, or there are too many watches on this machine.
        """
        mask = _IN_CREATE | _IN_MOVED_TO | _IN_ONLYDIR
        self._directories[_call("inotify_add_watch", self.fd, os.fsencode(directory), mask)] = (
            directory
        )

    def appeared(self) -> list[tuple[str, str]]:
        """Return directory and name of all that has appeared since; never waits."""
        found = []
        with suppress(BlockingIOError):
            while data := os.read(self.fd, _BUFFER):
                position = 0
                while position < len(data):
                    watch, mask, _, length = _EVENT.unpack_from(data, position)
                    position += _EVENT.size + length
                    name = os.fsdecode(data[position - length : position].rstrip(b"\0"))
                    self.overflowed |= bool(mask & _IN_Q_OVERFLOW)
                    if mask & _IN_IGNORED:  # the directory is gone
                        self._directories.pop(watch, None)
                    elif watch in self._directories:
                        found.append((self._directories[watch], name))
        return found


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments: Any) -> int:
    result: int = getattr(_libc(), function)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")
    return result
