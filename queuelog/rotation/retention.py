"""Which backups go: by number, by age, by the room that all of them take."""

from __future__ import annotations

from typing import NamedTuple


class Doomed(NamedTuple):
    """A backup that goes: its path, its size in bytes, and why."""

    path: str
    size: int
    reason: str
