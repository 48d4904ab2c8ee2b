"""What the arbiter takes over of a worker's handlers. What it does not: test_what_stays.py."""

import os
import sys
from pathlib import Path

import pytest

NOBODY = 65534
INI = (Path(__file__).parent / "confs" / "rotating.ini").read_text()


@pytest.mark.parametrize("how", ["dictConfig", "fileConfig", "basicConfig"])
def test_what_a_worker_configures_is_taken_over(program, tmp_path, how):
    """Failures B9b: the application's own configuration silently removes the bridge."""
    (tmp_path / "log.ini").write_text(INI)
    program(how)
    files = list(tmp_path.glob("app.log*"))
    lines = sorted(line for path in files for line in path.read_text().split())
    assert lines == sorted([f"{number:03d}" for number in range(100)] * 2)
    assert (len(files) > 2) == (how != "basicConfig")


def test_a_handler_that_a_worker_adds_by_itself_is_taken_over_by_setup(program, tmp_path):
    """By code, on a logger of its own, again and again: one file, each line once."""
    program()
    assert (tmp_path / "new.log").read_text() == "".join(f"{number} x\n" for number in range(5))


def test_handlers_added_later_are_taken_over_by_the_next_setup(program, log):
    """Until then the handler works as it does without queuelog: nothing is lost."""
    program()
    assert log.read_text() == "INFO 1\nINFO 2\n"


def test_a_memory_handlers_target_is_taken_over(program, log):
    """The buffer stays in the worker, the file does not."""
    program()
    assert log.read_bytes() == b"kept\nnow\n"


@pytest.mark.parametrize("how", ["hand", "dictConfig"])
def test_files_behind_a_listener_of_the_applications_own_are_taken_over(program, log, how):
    """They hang on no logger: each worker would write and rotate them by itself."""
    if how == "dictConfig" and sys.version_info < (3, 12):
        pytest.skip("dictConfig makes queue listeners from Python 3.12 on")
    program(how)
    assert log.read_text().splitlines() == [f"INFO {number:03d}" for number in range(100)]


def test_names_and_marker_attributes_stay(program):
    """Gunicorn finds its handler by `_gunicorn`, dictConfig by the name."""
    program()


@pytest.mark.root
@pytest.mark.parametrize("uid", [NOBODY, 0], ids=["its own", "root's"])
def test_workers_of_another_user_add_files_only_where_they_may(program, log, spool, uid):
    """A root arbiter opens what its own configuration names; all else as the worker's user."""
    place = Path(spool).parent / "place"  # pytest's own directories are root's alone
    place.mkdir()
    os.chown(place, uid, uid)
    done = program(place)
    assert "to a known file" in log.read_text().splitlines()
    written = {path.name: (path.stat().st_uid, path.read_text()) for path in place.iterdir()}
    assert written == ({"new.log": (NOBODY, "to a new file\n")} if uid else {})
    assert (f"cannot write {place}/new.log: " in done.stderr) == (not uid)


@pytest.mark.root
def test_a_link_of_a_worker_of_another_user_leads_nowhere_else(program, spool):
    """It owns that directory: it must not lead a root arbiter anywhere else."""
    place = Path(spool).parent
    victim = place / "victim"
    victim.write_text("secret\n")
    inside = place / "inside"
    inside.mkdir()
    os.chown(inside, NOBODY, NOBODY)
    (inside / "link.log").symlink_to(victim)
    (inside / "link").symlink_to(place)
    done = program(inside)
    assert victim.read_text() == "secret\n"
    assert "Permission denied" in done.stderr
