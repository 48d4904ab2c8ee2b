"""How much waits in a spool, for whom, and how much more a sink may add.

Writers look when they need another segment; nobody tells them. The owner, who knows how much of the
segments is written already, says so in the file `consumed`.

The spool's limit is what the user says, or half of its file system if that is less, or what others
have left there. Of that a sink may take `SHARE` times what it leaves to all others: one whose file
cannot be written takes four fifths of the spool and no more, and two that fail together four ninths
each. So a sink that works always finds room. (Choudhury and Hahne, "Dynamic queue length thresholds
for shared-memory packet switches", 1998.)
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from queuelog.base import native, opened
from queuelog.spool.directory import SpoolDirectory

SHARE = 4
_KEPT_FREE = 1 << 16  # bytes of the file system, at most, for counts of dropped records
_CONSUMED = struct.Struct("<I8sQ")  # user id, tag, bytes
_CONSUMED_SIZE = 1 << 14  # bytes: for 819 sinks; of further ones it is not known

_emptying: set[int] = set()  # ids of threads

Consumed = dict[tuple[int, str], int]  # bytes by user id and tag


def tag_of(description: bytes) -> str:
    """Return the tag of a sink, which stands in the names of its segments."""
    return f"{zlib.crc32(description):08x}"


def tag_in(name: str) -> str:
    """Return the tag that is part of the name of a segment; "" if there is none."""
    parts = name.split("-")
    return parts[2] if len(parts) > 3 else ""  # noqa: PLR2004  # pid, start, tag, number


class Backlog(NamedTuple):
    """What waits: for how many writers, and how many bytes, by the tags of their sinks."""

    writers: int
    by_tag: Counter[str]

    @property
    def total(self) -> int:
        """How many bytes wait."""
        return self.by_tag.total()

    @classmethod
    def of(cls, directory: SpoolDirectory) -> Backlog:
        """Look what waits in a spool, as far as this process may see it."""
        writers: set[str] = set()
        sizes: Counter[tuple[int, str]] = Counter()
        with contextlib.suppress(OSError):  # no descriptor is left: its file system has a limit
            for uid, entry in directory.entries():
                with contextlib.suppress(FileNotFoundError):
                    sizes[uid, tag_in(entry.name)] += entry.stat(follow_symlinks=False).st_size
                    writers.add(entry.name.rpartition("-")[0])
        consumed = _read(directory.consumed)
        by_tag: Counter[str] = Counter()
        for key, size in sizes.items():
            by_tag[key[1]] += max(0, size - consumed.get(key, 0))
        return cls(len(writers), by_tag)


def room_for(tag: str, directory: SpoolDirectory, most: int) -> tuple[int, int]:
    """Return how many bytes the sink with this tag may add, and how many writers share them.

    `most` is what the user says that may wait there. Negative if the sink has too much already.
    """
    backlog = Backlog.of(directory)
    limit = limit_of(directory.path, most, backlog.total)
    if is_emptying():
        room = limit + limit // 16 - backlog.total
    else:
        room = (SHARE * (limit - backlog.total) - backlog.by_tag[tag]) // (SHARE + 1)
    return room, backlog.writers


def longest(path: str, most: int) -> int:
    """Return how many bytes a record may have: what one sink may take of an empty spool."""
    return limit_of(path, most, waiting=sys.maxsize) * SHARE // (SHARE + 1)


def limit_of(path: str, most: int, waiting: int) -> int:
    """Return how many bytes may wait in the spool `path`, `most` or fewer; `waiting` are there."""
    with contextlib.suppress(OSError):  # in a chroot, say
        found = os.statvfs(path)
        if found.f_blocks:  # a tmpfs may be without a limit of its own
            size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
            return min(most, size // 2, waiting + free - min(_KEPT_FREE, size // 64))
    return most


@contextlib.contextmanager
def emptying() -> Iterator[None]:
    """Let no log call of this thread wait for room: it is the one that makes some.

    It may go beyond the limit, by a sixteenth, so that its reports are in the log.
    """
    thread = native("_thread", "get_ident")()
    outermost = thread not in _emptying
    _emptying.add(thread)
    try:
        yield
    finally:
        if outermost:
            _emptying.discard(thread)


@contextlib.contextmanager
def emptying_nothing() -> Iterator[None]:
    """Let what this thread puts count as any writer's for a while: it brings in new records."""
    thread = native("_thread", "get_ident")()
    was_emptying = thread in _emptying
    _emptying.discard(thread)
    try:
        yield
    finally:
        if was_emptying:
            _emptying.add(thread)


def is_emptying() -> bool:
    """Tell if this thread empties a spool."""
    return native("_thread", "get_ident")() in _emptying


def forget_who_empties() -> None:
    """In a forked child: its threads are others."""
    _emptying.clear()


def consumed_by(segments: Iterable[tuple[str, int]]) -> Consumed:
    """Return what is no backlog, where so many bytes of each segment are none.

    Their names are those in `Offsets`.
    """
    consumed: Counter[tuple[int, str]] = Counter()
    for name, size in segments:
        uid, _, file = name.partition("/")
        consumed[int(uid), tag_in(file)] += size
    return consumed


def publish(directory: SpoolDirectory, consumed: Consumed) -> None:
    """Tell the writers which bytes of the segments, though there, are no backlog.

    Raises:
        OSError: there is no room for the file. It has all that it needs once it is there.
    """
    data = b"".join(_CONSUMED.pack(uid, tag.encode(), n) for (uid, tag), n in consumed.items())
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    with opened(directory.consumed, flags, directory.file_mode) as fd:
        os.posix_fallocate(fd, 0, _CONSUMED_SIZE)
        os.pwrite(fd, data.ljust(_CONSUMED_SIZE, b"\0")[:_CONSUMED_SIZE], 0)


def _read(path: str) -> Consumed:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        data = file.read(_CONSUMED_SIZE)
        whole = len(data) // _CONSUMED.size * _CONSUMED.size
        found = _CONSUMED.iter_unpack(data[:whole])
        return {(uid, tag.decode("ascii", "replace").rstrip("\0")): n for uid, tag, n in found if n}
    return {}
