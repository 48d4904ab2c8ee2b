"""A log file and its sink, a clock and a time zone."""

from __future__ import annotations

import time

import pytest

from queuelog.sinks.file import FileSink


@pytest.fixture
def path(tmp_path):
    """Return the path of the log file; nothing else is in its directory."""
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "app.log"


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose item is the time, in seconds since the epoch."""
    now = [time.time() - 1_000_000]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


@pytest.fixture
def summer_time(monkeypatch):
    """Summer time ends on 26 October 2025 and begins on 30 March 2025, both in the night."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def sink():
    """Return a function that makes a sink of a handler, and closes it after the test."""
    made = []

    def make(handler):
        made.append(FileSink(handler))
        return made[-1]

    yield make
    for one in made:
        one.close()
