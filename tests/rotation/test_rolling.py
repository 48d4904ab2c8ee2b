"""A policy at work on a file that others own, or move, in between."""

import os
import time

import pytest

from queuelog.rotation.policy import Policy
from queuelog.rotation.rolling import Rolling


@pytest.fixture
def rolling(log):
    """Return a function that makes what an owner has of the log file."""
    return lambda **options: Rolling(str(log), Policy.checked(max_size=10, **options))


def write_and_roll_over(rolling, log, line):
    """Open the file, as an owner does, write a line, and roll over."""
    now = time.time()
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    rolling.opened()
    rolling.begin(fd, now)
    os.write(fd, line)
    os.close(fd)
    rolling.roll_over(now)
    rolling.tick(now)


def test_two_processes_in_turn_keep_as_many_backups_as_one(rolling, log):
    """A file changes hands in an upgrade, and may come back: each knows what the other has made."""
    owners = rolling(keep=2), rolling(keep=2)
    for number in range(12):
        write_and_roll_over(owners[number // 3 % 2], log, b"line %d\n" % number)
    backups = {path.name: path.read_bytes() for path in log.parent.glob("app.log.*")}
    assert backups == {"app.log.1": b"line 11\n", "app.log.2": b"line 10\n"}


def test_backups_are_beside_the_file_to_which_a_link_leads_now(tmp_path):
    """A deployment may switch a link in the path to another directory."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    link.symlink_to("first")
    path = link / "app.log"
    one = Rolling(str(path), Policy.checked(max_size=10))
    write_and_roll_over(one, path, b"line 0\n")
    link.unlink()
    link.symlink_to("second")
    write_and_roll_over(one, path, b"line 1\n")
    assert (tmp_path / "first" / "app.log.1").read_bytes() == b"line 0\n"
    assert (tmp_path / "second" / "app.log.1").read_bytes() == b"line 1\n"
