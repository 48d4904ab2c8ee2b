"""The directory in which a spool lies belongs to others, too: /dev/shm, or that of all services."""

import os
from pathlib import Path

import pytest
from spools import fresh_directory

from queuelog.errors import SpoolError
from queuelog.spool.directory import SpoolDirectory

START = "import queuelog, sys; queuelog.start(spool=sys.argv[1]); queuelog.stop()"


@pytest.mark.parametrize("mode", [0o700, 0o711, 0o755, 0o1777])
def test_the_mode_of_the_directory_above_stays(python, tmp_path, mode):
    """A spool of root's in /dev/shm must leave that usable for everybody else.

    And a service without `user` must not shut the workers of another one out of their spool.
    """
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(mode)
    python(START, above / "spool")
    assert above.stat().st_mode & 0o7777 == mode
    assert (above / "spool").stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_directory_in_which_others_may_rename_the_spool_is_refused(python, tmp_path, mode):
    """They could put one of their own in its place, and read what is logged."""
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(mode)
    done = python(START, above / "spool", check=False)
    assert "SpoolError" in done.stderr
    assert f"others could replace a spool in {above}" in done.stderr
    assert not (above / "spool").exists()


@pytest.mark.root
def test_a_directory_of_another_user_is_refused(tmp_path):
    """Its owner could rename the spool, whatever its mode is."""
    above = tmp_path / "above"
    above.mkdir(mode=0o755)
    os.chown(above, 65534, 65534)
    with pytest.raises(SpoolError, match="user 65534 owns"):
        SpoolDirectory(str(above / "spool")).create()


@pytest.mark.root
def test_workers_of_another_user_can_pass_through():
    """And find the spools: the directory above is opened for looking, and for nothing else."""
    with fresh_directory(worker_uid=65534) as directory:
        assert Path(directory.path).parent.stat().st_mode & 0o7777 == 0o755


def test_a_spool_in_a_directory_that_is_not_there_says_so(python, spool):
    """Not that the spool needs room."""
    done = python(
        "import queuelog, sys; queuelog.start(spool=sys.argv[1])", f"{spool}/none/here", check=False
    )
    assert "the directory that it is in must exist" in done.stderr
