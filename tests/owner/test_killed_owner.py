"""What the next owner finds when one was killed. Every system call: campaign/test_recovery.py."""

import signal


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
