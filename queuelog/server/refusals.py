"""What the server refuses: counted by kind, and reported, with who has sent it."""

from __future__ import annotations

import logging
from collections import Counter

from queuelog.base import report, shown
from queuelog.server import logs
from queuelog.spool import gathering

# Kinds, and what becomes of the client.
KINDS = {
    "record": "the record is passed over",
    "failed": "the record is passed over",
    "length": "the connection is closed",
    "protocol": "the connection is closed",
    "pickle": "the connection is closed",
    "slow": "the connection is closed",
    "memory": "the connection is closed",
    "many": "the connection is closed",
    "tls": "the connection is closed",
}


class Refusals:
    """The counts of one server, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, who: str, what: str) -> None:
        """Count a refusal; report it, unless one of its kind was reported a moment ago."""
        self.counts[kind] += 1
        # Some of it is the client's, who must not be able to make lines of the log.
        say(f"server-{kind}", f"refused from {who}: {shown(what)}; {KINDS[kind]}")


def say(key: str, message: str, level: int = logging.WARNING) -> None:
    """Report without waiting for room: where there is none, the report is dropped and counted."""
    with gathering() as chunks:
        report(key, message, level)
    logs.drop(logs.put(chunks))
