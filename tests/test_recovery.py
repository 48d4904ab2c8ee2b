"""Exactly once: the owner is killed at every system call between draining and committing."""

from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "killpoints.py"
POINTS = {"plain": 5, "size": 50, "timed": 15, "gzip": 50}  # there are more: fewer would not be all


@pytest.mark.parametrize("kind", POINTS)
def test_a_kill_at_any_system_call_neither_loses_nor_doubles_a_line(python, spool, kind):
    """The ledger says after any crash what is in the files, also in the middle of a rollover."""
    run = f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    done = python(f"import sys; {run}", str(Path(spool).parent), kind, 300, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert int(done.stdout.split()[0]) > POINTS[kind]
