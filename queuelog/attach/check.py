"""What will happen to each handler of each logger, and what is wrong: `queuelog.describe()`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from queuelog.attach import problems, tree
from queuelog.attach.entries import Entry, entry
from queuelog.attach.options import strings
from queuelog.attach.problems import LogFile, Problem, this_user
from queuelog.base import User
from queuelog.handlers import QueueHandler


class Plan(NamedTuple):
    """What `describe` returns; printed, it is one line a handler, and two a problem."""

    entries: list[Entry]
    problems: list[Problem]

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.entries, *self.problems]))


class Worker(NamedTuple):
    """What is different in a worker: which handlers only it configures, and its user."""

    configures: Callable[[logging.Handler], bool]
    user: User


def describe(*, own: Sequence[str] = ()) -> Plan:
    """Return what happens, or will happen, to each handler of each logger in this process.

    Call it where `start` is called, before or after it; it changes nothing.

    Args:
        own: as for `start`.

    Raises:
        ConfigurationError: `own` is no list of strings.
    """
    return plan(own)


def plan(own: Sequence[str], worker: Worker | None = None) -> Plan:
    """Describe; the `worker` has configured handlers as well, if it is given."""
    names = strings("own", own)
    entries = []
    files: dict[str, LogFile] = {}
    for logger, handler in _handlers():
        by_worker = worker is not None and worker.configures(handler)
        found = entry(logger, handler, names, by_worker=by_worker)
        entries.append(found)
        if isinstance(handler, logging.FileHandler):
            file = files.setdefault(found.sink, LogFile(found.path, this_user()))
            file.add(found, handler)
            if worker and by_worker:  # it opens the file itself, at first
                file.user = worker.user
    unknown = problems.unknown_names(
        names, {getattr(handler, "name", None) for _, handler in _handlers()}
    )
    return Plan(entries, [*problems.of_files(files.values()), *problems.of_loguru(), *unknown])


def _handlers() -> list[tuple[str, logging.Handler]]:
    """Return each logger's handlers, replaced ones as they were; without those that do nothing."""
    found = [
        (name, handler.handler if isinstance(handler, QueueHandler) else handler)
        for name, handler in tree.attached()
    ]
    return [(name, one) for name, one in found if not isinstance(one, logging.NullHandler)]
