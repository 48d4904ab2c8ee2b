"""Locks that processes hold on files."""

import inside
import pytest
from disks import fill


@pytest.mark.root
def test_a_lock_without_room_for_its_note_is_held(tmp_path, mount):
    """Held by a descriptor that nobody knows of, it would keep its process waiting for itself.

    Failures B13: a full disk that has room again.
    """
    mount(tmp_path, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    fill(tmp_path / "fill")
    lock, other = inside.lock(tmp_path / "lock"), inside.lock(tmp_path / "lock")
    assert lock.acquire()
    assert not other.acquire()
    lock.close()
    assert other.acquire()
    other.close()
