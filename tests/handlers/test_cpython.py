"""The interpreter's own tests of rotating handlers (`test.test_logging`), on RollingFileHandler."""

import pytest

OTHERWISE = {}


def test_the_interpreters_tests_of_rotating_handlers_pass(program):
    """But for those that do not apply."""
    pytest.importorskip("test.test_logging", reason="the interpreter comes without its tests")
    *failed, run = program().stdout.splitlines()
    assert dict(line.split() for line in failed) == OTHERWISE
    assert int(run) > 20
