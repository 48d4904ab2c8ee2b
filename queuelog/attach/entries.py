"""What happens to each handler of each logger, and when its file rolls over."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from queuelog.attach.attachment import reason_to_stay
from queuelog.base import class_name, obstacle, sink_id_of, writes_lines
from queuelog.handlers import ServerHandler, policy_of
from queuelog.rotation import Policy

_UNITS = {"S": "seconds", "M": "minutes", "H": "hours"}
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
        return _text(policy)
    size, backups = getattr(handler, "maxBytes", 0), getattr(handler, "backupCount", 0)
    if hasattr(handler, "rolloverAt"):
        kept = f"keeps {backups} backups" if backups else "keeps all backups"
        return f"rolls over {_when(handler)}, {kept}"
    if size > 0 and backups > 0:
        return f"rolls over at {size:,} bytes, keeps {backups} backups"
    if size > 0:
        return "never rolls over: backupCount is 0"
    return "never rolls over; follows logrotate"


def _text(policy: Policy) -> str:
    """Say what a policy of ours is."""
    when = [f"at {policy.max_size:,} bytes"] * (policy.max_size > 0)
    when += [_begins(policy)] * (policy.when is not None)
    if not when:
        return "never rolls over; follows logrotate"
    kept = [f"{policy.keep} backups"] * (policy.keep > 0)
    kept += [f"{policy.max_total_size:,} bytes of them"] * (policy.max_total_size > 0)
    if policy.max_age is not None:
        kept.append(f"each for {policy.max_age / 86400:g} days")
    keeps = f"keeps {', '.join(kept) or 'all backups'}"
    return ", ".join(
        [f"rolls over {' and '.join(when)}", keeps, *filter(None, [policy.compression])]
    )


def _begins(policy: Policy) -> str:
    zone = " UTC" if policy.utc else ""
    at = f"at {policy.at_time or 'midnight'}{zone}"
    when, every = policy.when or "", policy.interval
    if when in _UNITS:
        return f"every {every:,} {_UNITS[when]}" if every > 1 else f"every {_UNITS[when][:-1]}"
    if when == "MONTH":
        return f"on the first day of {f'each {every} months' if every > 1 else 'the month'} {at}"
    if when.startswith("W"):
        weeks = f" of each {every} weeks" if every > 1 else ""
        return f"on {_DAYS[int(when[1:])]}{weeks} {at}"
    return f"{at}, every {every} days" if every > 1 else at


def _when(handler: Any) -> str:
    when, seconds = str(getattr(handler, "when", "")), int(getattr(handler, "interval", 0))
    zone = " UTC" if getattr(handler, "utc", False) else ""
    at = f"at {handler.atTime}{zone}" if getattr(handler, "atTime", None) else f"at midnight{zone}"
    if when == "MIDNIGHT":
        return at
    if when.startswith("W") and when[1:].isdigit():
        return f"on {_DAYS[int(when[1:])]} {at}"
    return f"every {seconds:,} seconds"
