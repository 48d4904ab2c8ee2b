"""RollingFileHandler and the standard library's handlers: same records, same files, same names.

What is otherwise, on purpose, and the test that shows it, here if no other module is named:

| standard library | here | why | test |
|---|---|---|---|
| "S", "M", "H", "D" begin when the process does | with the calendar | a restart shifts nothing | `..._by_the_calendar` |
| `interval` counts from the last rollover | with the calendar | the same | the same |
| `backupCount=0`: by size no rollover, by time all backups stay | all stay | nothing goes unasked | `..._none_is_removed` |
| `maxBytes` counts characters | bytes | it is a disk that is full | `..._counts_bytes` |
| the time of the write decides | that of the record | workers write later | `test_rolling.py` |
| a rollover waits for a record | not below `start()` | the night's file is complete in the morning | `tests/sinks/test_rolling.py` |
| what looks like a backup goes | what was made here | a file of yours is yours | `test_cpython.py` |
| an hour that comes twice begins a period twice | once | one file a day | `test_cpython.py` |
| a backup of the same name goes | both stay | nothing goes unasked | `..._of_summer_time_...` |
"""  # noqa: E501  # a table

# ruff: noqa: DTZ001  # by the clock on the wall

import datetime as dt
import json

import pytest
from comparing import (
    SAME,
    WRONG_IN_STDLIB,
    Case,
    OneProcess,
    Sink,
    clock,
    files,
    make_record,
    run,
)
from hypothesis import given, settings
from hypothesis import strategies as st

# Those of which the standard library's handler keeps the schedule over a restart.
KEPT = [
    case for case in SAME
    if "interval" not in case.options and case.options.get("when") not in ("M", "H", "D")
]  # fmt: skip
ways = pytest.mark.parametrize("way", [OneProcess, Sink])


@ways
@pytest.mark.parametrize("case", SAME, ids=repr)
def test_the_same_records_make_the_same_files(case, way, tmp_path):
    """By size, and by time over both changes of summer time."""
    theirs, ours = run(case, way, tmp_path)
    assert ours == theirs


@ways
@pytest.mark.parametrize("case", KEPT[::4], ids=repr)
def test_restarts_change_nothing(case, way, tmp_path):
    """As they change nothing in the standard library: of these options."""
    theirs, ours = run(case, way, tmp_path, restart_after=3)
    assert ours == theirs


def test_below_start_they_are_the_same(program):
    """Written by the listener of an arbiter."""
    different, compared = json.loads(program().stdout)
    assert not different
    assert compared > 5


times = st.times().map(lambda at: at.replace(microsecond=0))
days = st.sampled_from(["midnight", *(f"w{day}" for day in range(7))])
common = {"utc": st.booleans(), "keep": st.integers(0, 4)}


@ways
@settings(max_examples=40)
@given(
    options=st.fixed_dictionaries({"when": st.just("s"), **common})
    | st.fixed_dictionaries({"when": days, **common}, optional={"at_time": times}),
    steps=st.lists(st.integers(0, 40 * 3600), min_size=5, max_size=40),
    begin=st.datetimes(dt.datetime(2023, 12, 1), dt.datetime(2024, 12, 31)),
    restart_after=st.sampled_from([0, 3]),
)  # fmt: skip
def test_any_records_make_the_same_files_by_time(  # noqa: PLR0917  # what hypothesis chooses
    way, tmp_path_factory, options, steps, begin, restart_after
):
    """In a leap year, in a zone without summer time."""
    case = Case(options, begin, steps, zone="XXX-5:30")
    theirs, ours = run(case, way, tmp_path_factory.mktemp("same"), restart_after)
    assert ours == theirs


@ways
@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40), keep=st.integers(1, 4),
    more=st.integers(1, 60),
)  # fmt: skip
def test_any_records_make_the_same_files_by_size(way, tmp_path_factory, lengths, keep, more):
    """Each fits into an empty file: with another, Pythons before 3.13 make empty backups."""
    size = max(lengths) + more
    case = Case({"max_size": size, "keep": keep}, dt.datetime(2025, 6, 2), [2] * len(lengths))
    theirs, ours = run(case, way, tmp_path_factory.mktemp("same"), lengths=lengths)
    assert ours == theirs


# --- what is otherwise


@ways
@pytest.mark.parametrize("case", WRONG_IN_STDLIB, ids=repr)
def test_a_change_of_summer_time_costs_no_backup(case, way, tmp_path):
    """Each has the lines from its date on, and all are there."""
    _, ours = run(case, way, tmp_path)
    dates = sorted(name[len("app.log.") :] for name in ours if name != "app.log")
    for date in dates:
        for line in ours[f"app.log.{date}"].splitlines():
            assert date == max(begin for begin in dates if begin <= line.split()[1])
    lines = sorted("".join(ours.values()).splitlines())
    assert [int(line.split()[0]) for line in lines] == [*range(len(case.steps) + 1)]


@ways
@pytest.mark.parametrize(
    ("options", "step", "names"),
    [
        ({"when": "M"}, 20, "2025-06-02_10-07 2025-06-02_10-08"),
        ({"when": "H"}, 1200, "2025-06-02_10 2025-06-02_11"),
        ({"when": "H", "interval": 6}, 7200, "2025-06-02_06 2025-06-02_12"),
        ({"when": "D"}, 8 * 3600, "2025-06-02 2025-06-03"),
    ],
)
def test_periods_begin_by_the_calendar(way, tmp_path, options, step, names):
    """Whenever the process has begun, and also if it begins anew all the time."""
    case = Case(options, dt.datetime(2025, 6, 2, 10, 7, 50), [step] * 6)
    for directory, restart_after in (("on", 0), ("anew", 1)):
        _, ours = run(case, way, tmp_path / directory, restart_after)
        assert sorted(ours)[:3] == ["app.log", *(f"app.log.{name}" for name in names.split())]


@ways
def test_without_a_number_none_is_removed(way, tmp_path):
    """A file rolls over by size as well."""
    case = Case({"max_size": 40}, dt.datetime(2025, 6, 2), [2] * 9)
    _, ours = run(case, way, tmp_path)
    assert sorted(ours) == ["app.log", *(f"app.log.{number}" for number in range(1, 10))]


@ways
def test_the_size_counts_bytes(way, tmp_path):
    """Three lines of five characters are not 15 bytes."""
    case = Case({"max_size": 16, "keep": 9}, dt.datetime(2025, 6, 2), [])
    path = tmp_path / "app.log"
    with clock(case) as now:
        ours = way(path, case.options)
        for _ in range(3):
            ours.log(make_record(now, "äöüß"))
        ours.close()
    assert {*files(path)} == {"app.log", "app.log.1", "app.log.2"}
