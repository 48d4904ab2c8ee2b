"""Who may do what with the spool, and what is refused in its place."""

import json
import os
import tempfile
import zlib
from pathlib import Path

import inside
import pytest

from queuelog import SpoolError

NOBODY = 65534


@pytest.mark.parametrize("kind", ["link", "file"])
def test_an_unsafe_spool_is_refused(program, spool, tmp_path, kind):
    """Somebody else may have put something where the spool should be."""
    path = Path(spool)
    if kind == "link":
        path.symlink_to(tmp_path)
    else:
        path.touch()
    done = program(name="just_start", check=False)
    assert "SpoolError" in done.stderr
    assert "start(spool=" in done.stderr


@pytest.mark.parametrize("kind", ["link", pytest.param("foreign", marks=pytest.mark.root)])
def test_a_directory_that_is_not_ours_is_left_as_it_was(program, spool, tmp_path, kind):
    """Files in it that have the names of ours may be anybody's.

    Another user's is no error: a command of root's names it to find the server's owner there.
    """
    path = Path(spool) if kind == "foreign" else tmp_path / "other"
    path.mkdir()
    if kind == "foreign":
        os.chown(path, NOBODY, NOBODY)
    else:
        Path(spool).symlink_to(path)
    text = json.dumps({"number": 5, "format": 99}).encode()
    files = {"ledger": b"\n%08x %s\n" % (zlib.crc32(text), text), "lock": b"not ours"}
    for name, data in files.items():
        (path / name).write_bytes(data)
    done = program(name="just_start", check=False)
    assert (done.returncode == 0) == (kind == "foreign")
    assert ("is for another user's spools" if kind == "foreign" else "SpoolError") in done.stderr
    assert {found.name: found.read_bytes() for found in path.iterdir()} == files


def test_a_file_as_parent_of_the_spool_is_refused(program, spool):
    """The message names what is in the way."""
    Path(spool).touch()
    done = program(name="below_the_spool", check=False)
    assert "SpoolError" in done.stderr
    assert spool in done.stderr


@pytest.mark.root
def test_a_stranger_in_the_workers_part_of_the_spool_is_refused(directory):
    """Each user's directory in it belongs to that user."""
    os.chown(directory.incoming(os.geteuid()), NOBODY, NOBODY)
    with pytest.raises(SpoolError, match=f"belongs to user {NOBODY}"):
        inside.spool_directory(directory.path)


def test_the_spool_is_for_its_user_only(program, spool):
    """Log lines hold secrets: nobody else may read them, nor add any."""
    program(check=False)
    assert os.stat(spool).st_mode & 0o777 == 0o700
    paths = [*Path(spool).rglob("*")]
    assert {"lock", "registry", "ledger", "bell"} < {path.name for path in paths}
    for path in paths:
        assert not path.stat().st_mode & 0o077, path


@pytest.mark.root
def test_the_first_start_of_a_user_ever(program):
    """With a spool of his own choice, nothing of ours is there yet."""
    uid = 54321
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:  # where strangers may go
        os.chown(home, uid, uid)
        program(home, uid)
        assert Path(home, "app.log").read_text() == "x\n"


@pytest.mark.root
def test_a_worker_of_another_user_cannot_send_to_the_spool_of_the_arbiter(program):
    """It reaches its own directory only."""
    program()
