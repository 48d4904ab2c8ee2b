"""Write locks on files, and who is kept away by them."""

import fcntl
import os
import struct

import inside
import pytest
from disks import fill

from queuelog.base.locks import Answer, is_locked, lock_log_file, try_lock, unlock

READ_LOCK = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)


@pytest.fixture
def opened(log):
    """Return a function that opens the log file; all is closed afterwards."""
    log.touch()
    fds = []

    def make(flags=os.O_WRONLY | os.O_APPEND):
        fds.append(os.open(log, flags))
        return fds[-1]

    yield make
    for fd in fds:
        os.close(fd)


def test_a_lock_is_asked_for_without_being_taken(opened):
    """Also by whoever may only read the file."""
    owner, reader = opened(), opened(os.O_RDONLY)
    assert not is_locked(reader)
    assert try_lock(owner)
    assert is_locked(reader)
    assert is_locked(reader)
    assert not is_locked(owner)  # its own
    unlock(owner)
    assert not is_locked(reader)
    assert try_lock(opened())


def test_a_lock_is_kept_over_forks_until_it_is_released(opened):
    """A child has a copy; its end releases nothing, and what the parent releases is released."""
    owner, other = opened(), opened()
    assert try_lock(owner)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    unlock(owner)
    assert not is_locked(other)
    assert try_lock(owner)
    os.close(writing)
    os.waitpid(pid, 0)
    os.close(reading)
    assert is_locked(other)


def test_who_rotates_is_alone(opened):
    """Nobody else may write then, whether that one rotates or not."""
    assert lock_log_file(opened(), rotates=True) is Answer.ALONE
    assert lock_log_file(opened(), rotates=True) is Answer.TAKEN
    assert lock_log_file(opened(), rotates=False) is Answer.TAKEN


def test_who_appends_shares_the_file(opened):
    """With others that append, not with one that rotates; each of them keeps that one away."""
    first, second = opened(), opened()
    assert lock_log_file(first, rotates=False) is Answer.ALONE
    assert lock_log_file(second, rotates=False) is Answer.SHARED
    assert lock_log_file(opened(), rotates=True) is Answer.TAKEN
    unlock(first)
    assert lock_log_file(opened(), rotates=True) is Answer.TAKEN
    unlock(second)
    assert lock_log_file(opened(), rotates=True) is Answer.ALONE


def test_who_begins_to_rotate_keeps_others_away_as_well(opened):
    """A reload may give a file another handler."""
    fd = opened()
    assert lock_log_file(fd, rotates=False) is Answer.ALONE
    assert lock_log_file(fd, rotates=True) is Answer.ALONE
    assert lock_log_file(opened(), rotates=False) is Answer.TAKEN


@pytest.mark.parametrize("rotates", [True, False])
def test_a_readers_lock_is_in_nobodys_way(opened, rotates):
    """Whoever may read a file can lock it so; it must not silence the service."""
    fcntl.fcntl(opened(os.O_RDONLY), fcntl.F_OFD_SETLK, READ_LOCK)
    assert lock_log_file(opened(), rotates=rotates) is Answer.UNGUARDED


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path):
    """Others could take it as well."""
    first, second = inside.lock(tmp_path / "lock"), inside.lock(tmp_path / "lock")
    assert first.acquire()
    os.unlink(tmp_path / "lock")
    assert second.acquire()
    assert not first.acquire()
    second.release()
    assert first.acquire()
    first.release()


def test_a_lock_is_released_though_a_child_has_a_copy(tmp_path):
    """Such as one that C code has forked, in which no hook of ours runs."""
    first, second = inside.lock(tmp_path / "lock"), inside.lock(tmp_path / "lock")
    assert first.acquire()
    copy = os.dup(first.fd)
    first.release()
    assert second.acquire()
    second.release()
    os.close(copy)


@pytest.mark.root
def test_a_lock_needs_no_room(tmp_path, mount):
    """A full spool can still have an owner, who empties it."""
    mount(tmp_path, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    fill(tmp_path / "fill")
    lock, other = inside.lock(tmp_path / "lock"), inside.lock(tmp_path / "lock")
    assert lock.acquire()
    assert not other.acquire()
    lock.release()
    assert other.acquire()
    other.release()
