"""What is wrong with log files: each function finds one problem, and says what mends it."""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
import sys
from collections.abc import Iterable, Iterator
from shlex import quote
from typing import NamedTuple

from queuelog.attach.entries import Entry
from queuelog.base import User, class_name, encoding, rotates, writers_of

_STDLIB = "logging.handlers.TimedRotatingFileHandler or RotatingFileHandler"


class Problem(NamedTuple):
    """What is wrong, and the line that mends it."""

    text: str
    mend: str

    def __str__(self) -> str:
        return f"PROBLEM: {self.text}\n    mend it: {self.mend}"


def this_user() -> User:
    """Return the user of this process."""
    return User(os.geteuid(), os.getegid(), None)


def name_of(user: User) -> str:
    """Return the user's name, or the number of one that has none."""
    try:
        return pwd.getpwuid(user.uid).pw_name
    except KeyError:
        return str(user.uid)


def _may_write(user: User, path: str) -> bool:
    """Tell if `user` may write a file or directory; if this process cannot know, yes."""
    if user.uid == os.geteuid():
        return os.access(path, os.W_OK)
    if os.geteuid() != 0:
        return True
    # A process that is the user: nobody but the kernel knows all that counts.
    asked = subprocess.run(  # noqa: S603  # a path is no option here, nor does a shell see it
        ["/usr/bin/env", "test", "-w", path],
        user=user.uid, group=user.gid, extra_groups=user.groups, cwd="/", check=False,
    )  # fmt: skip
    return asked.returncode == 0


class LogFile:
    """One log file, with everything that names it; `user` opens it."""

    def __init__(self, path: str, user: User) -> None:
        self.path = path
        self.directory = os.path.dirname(path)
        self.user = user
        self.entries: list[Entry] = []
        self.handlers: list[logging.FileHandler] = []

    def add(self, entry: Entry, handler: logging.FileHandler) -> None:
        """Add what names the file as well."""
        self.entries.append(entry)
        self.handlers.append(handler)

    @property
    def rotates(self) -> bool:
        """Whether one of its handlers rolls it over."""
        return any(map(rotates, self.handlers))


def of_files(files: Iterable[LogFile]) -> Iterator[Problem]:
    """Find what is wrong with each file."""
    for file in files:
        found = (check(file) for check in _CHECKS)
        yield from (problem for problem in found if problem)


def unknown_names(own: Iterable[str], there: set[str | None]) -> list[Problem]:
    """Find names in `own` that no handler has."""
    names = ", ".join(sorted(name for name in there if name)) or "none"
    return [
        Problem(f"own={name!r}: no handler has this name", f"the names that there are: {names}")
        for name in own
        if name not in there
    ]


def of_loguru() -> Iterator[Problem]:
    """Find the files that loguru writes by itself."""
    loguru = sys.modules.get("loguru")
    for handler in loguru.logger._core.handlers.values() if loguru else ():  # noqa: SLF001
        sink = getattr(handler, "_sink", None)
        path = getattr(sink, "_path", None)
        if path is not None and type(sink).__name__ == "FileSink":
            yield Problem(
                f"{os.path.abspath(path)} is written by loguru in each process, without an owner",
                "logger.add(PropagateHandler()), see docs/frameworks.md: files belong to `logging`",
            )


def _two_policies(file: LogFile) -> Problem | None:
    policies = sorted({entry.policy for entry in file.entries})
    if len(policies) == 1:
        return None
    return Problem(
        f"{file.path} has two policies, of which one will be followed: {'; '.join(policies)}",
        "give both handlers the same class and arguments",
    )


def _two_encodings(file: LogFile) -> Problem | None:
    encodings = sorted({encoding(handler)[0].lower() for handler in file.handlers})
    if len(encodings) == 1:
        return None
    return Problem(
        f"{file.path} would have lines in {' and '.join(encodings)}",
        "give both handlers the same `encoding`",
    )


def _two_writers(file: LogFile) -> Problem | None:
    if len({bool(entry.kept) for entry in file.entries}) == 1:
        return None
    kept = next(entry for entry in file.entries if entry.kept)
    return Problem(
        f"{file.path} would be written by the arbiter and by each process: of {kept.handler}, "
        f"{kept.kept}",
        f"give {kept.handler} a file of its own",
    )


def _rolled_over_by_each(file: LogFile) -> Problem | None:
    for entry, handler in zip(file.entries, file.handlers, strict=True):
        if entry.kept and rotates(handler):
            foreign = class_name(handler).startswith("concurrent_log_handler.")
            danger = "behind a lock of its own" if foreign else "and loses lines of the others"
            return Problem(
                f"{file.path} is rolled over by each process, {danger}: of {class_name(handler)}, "
                f"{entry.kept}",
                f"use {_STDLIB}, or configure it in the conf file's logconfig_dict",
            )
    return None


def _directory(file: LogFile) -> Problem | None:
    if not os.path.isdir(file.path):
        return None
    return Problem(f"{file.path} is a directory, not a file", f"rmdir {quote(file.path)}")


def _no_directory(file: LogFile) -> Problem | None:
    if os.path.isdir(file.directory):
        return None
    if os.path.exists(file.directory):
        return Problem(f"{file.path}: {file.directory} is no directory", "choose another path")
    mend = f"install -d -o {name_of(file.user)} {quote(file.directory)}"
    return Problem(f"{file.path}: there is no directory {file.directory}", mend)


def _unwritable(file: LogFile) -> Problem | None:
    path = file.path if os.path.exists(file.path) else file.directory
    if os.path.isdir(file.path) or not os.path.isdir(file.directory) or _may_write(file.user, path):
        return None
    where = "" if path == file.path else f" in its directory {path}"
    return Problem(
        f"{file.path} cannot be written by user {name_of(file.user)}{where}", _give(path, file.user)
    )


def _unwritable_directory(file: LogFile) -> Problem | None:
    if not file.rotates or not os.path.isfile(file.path) or _may_write(file.user, file.directory):
        return None
    return Problem(
        f"{file.path} cannot roll over: user {name_of(file.user)} may not rename files in its "
        f"directory {file.directory}",
        _give(file.directory, file.user),
    )


def _give(path: str, user: User) -> str:
    if user.uid == 0:
        return f"{path} is on a file system that cannot be written: choose another path"
    return f"chown {name_of(user)} {quote(path)}"


def _written_by_others(file: LogFile) -> Problem | None:
    if not os.path.isfile(file.path):
        return None
    others = ", ".join(writers_of(file.path, owner=False))
    if not others:
        return None
    return Problem(
        f"{file.path} is written without an owner by other processes: {others}",
        "end them before the start, or choose another path",
    )


_CHECKS = (
    _two_policies, _two_encodings, _two_writers, _rolled_over_by_each, _directory, _no_directory,
    _unwritable, _unwritable_directory, _written_by_others,
)  # fmt: skip
