"""Exactly once: the owner is killed at every system call between draining and committing."""

import signal
from pathlib import Path

import pytest

TRUNCATED = """
import logging, os, signal, sys
import queuelog
from queuelog import _bridge
path, spool, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = logging.getLogger("truncated")
log.setLevel("INFO")
log.propagate = False
log.addHandler(logging.FileHandler(path))
queuelog.start(spool=spool)
if left >= 0:
    _bridge._bridge._listener.stop()
    for number in range(100):
        log.info("line %06d", number)
    _bridge._bridge._queue.close()
    write = os.write

    def killed(fd, data):
        if os.readlink(f"/proc/self/fd/{fd}") == path:
            os.truncate(path, 0)
            write(fd, data[:left])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(fd, data)

    os.write = killed
    _bridge._bridge._listener.drain(10)
queuelog.stop()
"""
PROGRAM = Path(__file__).with_name("killpoints.py")
POINTS = {"plain": 5, "size": 50, "timed": 15, "gzip": 50}  # there are more: fewer would not be all


@pytest.mark.parametrize("kind", POINTS)
def test_a_kill_at_any_system_call_neither_loses_nor_doubles_a_line(python, spool, kind):
    """The ledger says after any crash what is in the files, also in the middle of a rollover."""
    run = f"import runpy; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    done = python(f"import sys; {run}", str(Path(spool).parent), kind, 300, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert int(done.stdout.split()[0]) > POINTS[kind]


@pytest.mark.parametrize("before", [0, 5_000], ids=["empty", "longer"])
@pytest.mark.parametrize("left", [0, 5, 12, 777, 1200])
def test_a_kill_in_a_write_to_a_truncated_file_neither_doubles_nor_tears(
    python, spool, tmp_path, left, before
):
    """Failures E2: copytruncate comes between the ledger's mark and the write that is cut off."""
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * before)
    killed = python(TRUNCATED, path, spool, left, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert path.stat().st_size == left
    python(TRUNCATED, path, spool, -1)
    assert path.read_text() == "".join(f"line {number:06d}\n" for number in range(100))
