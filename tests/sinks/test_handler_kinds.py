"""The handlers that users have today: each writes under one owner what it would write alone."""

import pytest


@pytest.mark.parametrize(
    "kind", ["FileHandler", "WatchedFileHandler", "size", "midnight", "delay", "subclass"]
)
def test_worker_and_arbiter_write_into_one_file(program, log, kind):
    """Both processes' lines are there, in order, also those after stop()."""
    program(kind)
    assert log.read_bytes() == b"INFO before\nINFO worker\nINFO after\n"


def test_mode_w_empties_the_file_once(program, log, tmp_path):
    """What is logged before, under and after queuelog stays; what was there before does not.

    Nor does it empty the file again when that was closed for a while, as nobody wrote to it.
    """
    log.write_text("old\n")
    (tmp_path / "late.log").write_text("old\n")
    program()
    lines = b"INFO worker\nINFO reopened\nINFO after\n"
    assert log.read_bytes() == b"INFO before\n" + lines
    assert (tmp_path / "late.log").read_bytes() == lines


@pytest.mark.parametrize("kind", ["small", "seconds", "WatchedFileHandler"])
def test_after_stop_the_handler_is_what_it_was(program, tmp_path, kind):
    """It rolls over by itself again, and can be closed; nothing is lost on the way."""
    program(kind)
    paths = [*tmp_path.glob("app.log*")]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    assert sorted(lines) == [f"after {number:02d}" for number in range(9)] + ["worker 00"]
    if kind == "small":
        assert all(path.stat().st_size <= 30 for path in paths)


@pytest.mark.parametrize("kind", ["FileHandler", "WatchedFileHandler", "own emit"])
def test_a_moved_file_is_left_alone(program, log, tmp_path, kind):
    """Nobody else could reopen it: Gunicorn's SIGUSR1 does not reach the handler any more."""
    program(kind)
    assert log.read_bytes() == b"2\n"
    assert (tmp_path / "moved.log").read_bytes() == b"1\n"


SUBCLASSES = {
    "emit": b"True one\nTrue two\n",
    "format": b"mine one\nmine two\n",
    "_open": b"opened\none\ntwo\n",
    "shouldRollover": b"two\n",
    "doRollover": b"header\ntwo\n",
    "filter": b"one\n",
    "handle": b"one\n",
    "flush": b"one\nflushed\ntwo\nflushed\nflushed\n",  # the last time at the exit
    "handleError": b"False one ValueError('one')\nFalse two ValueError('two')\n",
    "handleError and emit": b"True one ValueError('one')\nTrue two ValueError('two')\n",
}


@pytest.mark.parametrize("method", SUBCLASSES)
def test_a_subclass_keeps_its_own_ways(program, log, method):
    """What a user overrides is called, in the worker or in the arbiter, wherever it belongs."""
    program(method)
    assert log.read_bytes() == SUBCLASSES[method]


@pytest.mark.parametrize("method", ["computeRollover", "when"])
def test_a_timed_subclass_may_have_periods_of_its_own(program, log, method):
    """The standard library's names for periods are not the only ones."""
    program(method)
    assert log.read_bytes() == b"x\n"
