"""RollingFileHandler beside the standard library's handlers: the same records at the same times."""

# ruff: noqa: DTZ001, DTZ006  # by the clock on the wall

from __future__ import annotations

import datetime as dt
import logging.handlers
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from queuelog.handlers import RollingFileHandler
from queuelog.sinks.file import FileSink

HOUR, DAY = 3600, 86400  # seconds
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


class Case(NamedTuple):
    """Options of RollingFileHandler, and when which records are logged.

    `begin` is in local time, `steps` are the seconds from one record to the next.
    """

    options: dict
    begin: dt.datetime
    steps: list
    zone: str = BERLIN

    def __repr__(self):
        options = "-".join(f"{name}={value}" for name, value in self.options.items())
        return f"{options}-{self.begin:%m-%d}-{self.steps[0]:g}"


MARCH, OCTOBER = dt.datetime(2025, 3, 28, 12), dt.datetime(2025, 10, 24, 12)
MONDAY = dt.datetime(2025, 6, 2)  # 00:00
CASES = [
    Case({"when": "S"}, MARCH, [0.2, 0.5, 0.1, 1, 1, 0.9, 4, 0.4, 0.1] * 3),
    Case({"when": "s", "keep": 2}, MARCH, [0.7] * 20),
    Case({"when": "s", "interval": 5, "keep": 3}, MARCH, [1] * 40),
    Case({"when": "M", "utc": True}, MARCH, [20] * 20),
    Case({"when": "M", "interval": 15}, MARCH, [100] * 40),
    Case({"when": "H", "keep": 5}, MONDAY, [900] * 40),
    Case({"when": "H", "interval": 6, "utc": True}, dt.datetime(2025, 6, 2, 2), [2 * HOUR] * 40),
    Case({"when": "D"}, MONDAY, [6 * HOUR] * 20),
    Case({"when": "midnight"}, MONDAY, [5 * HOUR] * 20),
    *(Case({"when": "midnight", **more}, begin, [step] * 30)
      for begin in (MARCH, OCTOBER) for step in (5 * HOUR, 30 * HOUR, 75 * HOUR)
      for more in ({}, {"utc": True}, {"at_time": dt.time(4, 30), "keep": 3})),
    *(Case({"when": f"w{day}", **more}, begin, [19 * HOUR] * 30)
      for day in (4, 6) for begin in (MARCH, OCTOBER)
      for more in ({}, {"at_time": dt.time(4, 30), "keep": 2}, {"utc": True})),
    *(Case({"max_size": size, "keep": keep}, MARCH, [2] * 30)
      for size, keep in ((31, 3), (57, 1), (1000, 3))),
]  # fmt: skip
# A period that ends in the night before summer time begins or ends: some Pythons give its backup
# the name of the one before, and so delete that (3.10 to 3.12), or roll over never again (3.13).
WRONG_IN_STDLIB = [
    case for case in CASES
    if (case.options.get("when"), case.begin) in (("midnight", OCTOBER), ("w4", MARCH))
    and not case.options.keys() & {"utc", "at_time"}
]  # fmt: skip
SAME = [case for case in CASES if case not in WRONG_IN_STDLIB]


class OneProcess:
    """Ours alone, as in a process that does not call `queuelog.start()`."""

    def __init__(self, path, options):
        self.handler = RollingFileHandler(path, delay=True, **options)

    def log(self, record):
        self.handler.handle(record)

    def close(self):
        self.handler.close()


class Sink:
    """The file as the owner writes it."""

    def __init__(self, path, options):
        self.sink = FileSink(RollingFileHandler(path, delay=True, **options))

    def log(self, record):
        self.sink.write([(record.created, f"{record.msg}\n".encode())], lambda _: None)
        self.sink.rotate(time.time())

    def close(self):
        self.sink.close()


def stdlib(path, options):
    """Return the standard library's handler for the options of ours."""
    options = options.copy()
    keep, size = options.pop("keep", 0), options.pop("max_size", 0)
    if size:
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=size, backupCount=keep, delay=True
        )
    at_time = options.pop("at_time", None)
    return logging.handlers.TimedRotatingFileHandler(
        path, backupCount=keep, atTime=at_time, delay=True, **options
    )


@contextmanager
def clock(case):
    """Let the time of this process be what the list's item says, in the case's time zone."""
    real, zone = time.time, os.environ.get("TZ")
    os.environ["TZ"] = case.zone
    time.tzset()
    now = [case.begin.astimezone().timestamp()]
    time.time = lambda: now[0]
    try:
        yield now
    finally:
        time.time = real
        os.environ.pop("TZ")
        if zone is not None:
            os.environ["TZ"] = zone
        time.tzset()


def run(case, way, directory, restart_after=0, lengths=None):
    """Log the records of a case in both ways; return file name -> text for each.

    `way` makes ours of a path and options. With `restart_after`, both begin anew after each so many
    records; a file was written last when the clock said so. Lines have `lengths`, if given.
    """
    theirs_path, ours_path = (Path(directory) / name / "app.log" for name in ("theirs", "ours"))
    theirs_path.parent.mkdir(parents=True)
    with clock(case) as now:
        theirs, ours = stdlib(theirs_path, case.options), way(ours_path, case.options)
        for number, step in enumerate([0, *case.steps]):
            now[0] += step
            if restart_after and number % restart_after == restart_after - 1:
                theirs.close()
                ours.close()
                theirs, ours = stdlib(theirs_path, case.options), way(ours_path, case.options)
            text = f"{number:08d} {dt.datetime.fromtimestamp(now[0]):%Y-%m-%d %H:%M:%S}"
            if lengths:
                text = text.ljust(99, "-")[: lengths[number - 1] - 1]
            theirs.handle(make_record(now, text))
            ours.log(make_record(now, text))
            for path in (theirs_path, ours_path):
                os.utime(path, (now[0], now[0]))
        theirs.close()
        ours.close()
    return files(theirs_path), files(ours_path)


def make_record(now, text):
    """Return a record of now, as the clock says."""
    return logging.makeLogRecord({"msg": text, "created": now[0], "levelno": logging.INFO})


def files(path):
    """Return file name -> text of a log file and its backups."""
    return {
        found.name: found.read_text() for found in path.parent.iterdir() if found.name[0] != "."
    }
