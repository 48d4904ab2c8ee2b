"""The last-resort reporter: it says each thing once in a while, and nothing can break it."""

import logging
import os
import time

import pytest

from queuelog.base.reporter import INTERVAL, report


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose item is the time of the monotonic clock."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def seen(monkeypatch):
    """Return the list of the records that reach the logger `queuelog`."""
    records = []

    class Collect(logging.Handler):
        def emit(self, record):
            records.append(record)

    logger = logging.getLogger("queuelog")
    monkeypatch.setattr(logger, "handlers", [Collect()])
    monkeypatch.setattr(logger, "propagate", False)
    return records


def test_a_report_names_its_process_and_reaches_stderr_and_the_log(capfd, seen):
    """Whoever reads either place learns of it."""
    report("key", "100 % wrong", logging.WARNING)
    assert capfd.readouterr().err == f"queuelog[{os.getpid()}]: 100 % wrong\n"
    (record,) = seen
    assert (record.getMessage(), record.levelno) == ("100 % wrong", logging.WARNING)


def test_without_a_handler_stderr_gets_it_once(capfd, monkeypatch):
    """Logging's own last resort must not repeat it."""
    monkeypatch.setattr(logging.getLogger("queuelog"), "propagate", False)
    report("key", "wrong")
    assert capfd.readouterr().err.count("wrong") == 1


@pytest.mark.parametrize("where", ["file", "both", "console"])
def test_gunicorns_error_log_has_what_no_other_log_has(program, tmp_path, where):
    """A daemon has no stderr, and its root logger no handler; nothing is said twice."""
    done = program(where)
    assert done.stderr.count("100 % wrong") == 1
    found = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
    said = "queuelog: 100 % wrong\n"
    both = {"error.log": "", "root.log": "100 % wrong\n"}
    assert found == {"file": {"error.log": said}, "both": both, "console": {}}[where]


def test_what_repeats_is_counted_and_said_once_an_interval(capfd, clock, seen):
    """A failure of every record must not fill stderr as well."""
    for _ in range(5):
        report("key", "again")
    report("other", "something else")
    assert capfd.readouterr().err.count("again") == 1
    clock[0] += INTERVAL
    report("key", "again")
    assert "again (4 more like this since the last report)" in capfd.readouterr().err
    clock[0] += INTERVAL
    report("key", "again")
    assert capfd.readouterr().err.endswith("again\n")
    assert len(seen) == 4


def test_a_handler_that_raises_does_no_harm(capfd, monkeypatch):
    """The last resort is used where everything else is broken."""

    class Broken(logging.Handler):
        def handle(self, record):
            raise RuntimeError("broken handler")

    monkeypatch.setattr(logging.getLogger("queuelog"), "handlers", [Broken()])
    report("key", "wrong")
    assert "wrong" in capfd.readouterr().err


def test_a_handler_that_reports_does_not_recur(capfd, monkeypatch):
    """A queue handler that cannot write reports that, through itself."""

    class Recurring(logging.Handler):
        def emit(self, record):
            report("key", "inner")

    monkeypatch.setattr(logging.getLogger("queuelog"), "handlers", [Recurring()])
    report("key", "outer")
    err = capfd.readouterr().err
    assert "outer" in err
    assert "inner" not in err


def test_stderr_that_is_closed_does_no_harm(python):
    """A daemon has none."""
    python("import os; os.close(2)\nfrom queuelog.base import report; report('key', 'wrong')")


def test_a_message_with_a_lone_surrogate_is_escaped(python):
    """Paths may hold bytes that are no UTF-8."""
    program = "from queuelog.base import report; report('key', 'file \\udcff')"
    assert r"file \udcff" in python(program).stderr
