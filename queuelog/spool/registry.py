"""What the owner of a spool says of itself, for other processes to read, without taking any lock.

A log file is found through its owner: whoever has a handler for it asks the registries of all
spools that he can see, and logs through the one that owns it.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

from queuelog.base import (
    MEMORY,
    Place,
    base_directory,
    is_locked,
    own_directory,
    place_of,
    place_of_server,
    writers_of,
)
from queuelog.errors import SpoolError
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.frame import FORMAT
from queuelog.spool.names import spools
from queuelog.spool.replaced import opened_of, replace_locked

_MOST = 1 << 24  # bytes that anybody reads of a registry


class Registry(NamedTuple):
    """The fields of a registry.

    `owner` is a process id, `limit` that of the spool's backlog in bytes, `files` the places of the
    log files that it owns, and `names` the ids of its other sinks. A spool that was `taken_over`
    says these of the owner that made it.
    """

    owner: int
    limit: int
    files: list[Place]
    names: list[str]
    taken_over: bool = False
    format: int = FORMAT

    def write(self, directory: SpoolDirectory) -> int:
        """Replace the registry of a spool; return its descriptor, which holds the lock on it.

        Raises:
            OSError: there is no room for it.
        """
        content = json.dumps(self._asdict()).encode()
        return replace_locked(directory.registry, content, directory.file_mode)


def _opened(directory: SpoolDirectory) -> AbstractContextManager[int]:
    """Open a registry that the owner of the spool has written; raise OSError if there is none.

    What a link calls a spool may be a directory of root's in which everybody may make files.
    """
    return opened_of(directory.registry, directory.owner_uid)


def read(directory: SpoolDirectory) -> Registry | None:
    """Return the registry of a spool; None if it has none, or one of another version."""
    wrong = OSError, ValueError, TypeError, AttributeError, RecursionError
    with contextlib.suppress(*wrong), _opened(directory) as fd:
        fields = json.loads(os.read(fd, _MOST))
        if fields.get("format") == FORMAT:
            found = Registry(**fields)
            if not type(found.owner) is type(found.limit) is int:
                return None
            return found._replace(files=[Place(*place) for place in found.files])
    return None


def is_owned(directory: SpoolDirectory) -> bool:
    """Tell if the owner of a spool lives.

    It may replace its registry in this moment: then the lock is on the new one.
    """
    with contextlib.suppress(OSError):
        while True:
            with _opened(directory) as fd:
                if is_locked(fd):
                    return True
                if os.path.samestat(os.fstat(fd), os.stat(directory.registry)):
                    return False
    return False


def visible(users: Collection[int] | None, parent: str | None = None) -> Iterator[SpoolDirectory]:
    """Yield the spools of some users: below `parent`, this user's directory, and theirs.

    None: of all users.
    """
    above = [parent] if parent else []
    named = [path for one in (*above, base_directory(), *_of_others(users)) for path in spools(one)]
    found: dict[str, SpoolDirectory] = {}
    for link in named:
        with contextlib.suppress(OSError):  # it is just being removed
            path = os.path.realpath(link)
            found[path] = SpoolDirectory(path, owner_uid=os.stat(path).st_uid)
    for directory in found.values():
        if users is None or directory.owner_uid in users:
            yield directory


def inspected_users() -> Collection[int] | None:
    """Return the users whose spools this one looks at from outside, as `visible` has them."""
    return None if os.geteuid() == 0 else {os.geteuid()}


def living(
    users: Collection[int] | None, parent: str | None = None
) -> Iterator[tuple[SpoolDirectory, Registry]]:
    """Yield the spools of living owners, and what they say that they own; users as of `visible`."""
    for directory in visible(users, parent):
        found = read(directory) if is_owned(directory) else None
        if found and not found.taken_over:
            yield directory, found


def _of_others(users: Collection[int] | None) -> list[str]:
    """Return the directories for spools that these users have made; a stranger's may be huge."""
    found = []
    for above in (MEMORY, tempfile.gettempdir()):
        with contextlib.suppress(OSError), os.scandir(above) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    named = entry.name.startswith("queuelog-")
                    uid = entry.stat(follow_symlinks=False).st_uid if named else -1
                    if named and (users is None or uid in users):
                        found.append(entry.path)
    return found


