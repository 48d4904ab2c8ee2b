"""The interpreter's own tests of logging (`test.test_logging`), with queuelog in between."""

import pytest

# What does not hold, and why.
OTHERWISE = {
    "BasicConfigTest.test_encoding_errors_none": "what cannot be encoded is escaped, and not lost",
    "FileHandlerTest.test_delay": "the file is opened by the arbiter, not by the handler's open()",
    "FileHandlerTest.test_emit_after_closing_in_write_mode": "the arbiter has emptied the file "
    "when it first opened it; it never does that again, and so need not stop to write",
    "TimedRotatingFileHandlerTest.test_rollover_at_midnight": "a new handler goes on with the "
    "period of the one before it, whatever the file's time says: a reload begins no new one",
    "TimedRotatingFileHandlerTest.test_rollover_at_weekday": "the same",
}


def test_the_interpreters_own_tests_pass(program):
    """Each emit() of a file handler goes to the arbiter, which writes it before emit() returns."""
    pytest.importorskip("test.test_logging", reason="the interpreter comes without its tests")
    *failed, run = program().stdout.splitlines()
    assert set(failed) <= OTHERWISE.keys()
    assert int(run) > 200
