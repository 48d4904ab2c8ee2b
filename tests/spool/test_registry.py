"""What an owner says of itself, and who believes it."""

import os

import pytest

from queuelog.base import User, place_of
from queuelog.base.locks import unlock
from queuelog.spool import registry
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.registry import Registry

NOBODY = 65534
SOMEBODY = 1  # the id of a process that is not this one


@pytest.fixture
def published(spool, log):
    """Return a function that makes a spool whose owner says that it owns the log file."""
    log.touch()
    fds = []

    def make(name="1-1", uid=None, **fields):
        directory = SpoolDirectory(os.path.join(spool, name))
        if uid is not None:
            directory.users.allow(User(uid, uid))
        directory.create()
        found = Registry(SOMEBODY, 1 << 20, [place_of(log)], [])._replace(**fields)
        fds.append(found.write(directory))
        return directory, fds[-1]

    yield make
    for fd in fds:
        os.close(fd)


def owner(log, spool, *uids):
    """Return the spool of the owner of the log file, as processes of these users find it."""
    found = registry.Owners(spool, uids or (os.geteuid(),)).of(str(log))
    return found and found.path


def test_the_owner_of_a_file_is_found(published, log, spool):
    """By whatever path: one through a link leads to the same place."""
    directory, _ = published()
    (log.parent / "link").symlink_to(log.parent)
    assert owner(log, spool) == directory.path
    assert owner(log.parent / "link" / log.name, spool) == directory.path
    assert owner(log.parent / "other.log", spool) is None


def test_an_owner_that_is_gone_is_none(published, log, spool):
    """Its registry stays, but nobody has the lock on it."""
    _, fd = published()
    assert owner(log, spool)
    unlock(fd)
    assert owner(log, spool) is None


def test_an_owner_that_says_anew_what_it_owns_is_there_all_the_time(
    published, log, spool, monkeypatch
):
    """Who has just opened the old registry finds no lock on it any more."""
    directory, fd = published()
    ask, again = registry.is_locked, []

    def replaced_before(asked):
        if not again:
            again.append(Registry(SOMEBODY, 1 << 20, [place_of(log)], []).write(directory))
            unlock(fd)
        return ask(asked)

    monkeypatch.setattr(registry, "is_locked", replaced_before)
    assert owner(log, spool) == directory.path
    unlock(again[0])
    assert owner(log, spool) is None
    os.close(again[0])


def test_a_spool_that_was_taken_over_owns_nothing(published, log, spool):
    """Its new owner says in its own what it owns."""
    published(taken_over=True)
    assert owner(log, spool) is None


def test_another_versions_registry_is_not_read(published, log, spool):
    """Nobody knows what it means."""
    published(format=999)
    assert owner(log, spool) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b"\xff", b"[" * 9999])
def test_a_damaged_registry_is_none(published, log, spool, content):
    """Somebody has written nonsense into it."""
    directory, fd = published()
    os.ftruncate(fd, 0)
    os.pwrite(fd, content, 0)
    assert registry.read(directory) is None
    assert owner(log, spool) is None


@pytest.mark.root
def test_a_spool_into_which_a_worker_cannot_write_is_none_for_it(published, log, spool):
    """The arbiter could, but what its workers log would have to go elsewhere."""
    published()
    assert owner(log, spool, os.geteuid(), NOBODY) is None
    directory, _ = published("2-2", uid=NOBODY)
    assert owner(log, spool, os.geteuid(), NOBODY) == directory.path


@pytest.mark.root
def test_a_stranger_is_believed_for_his_own_files_only(published, log, spool):
    """He could pretend to own root's log file, and would read all that root logs."""
    directory, _ = published(uid=NOBODY)
    os.chmod(spool, 0o1777)
    for root, directories, files in os.walk(directory.path):
        for name in [".", *directories, *files]:
            os.chown(os.path.join(root, name), NOBODY, NOBODY)
    assert owner(log, spool) is None
    os.chown(log, NOBODY, NOBODY)
    assert owner(log, spool) == directory.path


@pytest.mark.root
def test_a_registry_in_a_directory_of_roots_is_not_roots(published, log, spool):
    """A link may lead to /tmp, where a stranger can make all that a spool consists of."""
    directory, _ = published("0-0")
    planted = os.path.join(os.path.dirname(spool), "planted")
    os.rename(directory.path, planted)
    os.symlink(planted, directory.path)
    assert owner(log, spool) == planted
    os.chown(os.path.join(planted, "registry"), NOBODY, NOBODY)
    assert owner(log, spool) is None
    os.chown(os.path.join(planted, "registry"), 0, 0)
    os.link(os.path.join(planted, "registry"), os.path.join(planted, "second name"))
    assert owner(log, spool) is None


def test_an_owner_in_another_container_is_found(published, log, spool):
    """It has the id that this process has: 1, as a rule."""
    directory, _ = published(owner=os.getpid())
    assert owner(log, spool) == directory.path


@pytest.mark.root
def test_a_registry_is_written_whole_or_not_at_all(log, mount, tmp_path):
    """A full file system takes a part of it; nobody could read that."""
    (tmp_path / "small").mkdir()
    mount(tmp_path / "small", "-t", "tmpfs", "-o", "size=40k", "small")
    small = SpoolDirectory(str(tmp_path / "small" / "spools" / "1-1"))
    small.create()
    (tmp_path / "small" / "filler").write_bytes(bytes(32 << 10))
    with pytest.raises(OSError, match="No space left"):
        Registry(SOMEBODY, 1 << 20, [place_of(log)] * 500, []).write(small)


def test_a_registry_is_readable_for_those_who_may_write_only(published):
    """The paths of log files may be nobody else's business."""
    directory, _ = published()
    assert os.stat(directory.registry).st_mode & 0o777 == 0o600


def test_links_to_spools_that_are_gone_are_removed(published, tmp_path, monkeypatch):
    """A directory for spools may be removed as a whole, as a volume is."""
    monkeypatch.setattr(registry, "base_directory", lambda: str(tmp_path))
    first, _ = published("1-1")
    second, _ = published("2-2")
    registry.announce(first)
    assert (tmp_path / "1-1").readlink().as_posix() == first.path
    os.rename(first.path, f"{first.path}-gone")
    registry.announce(second)
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_symlink()] == ["2-2"]
    registry.withdraw(second)
    assert not any(entry.is_symlink() for entry in tmp_path.iterdir())
