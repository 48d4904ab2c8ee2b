"""The worker formats, with the application's own formatter, where its objects and context are."""

import json

import pytest


@pytest.fixture
def text(program, log):
    """Return a function that runs the test's program, quietly, and returns the log's text."""

    def run(*arguments):
        assert program(*arguments).stderr == ""
        return log.read_text()

    return run


def test_json_with_extras_and_tracebacks(text):
    """python-json-logger: objects of the application become text in the worker, by its encoder."""
    pytest.importorskip("pythonjsonlogger", reason="python-json-logger is not installed")
    first, second = map(json.loads, text().splitlines())
    assert first.pop("process") == first.pop("pid")
    assert first == {"levelname": "INFO", "message": "in", "user": "User"}
    assert second["exc_info"].endswith("ZeroDivisionError: division by zero")


def test_structlog_and_stdlib_records_in_one_file(text):
    """ProcessorFormatter: the event is a dictionary until the worker's formatter renders it."""
    pytest.importorskip("structlog", reason="structlog is not installed")
    lines = [json.loads(line) for line in text().splitlines()]
    assert "ZeroDivisionError" in lines[2].pop("exception")
    assert lines == [
        {"event": "in", "user": "me", "request": 7, "level": "info"},
        {"event": "plain line", "request": 7, "level": "warning"},
        {"event": "failed", "request": 7, "level": "error"},
    ]


def test_context_variables_are_those_of_the_caller(text):
    """A formatter that reads them would find nothing in the arbiter."""
    assert sorted(text().splitlines()) == sorted(f"{i} of {i}" for i in range(50))


def test_colours_of_one_handler_are_not_in_the_others_file(text, tmp_path):
    """colorlog: of two formatters of one record, the first formats the traceback, as ever."""
    pytest.importorskip("colorlog", reason="colorlog is not installed")
    assert text().splitlines() == [
        "\x1b[33mWARNING\x1b[0m careful\x1b[0m",
        "\x1b[31mERROR\x1b[0m failed\x1b[0m",
        "ZeroDivisionError('division by zero')",
    ]
    plain = (tmp_path / "plain.log").read_text().splitlines()
    assert plain == ["WARNING careful", "ERROR failed", "ZeroDivisionError('division by zero')"]


@pytest.mark.parametrize("how", ["handler", "propagate"])
def test_loguru_logs_through_the_one_owner(text, how):
    """Failures D2, D3: with a handler out of the logger tree, or with one that hands on to it."""
    pytest.importorskip("loguru", reason="loguru is not installed")
    written = text(how)
    first, second, *rest = filter(None, written.splitlines())
    assert (first, second) == ("INFO number 7", "ERROR failed")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ZeroDivisionError: division by zero"
    assert written.count("Traceback") == 1
