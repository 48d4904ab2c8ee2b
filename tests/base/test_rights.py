"""The rights of another user, in one thread."""

import os
import threading

import pytest

from queuelog.base.rights import User, acting_as

NOBODY = User(65534, 65534)


@pytest.fixture
def everybodys(tmp_path):
    """Return a directory in which everybody may make files."""
    tmp_path.chmod(0o777)  # the directories above are closed to others: see the tests' dir_fd
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def made(directory, name):
    """Make a file; return the user and group that it belongs to."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
    found = os.fstat(fd)
    os.close(fd)
    return found.st_uid, found.st_gid


@pytest.mark.root
def test_files_belong_to_the_user_while_it_lasts(everybodys):
    """Afterwards, and in between where the process acts as itself, they belong to root."""
    with acting_as(NOBODY):
        assert made(everybodys, "a") == NOBODY[:2]
        with acting_as(None):
            assert made(everybodys, "b") == (0, os.getegid())
        assert made(everybodys, "c") == NOBODY[:2]
    assert made(everybodys, "d") == (0, os.getegid())


@pytest.mark.root
def test_what_the_user_may_not_do_is_refused(tmp_path):
    """Also what only a further group of root's could, unless the user has that group."""
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0o060)
    os.chown(secret, 0, 12345)
    fd = os.open(tmp_path, os.O_PATH)
    before = os.getgroups()

    def opens(user):
        with acting_as(user):
            try:
                os.close(os.open("secret", os.O_RDONLY, dir_fd=fd))
            except PermissionError:
                return False
            return True

    tmp_path.chmod(0o711)
    os.setgroups([12345])
    try:
        assert not opens(NOBODY)
        assert opens(NOBODY._replace(groups=(1, 12345)))
        assert opens(NOBODY._replace(groups=None))  # those of the process
        assert not opens(NOBODY)
        assert os.getgroups() == [12345]
    finally:
        os.setgroups(before)
        os.close(fd)


@pytest.mark.root
def test_other_threads_keep_their_rights(everybodys):
    """A log call in another thread must not make its segment as somebody else."""
    acting, owners = threading.Event(), []

    def other():
        acting.wait()
        owners.append((made(everybodys, "x"), os.getgroups()))

    before = os.getgroups()
    thread = threading.Thread(target=other)
    thread.start()
    with acting_as(NOBODY._replace(groups=(7,))):
        acting.set()
        thread.join()
    assert owners == [((0, os.getegid()), before)]


@pytest.mark.root
def test_an_error_inside_gives_the_rights_back(everybodys):
    """Whatever a rollover raises."""
    with pytest.raises(KeyboardInterrupt), acting_as(NOBODY):
        raise KeyboardInterrupt
    assert made(everybodys, "a") == (0, os.getegid())
