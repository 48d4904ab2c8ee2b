"""What will happen to each handler of each logger, and what is wrong: `queuelog.describe()`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from queuelog.attach import problems, tree
from queuelog.attach.entries import Entry, entry
from queuelog.attach.options import policy, strings
from queuelog.attach.problems import LogFile, Problem, this_user
from queuelog.base import User
from queuelog.handlers import QueueHandler, policy_of
from queuelog.rotation import Policy

if TYPE_CHECKING:
    from queuelog.rotation.retention import Doomed


class Plan(NamedTuple):
    """What `describe` returns; printed, it is one line a handler, and two a problem."""

    entries: list[Entry]
    problems: list[Problem]
    doomed: Sequence[Doomed] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.entries, *self.doomed, *self.problems]))


class Worker(NamedTuple):
    """What is different in a worker: which handlers only it configures, and its user."""

    configures: Callable[[logging.Handler], bool]
    user: User


def describe(*, own: Sequence[str] = (), rotation: Mapping[str, Any] | None = None) -> Plan:
    """Return what happens, or will happen, to each handler of each logger in this process.

    Call it where `start` is called, before or after it; it changes nothing.

    Args:
        own: as for `start`.
        rotation: as for `start`.

    Raises:
        ConfigurationError: `own` is no list of strings, or an option of `rotation` is wrong.
    """
    return plan(own, policy(rotation))


def plan(own: Sequence[str], rotation: Policy | None, worker: Worker | None = None) -> Plan:
    """Describe; the `worker` has configured handlers as well, if it is given."""
    names = strings("own", own)
    entries = []
    files: dict[str, LogFile] = {}
    for logger, handler in _handlers():
        by_worker = worker is not None and worker.configures(handler)
        found = entry(logger, handler, names, rotation, by_worker=by_worker)
        entries.append(found)
        if isinstance(handler, logging.FileHandler):
            file = files.setdefault(found.sink, LogFile(found.path, this_user()))
            file.add(found, handler)
            if worker and by_worker:  # it opens the file itself, at first
                file.user = worker.user
    unknown = problems.unknown_names(
        names, {getattr(handler, "name", None) for _, handler in _handlers()}
    )
    found_problems = [*problems.of_files(files.values()), *problems.of_loguru(), *unknown]
    return Plan(entries, found_problems, list(_doomed(files.values(), rotation)))


def _doomed(files: Iterable[LogFile], rotation: Policy | None) -> Iterator[Doomed]:
    """Find the backups that are removed at the start."""
    from queuelog.rotation.backups import Backups  # noqa: PLC0415  # workers need none of it

    for file in files:
        policies = (policy_of(handler, rotation) for handler in file.handlers)
        found = next((one for one in policies if one is not None), None)
        if found is not None:
            with suppress(OSError):  # what cannot be read is not removed either
                yield from Backups(file.path, found).doomed(time.time())


def _handlers() -> list[tuple[str, logging.Handler]]:
    """Return each logger's handlers, replaced ones as they were; without those that do nothing."""
    found = [
        (name, handler.handler if isinstance(handler, QueueHandler) else handler)
        for name, handler in tree.attached()
    ]
    return [(name, one) for name, one in found if not isinstance(one, logging.NullHandler)]
