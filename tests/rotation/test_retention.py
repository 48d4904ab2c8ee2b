"""Which backups go: the oldest first, never the newest, and only what was made here."""

import os

import pytest
from rolled import Log

DAY = 86400.0
NOON = 20_000 * DAY + DAY / 2  # 2024-10-04, UTC


def days(log, number):
    """Let a log have backups of so many days, ten bytes each; return them, the oldest first."""
    made = []
    for day in range(number):
        log.write(f"line {day:04d}")
        made.append(os.path.basename(log.roll_over()))
        log.now += DAY
    return made


@pytest.mark.parametrize(
    ("options", "kept", "reason"),
    [
        ({"keep": 2}, 2, "more than 2 backups"),
        ({"keep": 9}, 5, ""),
        ({"max_age": "60 hours"}, 3, "older than 2.5 days"),  # since the end of its day
        ({"max_age": 1}, 1, "older than"),
        ({"max_total_size": 39}, 3, "more than 39 bytes together"),
        ({"max_total_size": 1}, 1, "more than 1 bytes together"),
        ({"keep": 3, "max_age": "36 hours", "max_total_size": 1000}, 2, "than"),
    ],
)
def test_the_oldest_go_first_and_the_newest_never(log, options, kept, reason):
    """By number, by age, by size, and what is told beforehand is what is done."""
    log = Log(log, NOON, when="midnight", utc=True, **options)
    names = days(log, 5)
    announced = log.backups.doomed(log.now)
    assert [os.path.basename(one.path) for one in announced] == names[: 5 - kept]
    assert all(reason in one.reason and one.size == 10 for one in announced)
    assert log.names() == names
    log.restart()
    assert log.backups.retire(log.now) == announced
    assert log.names() == names[5 - kept :]


def test_without_a_period_age_is_that_of_the_last_write(log):
    """Not that of the rollover, nor of a restart."""
    log = Log(log, NOON, max_size=1000, max_age="2 days")
    log.write("old")
    log.now += 5 * DAY
    log.roll_over()
    log.write("new")
    log.roll_over()
    (doomed,) = log.backups.retire(log.now)
    assert doomed.path == f"{log.path}.2"


def test_a_late_backup_is_as_old_as_its_period(log):
    """Made last, it goes first."""
    log = Log(log, NOON, when="midnight", utc=True, keep=2)
    days(log, 2)
    log.write("now")
    late = log.write("late", NOON - 3 * DAY)
    assert [one.path for one in log.backups.retire(log.now)] == [late]


def test_a_late_backup_is_known_by_its_first_lines(log):
    """Empty when it was made, it is known in a copy of the directory, too."""
    log = Log(log, NOON, when="midnight", utc=True, keep=1)
    log.write("now")
    late = log.write("late", NOON - 3 * DAY)
    log.backups.tick(log.now)
    os.rename(late, f"{late}.old")
    with open(late, "w", encoding="utf-8") as copy:
        copy.write("late\n")
    os.unlink(f"{late}.old")
    log.roll_over()
    log.restart()
    assert [one.path for one in log.backups.retire(log.now)] == [late]


def test_tick_removes_what_shall_go(log):
    """After a rollover, and about once a minute."""
    log = Log(log, NOON, when="midnight", utc=True, keep=1)
    names = days(log, 3)
    log.backups.tick(log.now)
    assert log.names() == names[-1:]


@pytest.mark.parametrize("options", [{"when": "midnight"}, {"max_size": 1000}])
def test_backups_of_a_clock_that_ran_ahead_are_not_the_newest_for_ever(log, options):
    """They go in turn, and not what is logged since the clock was put back."""
    log = Log(log, NOON, utc=True, names="numbered", **options)
    expected = []
    for shift in (0, 365 * DAY, -365 * DAY):
        log.now += shift
        for _ in range(2):
            expected.append(f"line {log.now}")
            log.write(expected[-1])
            log.roll_over()
            log.now += DAY
    going = []
    for keep in (5, 4, 3, 2, 1):
        log.backups.use(log.policy._replace(keep=keep))
        (doomed,) = log.backups.doomed(log.now)
        going += log.lines(os.path.basename(doomed.path))
        assert log.backups.retire(log.now) == [doomed]
    assert going == expected[:-1]


def test_the_age_of_a_backup_of_the_future_is_that_of_what_came_after_it(log):
    """It goes before its time comes."""
    log = Log(log, NOON, when="midnight", utc=True, max_age="2 days")
    log.now += 365 * DAY
    (ahead,) = days(log, 1)
    log.now -= 365 * DAY
    assert log.backups.doomed(log.now) == []
    oldest, _, _ = days(log, 3)
    doomed = [os.path.basename(one.path) for one in log.backups.doomed(log.now)]
    assert doomed == [ahead, oldest]


def test_a_late_line_costs_no_day(log):
    """Backups of one period count as one, where files roll over by time alone."""
    log = Log(log, NOON, when="midnight", utc=True, keep=2, compression="gzip")
    first, *kept = days(log, 3)
    log.compress(times=2)
    assert log.names() == [f"{name}.gz" for name in kept], first
    log.write("today")
    log.write("late", log.now - DAY)
    assert not log.backups.retire(log.now)
    assert log.names() == sorted([*(f"{name}.gz" for name in kept), f"{kept[-1]}.1"])
