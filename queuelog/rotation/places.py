"""Where a new backup goes: its name, and what other backups must be moved on for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from queuelog.rotation.files import rename_new
from queuelog.rotation.inventory import Inventory
from queuelog.rotation.manifest import Manifest
from queuelog.rotation.names import Move, Names


class Place(NamedTuple):
    """A free name, and what the manifest says after others were moved on for it."""

    name: str
    manifest: Manifest


class Places:
    """The names of one log file's backups.

    Those with a date are all different; where names are numbers, the newest is 1. What each method
    raises is an OSError: the directory cannot be read or written.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def newest(self, manifest: Manifest, date: str) -> Place:
        """Return the place of the newest backup; `date` is for its name, "" for a number."""
        names, manifest = self._there(manifest)
        return Place(names.dated(date), manifest) if date else self._numbered(names, manifest, 1)

    def behind(self, manifest: Manifest, date: str, end: float) -> Place:
        """Return the place of a backup behind all that begin at `end` or later."""
        names, manifest = self._there(manifest)
        if date:
            return Place(names.dated(date), manifest)
        newer = (entry for entry in manifest.backups if entry.period.begin >= end)
        least = 1 + max((names.number_of(entry.name) for entry in newer), default=0)
        return self._numbered(names, manifest, least)

    def _there(self, manifest: Manifest) -> tuple[Names, Manifest]:
        """Return the names that there are, and the manifest without those that are gone.

        One of these names may be given to another file.
        """
        names = Names(self._inventory.directory, self._inventory.name)
        backups = tuple(entry for entry in manifest.backups if names.has(entry.name))
        return names, manifest._replace(backups=backups)

    def _numbered(self, names: Names, manifest: Manifest, least: int) -> Place:
        name, moves = names.numbered(least)
        return Place(name, self._moved(manifest, moves) if moves else manifest)

    def _moved(self, manifest: Manifest, moves: Sequence[Move]) -> Manifest:
        """Give files other names. Until all have them, the manifest has both names of each."""
        new_names = {move.old: move.new for move in moves}
        moved = {
            entry: entry._replace(name=new_names[entry.name])
            for entry in manifest.backups
            if entry.name in new_names
        }
        self._inventory.save(manifest.with_entries(*moved.values()))
        for move in moves:
            rename_new(self._inventory.path_of(move.old), self._inventory.path_of(move.new))
        return manifest._replace(backups=tuple(moved.get(one, one) for one in manifest.backups))
