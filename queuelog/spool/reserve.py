"""Room that the owner keeps for a time when something else has filled the spool's file system.

Then it gives the room up, and what is logged goes through it, piece by piece, instead of being
dropped while the log files' disk is healthy.
"""

from __future__ import annotations

import contextlib
import os

from queuelog.base import opened

_MOST = 1 << 20  # bytes


class Reserve:
    """The file `path`, of a megabyte, or a sixteenth of its file system if that is less."""

    def __init__(self, path: str) -> None:
        self._path = path

    def adjust(self) -> None:
        """Give the room up if there is hardly any other, and take it again when there is enough."""
        with contextlib.suppress(OSError):  # it helps where it can
            found = os.statvfs(os.path.dirname(self._path))
            free = found.f_bavail * found.f_frsize
            size = min(_MOST, found.f_blocks * found.f_frsize // 16)
            if free < size // 2:
                os.unlink(self._path)
            elif free > 4 * size and not os.path.exists(self._path):
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
                with opened(self._path, flags) as fd:
                    os.posix_fallocate(fd, 0, size)
