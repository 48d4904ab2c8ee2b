"""Where a piece of a batch was about to be written: the token of a log file's mark."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Position(NamedTuple):
    """The end of `path`, when it was the file `inode` of `device` and `size` bytes long."""

    path: str
    device: int
    inode: int
    size: int

    def written(self, expected: bytes) -> int | None:
        """Return how many bytes of `expected` are in the file since; None if nobody can tell.

        Raises:
            OSError: the file is there, but cannot be read.
        """
        with suppress(FileNotFoundError):
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.fstat(fd)
                if (found.st_dev, found.st_ino) == (self.device, self.inode):
                    grown = os.pread(fd, len(expected), self.size)
                    if found.st_size >= self.size and expected.startswith(grown):
                        return len(grown)
                    # Truncated before it was written, the file is the batch, or its beginning.
                    whole = os.pread(fd, len(expected) + 1, 0)
                    return len(whole) if whole and expected.startswith(whole) else None
            finally:
                os.close(fd)
        return None

    def append(self, rest: bytes, flags: int) -> None:
        """Append what is missing of a line; `flags` are further ones for `os.open`.

        Raises:
            OSError: it cannot be written.
        """
        fd = os.open(self.path, APPEND | flags)
        try:
            write_all(fd, rest)
        finally:
            os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, in as many calls as it takes.

    Raises:
        OSError: a part could not be written.
    """
    written = os.write(fd, data)
    while written < len(data):  # a full disk, or the kernel's limit of 2 GiB a write
        written += os.write(fd, data[written:])
