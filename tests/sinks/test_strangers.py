"""Processes that write a log file past its owner are named."""

import subprocess
import sys

import pytest
from waiting import wait_for

from queuelog.base.processes import writers_of

PRINTS = "import sys; print('here', flush=True); sys.stdin.read()"


@pytest.mark.parametrize("child", ["forked", "started"])
def test_who_writes_past_the_owner_is_named(background, log, child):
    """A child that configures the file without setup(): once, on stderr and in the log."""
    process = background("who_writes_past_the_owner_is_named", child)
    wait_for(lambda: log.exists() and "also written by process" in log.read_text(), "the warning")
    assert process.wait(60) == 0
    _, errors = process.communicate()
    assert errors.count("also written by process") == 1, errors
    assert log.read_text().count("also written by process") == 1
    assert "Call queuelog.start() there" in errors


def test_who_is_about_to_start_is_no_stranger(background, log):
    """As the new arbiter of an upgrade, which says first that it is starting."""
    process = background("who_is_about_to_start_is_no_stranger")
    assert process.stdout.readline() == "suspected\n"
    assert process.communicate("go on\n")[1] == ""
    assert log.read_text() == "from a child\n"


def test_what_a_process_prints_into_a_log_file_is_its_own_business(log):
    """Gunicorn does so with `capture_output`, in all of its processes."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", PRINTS], stdin=subprocess.PIPE, stdout=file
        )
    with process:
        wait_for(lambda: log.read_text() == "here\n", "it prints")
        assert writers_of(str(log), output=False) == []
        assert [text.split()[0] for text in writers_of(str(log))] == [str(process.pid)]
        process.stdin.close()
