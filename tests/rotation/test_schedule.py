"""Periods: a function of the time alone, in every time zone."""

import calendar
import datetime as dt
import functools
import os
import time
from contextlib import contextmanager
from itertools import pairwise
from math import inf, isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queuelog.rotation.policy import Policy
from queuelog.rotation.schedule import EVER, Schedule

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Antarctica/Troll",  # two hours of it
    "America/Sao_Paulo", "Asia/Beirut",  # midnight is missing, or comes twice
    "Africa/Casablanca",
    "Pacific/Apia", "Pacific/Kwajalein",  # had no 30 December 2011, no 21 August 1993
)  # fmt: skip
HOUR = 3600
NOONS = ((2026, 3, 29, 12, 0, 0), (2026, 10, 25, 12, 0, 0))

pytestmark = pytest.mark.skipif(
    not Path("/usr/share/zoneinfo/Pacific/Apia").exists(), reason="needs time zones: tzdata"
)


@contextmanager
def in_zone(zone):
    """Let the local time of this process be that of a zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


@functools.cache
def changes(zone):
    """Return days, as times, in which the clocks of a zone are changed."""
    info = ZoneInfo(zone)
    days = [
        dt.datetime.fromtimestamp(day * 86400, info) for day in range(8400, 22000, 4)
    ]  # 1992-2030
    return [
        before.timestamp()
        for before, after in pairwise(days)
        if before.utcoffset() != after.utcoffset()
    ] or [1e9]


@st.composite
def times(draw, zone):
    """Give times, half of them near a change of the clocks."""
    anywhere = st.integers(0, 4_000_000_000)
    near = st.builds(
        lambda change, seconds: change + seconds,
        st.sampled_from(changes(zone)), st.integers(-3 * 86400, 7 * 86400),
    )  # fmt: skip
    return max(0.0, draw(st.one_of(anywhere, near))) + draw(st.sampled_from([0.0, 0.5]))


@st.composite
def policies(draw):
    """Give policies of every schedule."""
    when = draw(st.sampled_from(["S", "M", "H", "D", "midnight", "W0", "W3", "W6", "month"]))
    interval = draw(st.sampled_from([1, 2, 3, 5, 6, 7, 12, 15, 24, 30, 36]))
    at_time = None
    if when not in "SMH":
        at_time = draw(st.sampled_from([None, "02:30", "01:00", "00:00:01", "23:59:59", "12:00"]))
    return Policy.checked(when=when, interval=interval, at_time=at_time, utc=draw(st.booleans()))


@settings(max_examples=200)
@given(st.data(), policies(), st.sampled_from(ZONES))
def test_periods_follow_on_each_other_without_gap_or_overlap(data, policy, zone):
    """Each time is in one period, whoever asks, whatever was asked before."""
    created = data.draw(times(zone))
    with in_zone(zone):
        schedule = Schedule(policy)
        period = schedule.period(created)
        begin, end = period
        assert begin <= created < end
        assert schedule.period(end).begin == end
        assert schedule.period(begin - 0.001).end == begin
        for at in (begin, created, (begin + end) / 2, end - 0.001):
            assert Schedule(policy).period(at) == period


@settings(max_examples=200)
@given(st.data(), policies(), st.sampled_from(ZONES))
def test_a_period_begins_when_the_calendar_says(data, policy, zone):
    """Midnight is midnight: by another implementation of time zones than the C library's."""
    created = data.draw(times(zone))
    info = dt.timezone.utc if policy.utc else ZoneInfo(zone)
    with in_zone(zone):
        period = Schedule(policy).period(created)
        date = Schedule(policy).date(period.begin)
    if policy.when in ("S", "M", "H"):
        length = policy.interval * {"S": 1, "M": 60, "H": HOUR}[policy.when]
        assert period.end - period.begin <= length + (2 * HOUR if length > HOUR else 0)
        return
    near = dt.datetime.fromtimestamp(period.begin, info).date()
    days = [near + dt.timedelta(days=shift) for shift in (0, -1)]
    at_time = policy.at_time or dt.time()
    begins = [dt.datetime.combine(day, at_time, info) for day in days]
    (begin,) = [begin for begin in begins if begin.timestamp() == period.begin][:1]
    assert date == f"{near:%Y-%m}" if policy.when == "MONTH" else f"{near:%Y-%m-%d}"
    if policy.when.startswith("W"):
        # Without a time of day at the end of that day, as TimedRotatingFileHandler has it.
        assert begin.weekday() == (int(policy.when[1]) + (policy.at_time is None)) % 7
    if policy.when == "MONTH":
        assert begin.day == 1


