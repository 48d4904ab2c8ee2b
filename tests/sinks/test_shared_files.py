"""Several handlers of one file, and files with odd names, or with none."""

import os
from pathlib import Path

import pytest


def test_two_handlers_of_a_file_write_each_their_own_way(program, log, tmp_path):
    """Of two handlers the one that rotates decides; formats and levels stay apart."""
    program()
    backups = sorted(tmp_path.glob("app.log.*"), reverse=True)
    lines = b"".join(path.read_bytes() for path in [*backups, log]).decode().splitlines()
    assert [line for line in lines if line[0] == "o"] == sorted(["one 0", "one 1", "one 2"] * 2)
    assert sorted(lines) == sorted(
        f"{name} {number}" for number in range(3) for name in ("one", "one", "two")
    )
    assert len(backups) == 2


def test_a_plain_and_an_own_handler_of_a_file_keep_their_formats(program, log):
    """The class with an `emit` of its own gets records, the other's lines are ready."""
    program()
    assert sorted(log.read_bytes().splitlines()) == [b"mine INFO x", b"plain INFO x"]


@pytest.mark.parametrize("delay", [False, True])
def test_a_second_handler_of_a_file_works_after_stop_and_empties_nothing(program, log, delay):
    """While queuelog runs it is idle: the other one's descriptor is used."""
    program(delay)
    lines = log.read_bytes().splitlines()
    assert lines == [b"one worker", b"two worker", b"one after", b"two after"]


def test_the_same_file_through_two_paths_is_one_file(program, tmp_path):
    """A link to a directory must not make two owners, who rotate under each other."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    program()
    paths = [*(tmp_path / "real").iterdir()]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{number:03d}" for number in range(50) for _ in range(3))
    assert all(path.stat().st_size <= 100 for path in paths)


def test_a_file_name_that_is_no_utf_8_is_as_good_as_any(program, tmp_path):
    """A path is bytes."""
    program()
    for name in (b"app.\xff.log", b"a b\n%s{}.log"):
        path = os.fsencode(tmp_path) + b"/" + name
        texts = [Path(os.fsdecode(path + end)).read_text() for end in (b".2", b".1", b"")]
        assert texts == ["INFO 0\n", "INFO 1\n", "INFO 2\n"]


def test_a_file_without_a_name_gets_each_line_once(program):
    """Standard output can be a file that was removed: nobody took what was written to it away.

    Failures E3: a file that goes while it is written to.
    """
    assert program().stdout == "once\n"
