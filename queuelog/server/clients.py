"""How many records of each client are kept, in a file that outlives this process.

A client of our own protocol asks for it when it comes back, and sends what is not here yet. The
file is in the directory for spools: in memory, as what it counts. It is a header and entries of
fixed size, in no order::

    offset  size  field
         0    16  id of the client; zeros if the entry is free
        16     8  how many of its records are kept
        24     8  when it came last, in seconds since the epoch

Each server writes a file of its own and looks into those of others: the one that comes next may
have other addresses, and there may be several.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import struct
import time
from collections.abc import Iterator

from queuelog.base import opened, own_directory, report, try_lock
from queuelog.errors import SpoolError

MOST = 1 << 14  # clients; with one more, the one that has not come for the longest time goes
_FILES = 64  # servers of a user, at most
_HEADER = b"queuelog clients, format 1\n".ljust(32)
_ENTRY = struct.Struct("<16sQQ")
_COUNT = struct.Struct("<Q")
_AT, _LAST = 16, 24  # offsets in an entry
_SIZE = len(_HEADER) + MOST * _ENTRY.size


class Clients:
    """The table of one server; `waiting` are the clients with a record that has no room now."""

    def __init__(self, directory: str) -> None:
        """Open a file that no other server has.

        Raises:
            SpoolError: the directory is not safe to use, or has no room.
        """
        self.waiting: set[str] = set()
        self._directory = directory
        self._offsets: dict[str, int] = {}  # by client; the one that came last is last
        try:
            own_directory(directory, _mode(directory), os.geteuid())
            self._fd, self.path = self._open()
            os.posix_fallocate(self._fd, 0, _SIZE)
            self._map = mmap.mmap(self._fd, _SIZE)
        except OSError as error:
            raise SpoolError(f"cannot keep a table of clients in {directory}: {error}") from error
        self._map[: len(_HEADER)] = _HEADER
        self._read()

    def _open(self) -> tuple[int, str]:
        """Open the first file that no server has locked; return its descriptor and path."""
        for path in self._paths():
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            if try_lock(fd):
                return fd, path
            os.close(fd)
        raise SpoolError(f"{_FILES} servers keep a table of clients there already")

    def _paths(self) -> Iterator[str]:
        for number in range(_FILES):
            yield os.path.join(self._directory, f"clients-{number}")

    def _read(self) -> None:
        entries = [
            (last, client.hex(), at) for at, (client, _, last) in _entries(self._map) if any(client)
        ]
        self._offsets = {client: at for _, client, at in sorted(entries)}

    def come(self, client: str) -> int:
        """A client has come; return how many of its records are kept."""
        if client in self._offsets:
            at = self._offsets[client] = self._offsets.pop(client)
            _COUNT.pack_into(self._map, at + _LAST, int(time.time()))
        else:
            self._add(client, self._elsewhere(bytes.fromhex(client)))
        return self.kept(client)

    def kept(self, client: str) -> int:
        """Return how many records of a client are kept; changes nothing, for another thread."""
        at = self._offsets.get(client)
        if at is None:
            return self._elsewhere(bytes.fromhex(client))
        return int(_COUNT.unpack_from(self._map, at + _AT)[0])

    def keep(self, client: str, count: int) -> None:
        """Remember that so many records of a client are kept, whatever happens to this process."""
        if client not in self._offsets:  # so many others have come since
            self._add(client, count)
        _COUNT.pack_into(self._map, self._offsets[client] + _AT, count)

    def _add(self, client: str, count: int) -> None:
        if len(self._offsets) < MOST:
            at = len(_HEADER) + len(self._offsets) * _ENTRY.size
        else:
            at = self._offsets.pop(next(iter(self._offsets)))
        _ENTRY.pack_into(self._map, at, bytes.fromhex(client), count, int(time.time()))
        self._offsets[client] = at

    def _elsewhere(self, client: bytes) -> int:
        """Return what another server has kept of a client, if it was there before."""
        found = 0
        for path in self._paths():
            if path == self.path:
                continue
            try:
                with opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
                    if os.fstat(fd).st_uid != os.geteuid():
                        continue
                    data = os.read(fd, _SIZE)
            except FileNotFoundError:
                break
            except OSError as error:
                report("clients", f"cannot read {path}: {error}")
                continue
            if client in data and data.startswith(_HEADER) and len(data) == _SIZE:
                found = max(found, *(n for _, (one, n, _) in _entries(data) if one == client), 0)
        return found

    def close(self) -> None:
        """Let another server have the file; what is in it stays, and can still be asked for."""
        self._offsets.clear()
        self.path = ""  # ours is one of the others' now
        with contextlib.suppress(OSError, ValueError):
            self._map.close()
            os.close(self._fd)


def _entries(data: bytes | mmap.mmap) -> Iterator[tuple[int, tuple[bytes, int, int]]]:
    """Yield the offset of each entry, and its fields."""
    for at in range(len(_HEADER), _SIZE, _ENTRY.size):
        yield at, _ENTRY.unpack_from(data, at)


def _mode(path: str) -> int:
    """Return the mode of a directory, or the one for a new one."""
    return stat.S_IMODE(os.stat(path).st_mode) if os.path.isdir(path) else 0o700
