"""Where a batch was about to be written, and what of it is there: the ledger keeps the position."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from queuelog.base import opened

APPEND = os.O_WRONLY | os.O_APPEND


class Position(NamedTuple):
    """The end of `path`, when it was the file `inode` of `device` and `size` bytes long."""

    path: str
    device: int
    inode: int
    size: int

    def found(self) -> Position:
        """Return the position in the same file by the name that it has now, in its directory.

        logrotate may have moved it, or somebody who needed room. If it is gone, nothing changes.

        Raises:
            OSError: the directory cannot be read.
        """
        if identity_of(self.path) == (self.device, self.inode):
            return self
        directory = os.path.dirname(self.path)
        with suppress(FileNotFoundError, PermissionError), os.scandir(directory) as entries:
            for name in [entry.name for entry in entries if entry.inode() == self.inode]:
                path = os.path.join(directory, name)
                if identity_of(path) == (self.device, self.inode):
                    return self._replace(path=path)
        return self

    def written(self, expected: bytes) -> int | None:
        """Return how many bytes of `expected` are in the file since; None if nobody can tell.

        Raises:
            OSError: the file is there, but cannot be read.
        """
        with suppress(FileNotFoundError), opened(self.path, os.O_RDONLY | os.O_NONBLOCK) as fd:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) == (self.device, self.inode):
                grown = os.pread(fd, len(expected), self.size)
                if found.st_size >= self.size and expected.startswith(grown):
                    return len(grown)
                # Truncated before it was written, the file is the batch, or its beginning.
                whole = os.pread(fd, len(expected) + 1, 0)
                return len(whole) if whole and expected.startswith(whole) else None
        return None

    def complete(self, lines: Sequence[bytes]) -> int | None:
        """Complete the line that was cut short; return how many are there then, all counted.

        `lines` are those that were about to be written. None if nobody can tell what is there.

        Raises:
            OSError: the file cannot be read, or the line not completed.
        """
        written = self.written(b"".join(lines))
        if written is None:
            return None
        done = 0
        while done < len(lines) and written >= len(lines[done]):
            written -= len(lines[done])
            done += 1
        if written:
            self.append(lines[done][written:])
            done += 1
        return done

    def append(self, rest: bytes) -> None:
        """Append what is missing of a line.

        Raises:
            OSError: it cannot be written.
        """
        with _opened_for_append(self.path, (self.device, self.inode)) as fd:
            write_all(fd, rest)


Save = Callable[[Position], None]


def append_to_backup(
    path: str, identity: tuple[int, int], data: bytes, preamble: bytes, save: Save
) -> None:
    """Append `data` to a file that was rolled over, behind `preamble` if it is empty.

    First `save` the position.

    Raises:
        OSError: it could not be written, or only in part, or it is another file by now.
    """
    with _opened_for_append(path, identity) as fd:
        size = os.fstat(fd).st_size
        save(Position(path, *identity, size))
        write_all(fd, data if size else preamble + data)


@contextmanager
def _opened_for_append(path: str, identity: tuple[int, int]) -> Iterator[int]:
    with opened(path, APPEND | os.O_NONBLOCK) as fd:
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != identity:
            raise OSError(f"{path} is another file by now")
        yield fd


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, in as many calls as it takes.

    Raises:
        OSError: a part could not be written.
    """
    written = os.write(fd, data)
    while written < len(data):  # a full disk, or the kernel's limit of 2 GiB a write
        written += os.write(fd, data[written:])


def identity_of(path: str) -> tuple[int, int]:
    """Return device and inode of the file that has a path now; (-1, -1) if there is none."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return -1, -1
