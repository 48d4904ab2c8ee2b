"""What this handler knows of its backups: a hidden JSON file beside the log, `.NAME.queuelog`.

It is written before a file gets a name, and replaced by rename. So a backup may have several
entries, with one `order`, of which those count whose name leads to that very file: the first bytes
are the same, which appending does not change. A file that merely has such a name is nobody's.

Whoever can write to the directory can have written this file: all that is in it is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

from queuelog.rotation.files import HEAD, FileState, Head
from queuelog.rotation.policy import SUFFIXES
from queuelog.rotation.schedule import Period

FORMAT = 1
_LARGEST = 1 << 62  # of a number
_TEMPORARIES = 64  # are named at most


class ManifestError(OSError):
    """The manifest is damaged, or another version wrote it; the message names it."""


class Entry(NamedTuple):
    """A backup: the file that is called `name`, if it is that file.

    Attributes:
        name: in the directory of the log file.
        order: which backup it is; a later one has a higher number.
        period: of its records.
        written: when the log file was written last, in seconds since the epoch.
        inode: of the file; another one where the directory was copied.
        head: how the file begins.
    """

    name: str
    order: int
    period: Period
    written: float
    inode: int
    head: Head

    @property
    def since(self) -> float:
        """When its records begin, in seconds since the epoch; without a period when they end."""
        return self.period.begin if isfinite(self.period.begin) else self.written

    @property
    def until(self) -> float:
        """When its newest record was created, at the latest, in seconds since the epoch."""
        return self.period.end if isfinite(self.period.end) else self.written

    @property
    def age_order(self) -> tuple[float, int]:
        """By what backups are sorted from old to new."""
        return self.until, self.order

    @property
    def is_archive(self) -> bool:
        """Whether it is compressed."""
        return self.name.endswith(tuple(SUFFIXES.values()))

    def describes(self, found: FileState) -> bool:
        """Tell if this is a file that was found by this name."""
        if self.head.length == 0:
            return found.stat.st_ino == self.inode
        return found.begins_with(self.head)

    def encode(self) -> list[Any]:
        """Return plain JSON data."""
        period = _encoded(self.period)
        return [self.name, self.order, *period, self.written, self.inode, *self.head]


class Live(NamedTuple):
    """The log file itself: the file `inode` is for records of a period."""

    inode: int
    period: Period

    def encode(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.inode, *_encoded(self.period)]


class Manifest(NamedTuple):
    """All that is known: backups, the log file, and files that become backups, by name."""

    backups: tuple[Entry, ...] = ()
    live: Live | None = None
    temporaries: tuple[str, ...] = ()

    @property
    def next_order(self) -> int:
        """The order of the next backup."""
        return 1 + max((entry.order for entry in self.backups), default=0)

    def with_entries(self, *entries: Entry) -> Manifest:
        """Return the manifest with further entries."""
        return self._replace(backups=(*self.backups, *entries))

    def without(self, names: Collection[str]) -> Manifest:
        """Return the manifest without the entries of some names."""
        kept = tuple(entry for entry in self.backups if entry.name not in names)
        return self._replace(backups=kept)

    def grown(self, found: Mapping[Entry, FileState]) -> Manifest:
        """Return the manifest with more of how these backups begin, if they have become longer."""
        longer = {
            entry: entry._replace(head=state.head)
            for entry, state in found.items()
            if len(state.data) > entry.head.length
        }
        return self._replace(backups=tuple(longer.get(one, one) for one in self.backups))

    def encode(self) -> bytes:
        """Return the content of the file."""
        live = self.live and self.live.encode()
        data = {
            "format": FORMAT, "live": live, "temporaries": self.temporaries,
            "backups": [entry.encode() for entry in self.backups],
        }  # fmt: skip
        return json.dumps(data).encode()

    @classmethod
    def parse(cls, data: bytes, name: str) -> Manifest:
        """Return what `encode` has made for the log file `name`.

        Raises:
            ValueError: it is no such thing.
        """
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise ValueError(f"another version wrote it: format {found['format']!r:.20}")
            backups, live, temporaries = (found[key] for key in ("backups", "live", "temporaries"))
            if len(temporaries) > _TEMPORARIES:
                raise ValueError("too many temporary files")
            return cls(
                tuple(_entry(entry, name) for entry in backups),
                None if live is None else Live(_whole(live[0]), _period(*live[1:])),
                tuple(
                    _matching(rf"\.{re.escape(name)}\.[0-9a-f]{{8}}\.tmp", one)
                    for one in temporaries
                ),
            )
        except (LookupError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"no manifest: {error!r}") from None


def _entry(data: Any, name: str) -> Entry:
    backup, order, begin, end, written, inode, length, crc = data
    if not 0 <= _whole(length) <= HEAD:
        raise ValueError(f"no head: {length!r}")
    return Entry(
        _matching(
            rf"{re.escape(name)}\.[0-9][0-9_.-]*({'|'.join(map(re.escape, SUFFIXES.values()))})?",
            backup,
        ),
        _whole(order),
        _period(begin, end),
        _number(written),
        _whole(inode),
        Head(length, _whole(crc)),
    )


def _encoded(period: Period) -> list[float | None]:
    return [at if isfinite(at) else None for at in period]


def _period(begin: Any, end: Any) -> Period:
    return Period(-inf if begin is None else _number(begin), inf if end is None else _number(end))


def _matching(pattern: str, name: Any) -> str:
    if not isinstance(name, str) or not re.fullmatch(pattern, name, re.ASCII | re.DOTALL):
        raise ValueError(f"no backup's name: {name!r:.300}")
    return name


def _number(value: Any) -> float:
    """Return a number that can be reckoned with."""
    if type(value) not in (int, float) or not abs(value) < _LARGEST:
        raise TypeError(value)
    return value  # type: ignore[no-any-return]


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise TypeError(value)
    return value
