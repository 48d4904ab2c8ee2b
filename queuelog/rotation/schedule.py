"""Which period a time belongs to: a function of the time alone.

No restart shifts it, and no file's time: midnight is midnight. A day has 23, 24 or 25 hours, as the
calendar of this process's time zone says. Where a boundary does not exist, since the clock is put
forward over it, it is as much later; where it exists twice, it is the first of the two.
"""

from __future__ import annotations

import datetime as dt
import time
from math import inf
from typing import NamedTuple

from queuelog.rotation.policy import UNITS, Policy

_DAY = 86400  # seconds
_YEAR_1 = dt.datetime(1, 1, 1)  # noqa: DTZ001  # by the clock on the wall
_FIRST, _LAST = 0.0, 32503680000.0  # 1970 and 3000: what is before or after is one period
_SUFFIXES = {
    "S": "%Y-%m-%d_%H-%M-%S", "M": "%Y-%m-%d_%H-%M", "H": "%Y-%m-%d_%H", "MONTH": "%Y-%m",
    None: "%Y-%m-%d_%H-%M-%S",
}  # fmt: skip


class Period(NamedTuple):
    """The times from `begin` to before `end`, in seconds since the epoch; maybe infinite."""

    begin: float
    end: float

    def __contains__(self, at: object) -> bool:
        return isinstance(at, (int, float)) and self.begin <= at < self.end


EVER = Period(-inf, inf)


class Schedule:
    """The periods of one policy, which follow on each other without gap or overlap."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._suffix = _SUFFIXES.get(policy.when, "%Y-%m-%d")
        self._last = Period(inf, inf)  # most questions are about the period of the one before

    def period(self, created: float) -> Period:
        """Return the period in which `created` lies, in seconds since the epoch.

        Without `when` that is all time.
        """
        if created not in self._last:
            self._last = self._find(created)
        return self._last

    def date(self, at: float) -> str:
        """Return what the name of a backup says of the time when its period began."""
        fields = time.gmtime(at) if self._policy.utc else time.localtime(at)
        return time.strftime(self._suffix, fields)

    def _find(self, created: float) -> Period:
        if self._policy.when is None:
            return EVER
        if not created >= _FIRST:  # nor if it is no number
            first = self._find(_FIRST)
            return first if created in first else Period(-inf, first.begin)
        if created >= _LAST:
            last = self._find(_LAST - 1)
            return last if created < last.end else Period(last.end, inf)
        unit = UNITS.get(self._policy.when)
        if unit is None:
            return self._calendar(created, self._boundaries())
        return self._clock(created, unit * self._policy.interval)

    def _clock(self, created: float, length: int) -> Period:
        """Return a period of seconds, minutes or hours, `length` seconds long as a rule."""
        if _DAY % length:
            begin = created // length * length
            return Period(begin, begin + length)
        if length > UNITS["H"]:  # at 0, 6, 12 and 18 o'clock, also where a day has 23 hours
            return self._calendar(created, _Steps(_YEAR_1, dt.timedelta(seconds=length)))
        day = self._calendar(created, _Steps(_YEAR_1, dt.timedelta(days=1)))
        begin = day.begin + (created - day.begin) // length * length
        return Period(begin, min(begin + length, day.end))

    def _boundaries(self) -> _Steps | _Months:
        """Return when days, weeks or months begin."""
        policy = self._policy
        at_time = policy.at_time or dt.time()
        if policy.when == "MONTH":
            return _Months(policy.interval, at_time)
        if policy.when in ("D", "MIDNIGHT"):  # in days since the beginning of the year 1
            first, length = policy.interval, policy.interval
        else:
            assert policy.when is not None
            first, length = 1 + int(policy.when[1]), 7 * policy.interval  # day 1 was a Monday
            # Without a time of day a week ends with its day, as TimedRotatingFileHandler has it.
            first += policy.at_time is None
        base = dt.datetime.combine(dt.date.fromordinal(first), at_time)
        return _Steps(base, dt.timedelta(days=length))

    def _calendar(self, created: float, boundaries: _Steps | _Months) -> Period:
        """Return the period between the two boundaries around `created`.

        What the clock on the wall shows then is only near them: an hour may come twice.
        """
        zone = dt.timezone.utc if self._policy.utc else None
        wall = dt.datetime.fromtimestamp(created, zone).replace(tzinfo=None)
        number = boundaries.number_of(wall)

        def begin(number: int) -> float:
            return boundaries.begin_of(number).replace(tzinfo=zone).timestamp()

        while begin(number) > created:
            number -= 1
        while begin(number + 1) <= created:
            number += 1
        return Period(begin(number), begin(number + 1))


class _Steps(NamedTuple):
    """Boundaries at equal distances, in local time."""

    base: dt.datetime
    length: dt.timedelta

    def number_of(self, wall: dt.datetime) -> int:
        return (wall - self.base) // self.length

    def begin_of(self, number: int) -> dt.datetime:
        return self.base + number * self.length


class _Months(NamedTuple):
    """The first day of each month, or of each so many months, at a time of day."""

    interval: int
    at_time: dt.time

    def number_of(self, wall: dt.datetime) -> int:
        return (12 * wall.year + wall.month - 1) // self.interval

    def begin_of(self, number: int) -> dt.datetime:
        year, month = divmod(number * self.interval, 12)
        return dt.datetime.combine(dt.date(year, month + 1, 1), self.at_time)
