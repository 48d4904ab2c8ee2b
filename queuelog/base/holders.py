"""Which other processes have a file open for writing, as far as this user may see: `/proc/*/fd`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress


class Holders:
    """All of them, asked once; without `owners`, those that are no owners of spools.

    Whoever has a handler for an owner's files logs through it.
    """

    def __init__(self, *, owners: bool) -> None:
        self._owners = owners
        self._found: dict[tuple[int, int], set[int]] = {}  # by device and inode
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            if pid != os.getpid():
                with suppress(OSError):  # it is gone, or another user's
                    self._look_into(pid)

    def _look_into(self, pid: int) -> None:
        fds = f"/proc/{pid}/fd"
        paths = {fd: os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)}
        names = {path.rpartition("/")[2] for path in paths.values()}
        if not self._owners and {"lock", "ledger", "bell"} <= names:
            return
        for fd, path in paths.items():
            if path.startswith("/") and _is_writable(pid, fd):
                found = os.stat(f"{fds}/{fd}")
                self._found.setdefault((found.st_dev, found.st_ino), set()).add(pid)

    def of(self, path: str) -> Iterator[tuple[int, str]]:
        """Yield process id and name of each process that has a regular file open for writing."""
        with suppress(OSError):
            found = os.stat(path)
            key = (found.st_dev, found.st_ino)
            for pid in sorted(self._found.get(key, ())) if stat.S_ISREG(found.st_mode) else ():
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                    yield pid, file.read().strip()


def _is_writable(pid: int, fd: str) -> bool:
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
        flags = next(line.split()[1] for line in file if line.startswith("flags:"))
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