def announce(directory: SpoolDirectory) -> None:
    """Let a spool be found that is not in the usual place: by a link there."""
    usual = base_directory()
    with contextlib.suppress(OSError, SpoolError):  # others find it if they are told where
        for link in spools(usual):
            if not os.path.exists(link):  # that of a spool that somebody has removed
                os.unlink(link)
        if os.path.dirname(directory.path) != usual:
            own_directory(usual, 0o755, os.geteuid())
            os.symlink(directory.path, _link(directory))


def withdraw(directory: SpoolDirectory) -> None:
    """Remove the link of a spool that is removed."""
    with contextlib.suppress(OSError):
        if os.path.islink(_link(directory)):
            os.unlink(_link(directory))


def _link(directory: SpoolDirectory) -> str:
    return os.path.join(base_directory(), os.path.basename(directory.path))


class Owners:
    """The living owners of log files, as they are now, into whose spools processes may write.

    `parent` is the directory for spools that the user has named, and `uids` the users of those
    processes.
    """

    def __init__(self, parent: str | None, uids: tuple[int, ...]) -> None:
        self._parent = parent
        self._uids = uids
        self._found: dict[frozenset[int], dict[Place, SpoolDirectory]] = {}  # by who is believed

    def of(self, path: str) -> SpoolDirectory | None:
        """Return the spool of the owner of a log file; None if there is none."""
        return self._at(place_of(path), frozenset(_believed(path)))

    def of_server(self, address: str) -> SpoolDirectory | None:
        """Return the spool of the log server at an address, of root's or this user's; or None."""
        return self._at(place_of_server(address), frozenset(_trusted()))

    def _at(self, place: Place, users: frozenset[int]) -> SpoolDirectory | None:
        if users not in self._found:
            self._found[users] = self._look(users)
        return self._found[users].get(place)

    def _look(self, users: frozenset[int]) -> dict[Place, SpoolDirectory]:
        places: dict[Place, SpoolDirectory] = {}
        for directory, found in living(users, self._parent):
            if None not in map(directory.may_write, self._uids):
                places = {**dict.fromkeys(found.files, directory), **places}
        return places


def _trusted() -> set[int]:
    """Return the users who are believed whatever they say that they own: root, and this one."""
    return {0, os.geteuid()}


def _believed(path: str) -> set[int]:
    """Return the users who are believed to own a log file if they say so: root, this one, its own.

    Anybody could pretend to own a file of root's, and would get all that root logs.
    """
    users = _trusted()
    with contextlib.suppress(OSError):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            found = os.stat(os.path.dirname(path))
        users.add(found.st_uid)
    return users


def _other_owners(
    place: Place, users: Collection[int]
) -> Iterator[tuple[SpoolDirectory, Registry]]:
    """Yield the living owners of a place that are other processes of users, and their spools."""
    for directory, found in living(users):
        if place in found.files and found.owner != os.getpid():
            yield directory, found


def _reachable(place: Place, users: Collection[int]) -> str:
    uid = os.geteuid()
    found = (one.path for one, _ in _other_owners(place, users) if one.may_write(uid) is not None)
    return next(found, "")


def reachable_owner(path: str) -> str:
    """Return the spool of another living owner of a log file, if this process may write there.

    Else "".
    """
    return _reachable(place_of(path), _believed(path))


def reachable_server(address: str) -> str:
    """Return the spool of the log server at an address, as `reachable_owner` that of a file."""
    return _reachable(place_of_server(address), _trusted())


def who_owns(path: str) -> str:
    """Say who owns a log file that this process cannot have, as far as anybody can tell."""
    for directory, found in _other_owners(place_of(path), _believed(path)):
        return f"process {found.owner} of user {directory.owner_uid}"
    others = " or ".join(writers_of(path))
    return f"process {others}" if others else "another process"
