"""What backups are called: NAME.2026-11-21, NAME.2026-11-21.1 and so on, or NAME.1, the newest.

A name is taken in any form: where there is NAME.1.gz, there can be no NAME.1.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from queuelog.rotation.policy import SUFFIXES

FORMS = ("", *SUFFIXES.values())
_FORM = f"({'|'.join(map(re.escape, SUFFIXES.values()))})?"


class Move(NamedTuple):
    """A file that gets another name in its directory."""

    old: str
    new: str


class Names:
    """The names in a directory that belong to the log file `name`, or look as if they did.

    Raises:
        OSError: the directory cannot be read.
    """

    def __init__(self, directory: str, name: str) -> None:
        self._directory = directory
        self._name = name
        self._taken = {one for one in os.listdir(directory) if one.startswith(f"{name}.")}

    def has(self, name: str) -> bool:
        """Tell if there was something by this name."""
        return name in self._taken

    def dated(self, date: str) -> str:
        """Return the name for a further backup of this date, behind all that there are."""
        stem = f"{self._name}.{date}"
        # NAME.DATE itself is the first, whose number is 0.
        pattern = re.compile(rf"{re.escape(stem)}(?:\.([1-9]\d{{0,8}}))?{_FORM}", re.ASCII)
        found = filter(None, map(pattern.fullmatch, self._taken))
        number = 1 + max((int(one[1] or 0) for one in found), default=-1)
        while self._forms(f"{stem}.{number}"):  # with more digits than anybody counts to
            number += 1
        return f"{stem}.{number}" if number else stem

    def numbered(self, least: int) -> tuple[str, list[Move]]:
        """Return the first name NAME.N with N >= `least`, and what must be moved for it, in order.

        The files from there up to the first gap move by one. A number at which there is something
        else than files is passed over.
        """
        numbers = self._usable(least)
        wanted = number = next(numbers)
        moves: list[Move] = []
        while forms := self._forms(self._at(number)):
            before, number = number, next(numbers)
            moves += [Move(self._at(before) + form, self._at(number) + form) for form in forms]
        return self._at(wanted), moves[::-1]

    def number_of(self, name: str) -> int:
        """Return N of NAME.N, in any form; 0 if it is another name."""
        found = re.fullmatch(rf"{re.escape(self._name)}\.([1-9]\d{{0,8}}){_FORM}", name, re.ASCII)
        return int(found[1]) if found else 0

    def _at(self, number: int) -> str:
        return f"{self._name}.{number}"

    def _forms(self, stem: str) -> list[str]:
        return [form for form in FORMS if stem + form in self._taken]

    def _usable(self, number: int) -> Iterator[int]:
        while True:
            name = self._at(number)
            if all(self._is_file(name + form) for form in self._forms(name)):
                yield number
            number += 1

    def _is_file(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            return stat.S_ISREG(os.lstat(os.path.join(self._directory, name)).st_mode)
        return True
