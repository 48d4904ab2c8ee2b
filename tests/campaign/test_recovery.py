"""Exactly once: the owner is killed at every system call between draining and committing."""

import signal
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killpoints.py")
POINTS = {"plain": 5, "size": 50, "timed": 15, "gzip": 50}  # there are more: fewer would not be all


@pytest.mark.timeout(900)  # a point takes three starts
@pytest.mark.parametrize("kind", POINTS)
def test_a_kill_at_any_system_call_neither_loses_nor_doubles_a_line(python, spool, kind):
    """The ledger says after any crash what is in the files, also in the middle of a rollover."""
    run = f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    arguments = str(Path(spool).parent), kind, 50
    done = python(f"import sys; {run}", *arguments, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert int(done.stdout.split()[0]) > POINTS[kind]


@pytest.mark.parametrize("before", [0, 5_000], ids=["empty", "longer"])
@pytest.mark.parametrize("left", [0, 5, 12, 777, 1200])
def test_a_kill_in_a_write_to_a_truncated_file_neither_doubles_nor_tears(
    program, log, left, before
):
    """Failures E2: copytruncate comes between the ledger's mark and the write that is cut off."""
    log.write_bytes(b"x" * before)
    killed = program(left, name="die_in_a_write_to_a_truncated_file", check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert log.stat().st_size == left
    program(name="start_again")
    assert log.read_text() == "".join(f"line {number:06d}\n" for number in range(100))
