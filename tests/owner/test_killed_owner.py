"""What the next owner finds when one was killed. Every system call: campaign/test_recovery.py."""

import os
import signal
import time

import pytest


def test_a_record_outlives_every_process(program, log):
    """SIGKILL of all right after the log call: the next start writes the line."""
    assert program(name="kill_everybody", check=False).returncode == -signal.SIGKILL
    program(name="start_again")
    assert log.read_text() == "kept\n"


def test_a_sink_that_failed_when_the_owner_was_killed_gets_its_lines_once(program, tmp_path):
    """It must not catch up before the open batch is finished, which then is written to it again.

    Failures B14: a killed arbiter loses and doubles nothing.
    """
    killed = program(name="die_between_two_sinks", check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (tmp_path / "gone").mkdir()
    program(name="write_the_rest")
    assert (tmp_path / "gone" / "failing.log").read_text() == "failing\n"


@pytest.mark.parametrize("moved", [False, True])
def test_a_batch_that_was_written_is_not_written_again(program, tmp_path, moved):
    """Also if the log directory was moved to another disk since, with a link in its place."""
    (tmp_path / "logs").mkdir()
    killed = program(name="die_behind_a_write", check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if moved:
        (tmp_path / "logs").rename(tmp_path / "volume")
        (tmp_path / "logs").symlink_to("volume")
    program(name="start_where_it_was")
    assert (tmp_path / "logs" / "app.log").read_text() == "once\n"


def test_what_is_recovered_on_the_next_day_leaves_a_file_in_its_period(program, tmp_path):
    """The time of its last write says at the next start which day is in it.

    Of a file that the arbiter knows, and of one that a worker has added.
    """
    yesterday = time.time() - 86400
    names = "arbiter.log", "worker.log"
    for name in names:
        (tmp_path / name).write_text("before\n")
        os.utime(tmp_path / name, (yesterday, yesterday))
    killed = program(yesterday, name="log_and_die", check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    program(name="only_recover")
    program(name="log_in_both")
    backup = time.strftime("%Y-%m-%d", time.gmtime(yesterday))
    for name in names:
        assert (tmp_path / f"{name}.{backup}").read_text() == "before\nyesterday\n"
        assert (tmp_path / name).read_text() == "today\n"