def lengths(zone, first, days, **options):
    """Return how many hours the periods have that begin at a local time, one after the other."""
    found = []
    with in_zone(zone):
        schedule = Schedule(Policy.checked(**options))
        period = schedule.period(dt.datetime.fromisoformat(first).timestamp())
        for _ in range(days):
            found.append((period.end - period.begin) / HOUR)
            period = schedule.period(period.end)
    return found


@pytest.mark.parametrize(
    ("zone", "first", "options", "expected"),
    [
        ("Europe/Berlin", "2026-03-28", {"when": "midnight"}, [24, 23, 24]),
        ("Europe/Berlin", "2026-10-24", {"when": "midnight"}, [24, 25, 24]),
        ("Europe/Berlin", "2026-03-28 03:00", {"when": "D", "at_time": "02:30"}, [24, 23, 24]),
        ("Europe/Berlin", "2026-10-24 03:00", {"when": "D", "at_time": "02:30"}, [24, 25, 24]),
        ("Europe/Berlin", "2026-10-25", {"when": "H", "interval": 6}, [7, 6, 6, 6]),
        ("Europe/Berlin", "2026-03-29", {"when": "H", "interval": 6}, [5, 6, 6, 6]),
        ("Europe/Berlin", "2026-10-25", {"when": "H"}, [1] * 25),
        ("Europe/Berlin", "2026-10-01", {"when": "month"}, [745, 720, 744]),
        ("Europe/Berlin", "2028-02-01", {"when": "month"}, [29 * 24]),
        ("Pacific/Apia", "2011-12-29", {"when": "midnight"}, [24, 24]),
        ("America/Sao_Paulo", "2017-10-14", {"when": "midnight"}, [24, 23, 24]),
        ("America/Sao_Paulo", "2018-02-17", {"when": "midnight"}, [25, 24]),
        ("Australia/Lord_Howe", "2026-10-04", {"when": "midnight"}, [23.5, 24]),
        ("Europe/Berlin", "2026-10-20", {"when": "W0"}, [169, 168]),
    ],
)  # fmt: skip
def test_days_are_as_long_as_they_are(zone, first, options, expected):
    """Summer time in both directions, leap years, and a zone that skipped a day."""
    assert lengths(zone, first, len(expected), **options) == expected


def test_a_boundary_that_does_not_exist_is_as_much_later():
    """02:30 of the day when summer time begins is 03:30; when it ends, it is the first of two."""
    with in_zone("Europe/Berlin"):
        schedule = Schedule(Policy.checked(when="D", at_time="02:30"))
        found = [schedule.period(calendar.timegm(day)) for day in NOONS]
        shown = [time.strftime("%d %H:%M %Z", time.localtime(at)) for both in found for at in both]
    assert shown == ["29 03:30 CEST", "30 02:30 CEST", "25 02:30 CEST", "26 02:30 CET"]


def test_without_a_time_there_is_one_period():
    """Size alone knows no late record."""
    assert Schedule(Policy.checked(max_size=1)).period(12.0) == EVER == (-inf, inf)


@given(st.floats())
@example(inf)
@example(-1.0)
@example(float("nan"))
@example(253402300799.0)
@pytest.mark.parametrize("when", ["S", "H", "midnight", "W6", "month"])
def test_a_time_that_no_clock_shows_has_a_period(when, created):
    """A hostile worker's record has any time."""
    schedule = Schedule(Policy.checked(when=when, interval=100 if when == "month" else 1))
    begin, end = schedule.period(created)
    assert begin <= created < end or created in (inf, -inf) or isnan(created)
    assert begin < end
