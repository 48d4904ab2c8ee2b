"""All sinks of the owner: what fails in one is its own affair."""

import errno
import logging
import os

import inside
import pytest
from filesinks import write

from queuelog.sinks.registry import Sinks


@pytest.fixture
def sinks(monkeypatch, tmp_path):
    """Return the sinks of an owner, of which the first one's file cannot be closed properly."""
    monkeypatch.setattr(inside.locks, "MEMORY", str(tmp_path))  # for locks of log files
    made = Sinks([], "a test")
    for name in ("bad.log", "good.log"):
        made.add(logging.FileHandler(tmp_path / name, delay=True))
    made.claim()
    for sink_id in made.ids():
        write(made[sink_id], "line\n")
    bad, real = inside.descriptor(made[made.ids()[0]]), os.close

    def close(fd):
        real(fd)
        if fd == bad:  # a network file system could not write what it had taken
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", close)
    return made


@pytest.mark.parametrize("how", ["close", "close_inherited"])
def test_a_file_that_fails_when_it_is_closed_keeps_no_lock(sinks, tmp_path, how):
    """Nor does it keep the other files open, in the owner or in a child."""
    getattr(sinks, how)()
    held = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert not [path for path in held if path.startswith(str(tmp_path))]
