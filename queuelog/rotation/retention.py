"""Which backups go: by number, by age, by the room that all of them take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from queuelog.rotation.manifest import Entry
from queuelog.rotation.policy import Policy


class Doomed(NamedTuple):
    """A backup that goes: its path, its size in bytes, and why."""

    path: str
    size: int
    reason: str

    def __str__(self) -> str:
        """Return a line of what `queuelog check` prints."""
        return f"{self.path}: would be removed ({self.size:,} bytes): {self.reason}"


def superfluous(
    policy: Policy, sizes: Iterable[tuple[Entry, int]], now: float
) -> Iterator[tuple[Entry, str]]:
    """Give those of these backups that go, the oldest first, and why; the newest never does.

    `sizes` are the backups that there are, with their sizes in bytes. Where files roll over by time
    alone, those of one period count as one: a late line shall not cost a day.
    """
    by_order = sorted(sizes, key=lambda one: one[0].order, reverse=True)
    ends = _ends([entry for entry, _ in by_order], now)
    by_period = policy.when is not None and not policy.max_size
    counted: set[object] = set()
    total, going = 0, []
    for entry, size in sorted(by_order, key=lambda one: ends[one[0]], reverse=True):
        newest = not counted
        counted.add(entry.period if by_period else entry.order)
        total += size
        reason = _reason(policy, len(counted), now - ends[entry], total)
        if reason and not newest:
            going.append((entry, reason))
    yield from reversed(going)


def _ends(latest_first: Iterable[Entry], now: float) -> dict[Entry, float]:
    """Return when the newest record of each backup was created, in seconds since the epoch.

    One of the future was made before the clock was put back: it is as old as what came after it.
    Else it would be among the newest until then, while those that are made now go.
    """
    ends, after = {}, now
    for entry in latest_first:
        if entry.since <= now:
            after = entry.until
        ends[entry] = after
    return ends


def _reason(policy: Policy, number: int, age: float, total: int) -> str:
    """Tell why a backup goes that is so many seconds old; "" if it stays.

    With the newer ones there are so many, and they take so many bytes.
    """
    if 0 < policy.keep < number:
        return f"more than {policy.keep} backups"
    if policy.max_age is not None and age > policy.max_age:
        return f"older than {policy.max_age / 86400:,.4g} days"
    if 0 < policy.max_total_size < total:
        return f"more than {policy.max_total_size:,} bytes together"
    return ""
