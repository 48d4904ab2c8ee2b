"""What will happen to each handler of each logger: `queuelog.describe()`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from queuelog.attach import tree
from queuelog.attach.attachment import reason_to_stay
from queuelog.attach.options import strings
from queuelog.base import class_name, encoding, obstacle, sink_id_of, writes_lines
from queuelog.handlers import QueueHandler

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

ByWorker = Callable[[logging.Handler], bool]


class Entry(NamedTuple):
    """One handler of one logger; `logger` is "" for the root.

    `kept` says why every process keeps the handler to itself, "" if the arbiter owns it, and
    `policy` when its file rolls over and how long backups are kept, "" if it is no file.
    """

    logger: str
    handler: str
    kept: str
    policy: str
    sink: str
    path: str

    def __str__(self) -> str:
        fate = f"kept in each process: {self.kept}" if self.kept else "owned by the arbiter"
        where = f" {self.path}" if self.path else ""
        policy = f"; {self.policy}" if self.policy and not self.kept else ""
        return f"{self.logger or '(root)'}: {self.handler}{where}: {fate}{policy}"


class Plan(NamedTuple):
    """What `describe` returns; printed, it is one line a handler, and one a problem."""

    entries: list[Entry]
    problems: list[str]

    def __str__(self) -> str:
        problems = [f"PROBLEM: {problem}" for problem in self.problems]
        return "\n".join([*map(str, self.entries), *problems])


def describe(*, own: Sequence[str] = ()) -> Plan:
    """Return what happens, or will happen, to each handler of each logger in this process.

    Call it where `start` is called, before or after it; it changes nothing.

    Args:
        own: as for `start`.

    Raises:
        ConfigurationError: `own` is no list of strings.
    """
    return plan(own)


def plan(own: Sequence[str], by_worker: ByWorker = lambda _: False) -> Plan:
    """Describe; `by_worker` tells which handlers a worker would configure, after the fork."""
    names = strings("own", own)
    found = [
        _entry(name, original, names, by_worker(original))
        for name, handler in tree.attached()
        for original in [handler.handler if isinstance(handler, QueueHandler) else handler]
    ]
    there = {handler.name for _, handler in found}
    unknown = [f"own={name!r}: no handler has this name" for name in names if name not in there]
    return Plan([entry for entry, _ in found], _problems(found) + unknown)


def _entry(
    logger: str, handler: logging.Handler, own: tuple[str, ...], worker: bool
) -> tuple[Entry, logging.Handler]:
    path = policy = ""
    late = "the application configures it; only a handler of the Gunicorn conf file can be owned"
    if isinstance(handler, logging.FileHandler):
        path, policy, late = handler.baseFilename, _policy(handler), obstacle(handler)
    kept = reason_to_stay(handler, own) or (late if worker else "")
    name = handler.name or class_name(handler)
    return Entry(logger, name, kept, policy, sink_id_of(handler), path), handler


def _policy(handler: Any) -> str:
    if not writes_lines(handler):
        return f"{class_name(handler)} writes it and decides"
    size, backups = getattr(handler, "maxBytes", 0), getattr(handler, "backupCount", 0)
    if hasattr(handler, "rolloverAt"):
        kept = f"keeps {backups} backups" if backups else "keeps all backups"
        return f"rolls over {_when(handler)}, {kept}"
    if size > 0 and backups > 0:
        return f"rolls over at {size:,} bytes, keeps {backups} backups"
    if size > 0:
        return "never rolls over: backupCount is 0"
    return "never rolls over; follows logrotate"


def _when(handler: Any) -> str:
    when, seconds = str(getattr(handler, "when", "")), int(getattr(handler, "interval", 0))
    zone = " UTC" if getattr(handler, "utc", False) else ""
    at = f"at {handler.atTime}{zone}" if getattr(handler, "atTime", None) else f"at midnight{zone}"
    if when == "MIDNIGHT":
        return at
    if when.startswith("W") and when[1:].isdigit():
        return f"on {_DAYS[int(when[1:])]} {at}"
    return f"every {seconds:,} seconds"


def _problems(found: list[tuple[Entry, logging.Handler]]) -> list[str]:
    problems = []
    by_sink: dict[str, list[tuple[Entry, logging.FileHandler]]] = {}
    for entry, handler in found:
        if isinstance(handler, logging.FileHandler):
            by_sink.setdefault(entry.sink, []).append((entry, handler))
    for same in by_sink.values():
        path = same[0][0].path
        policies = {entry.policy for entry, _ in same}
        if len(policies) > 1:
            listed = "; ".join(sorted(policies))
            problems.append(f"{path} has two policies, of which one will be followed: {listed}")
        encodings = {encoding(handler)[0].lower() for _, handler in same}
        if len(encodings) > 1:
            problems.append(f"{path} would have lines in {' and '.join(sorted(encodings))}")
        if {bool(entry.kept) for entry, _ in same} == {True, False}:
            problems.append(f"{path} would be written by the arbiter and by workers")
        if os.path.isdir(path):
            problems.append(f"{path} is a directory, not a file")
        elif not _writable(path):
            problems.append(f"{path} cannot be written by user {os.geteuid()}")
    return problems


def _writable(path: str) -> bool:
    return os.access(path if os.path.exists(path) else os.path.dirname(path), os.W_OK)
