"""What happens to each handler of each logger, and when its file rolls over."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from queuelog.attach.attachment import reason_to_stay
from queuelog.base import class_name, obstacle, sink_id_of, writes_lines
from queuelog.handlers import ServerHandler, policy_of
from queuelog.rotation.policy import Policy

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Entry(NamedTuple):
    """One handler of one logger; `logger` is "" for the root.

    `kept` says why every process keeps the handler to itself, "" if the arbiter owns it, and
    `policy` when its file rolls over and how long backups are kept, or which log server gets it; ""
    if it is neither.
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


def entry(
    logger: str,
    handler: logging.Handler,
    own: tuple[str, ...],
    rotation: Policy | None,
    *,
    by_worker: bool,
) -> Entry:
    """Describe a handler of a logger; `by_worker`: a worker configures it, after the fork."""
    path = policy = ""
    name = getattr(handler, "name", None)  # it may only behave like a handler
    kept = reason_to_stay(handler, own)
    if isinstance(handler, logging.FileHandler):
        path, policy = handler.baseFilename, _policy(handler, rotation)
        kept = kept or (obstacle(handler) if by_worker else "")
    elif isinstance(handler, ServerHandler):
        policy = f"sent to the log server {handler.server.address}, and kept until it has it"
    elif by_worker:
        kept = kept or "the application configures it; only one of the conf file can be owned"
    elif name and not reason_to_stay(handler, (name,)):
        kept = kept and f"{kept}; own=[{name!r}] would let the arbiter own it"
    return Entry(logger, name or class_name(handler), kept, policy, sink_id_of(handler), path)


def _policy(handler: Any, rotation: Policy | None) -> str:
    if not writes_lines(handler):
        return f"{class_name(handler)} writes it and decides"
    policy = policy_of(handler, rotation)
    if policy is not None:
        return str(policy)
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
