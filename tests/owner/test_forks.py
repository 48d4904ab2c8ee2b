"""What a fork does to the listener, and for how long it waits for it."""

import json
from collections import Counter

import pytest


def test_a_fork_waits_for_a_stalled_disk_once(program):
    """A reload with many workers would keep the arbiter from its work for as many waits."""
    program(options=["-W", "ignore:.*multi-threaded:DeprecationWarning"])


@pytest.mark.parametrize("child", ["exits", "ends", "fails", "returns"])
def test_a_rotator_may_fork(program, tmp_path, child):
    """The fork does not wait for the thread that it is made in, and its child is no second owner.

    Whatever the child does: only its parent goes on with the batch.
    """
    done = program(child, options=["-W", "ignore:.*multi-threaded:DeprecationWarning"])
    lines = "".join(path.read_text() for path in sorted(tmp_path.glob("sized.log*"), reverse=True))
    assert lines.split() == [f"{number:09d}" for number in range(10)]
    assert child == "fails" or not done.stderr


def test_the_listener_pauses_until_the_last_of_several_forks_is_over(program, log):
    """Two threads fork at once, or one while another one takes handlers over."""
    program(options=["-W", "ignore:.*multi-threaded:DeprecationWarning"])
    assert log.read_text() == "before\nafter\n"


def test_a_thread_that_was_paused_stays_ended_while_stop_writes(program):
    """Another thread was forking, or reloading: two would write the same files now."""
    program()


def test_an_interrupted_reload_keeps_the_listener_from_nothing(program):
    """A signal handler raises while it waits for the thread."""
    program()


def test_what_is_configured_while_a_disk_is_stalled_is_taken_over_later(program, log, tmp_path):
    """The thread uses the sinks still; nobody waits for it, and no line is lost."""
    program(options=["-W", "ignore:.*multi-threaded:DeprecationWarning"])
    assert log.read_text() == "of a worker\nof the arbiter\n"


@pytest.mark.root
def test_the_listener_goes_on_at_the_next_fork_where_there_was_no_thread(program):
    """It must not count as running for ever, where the limit of processes kept it from starting.

    Failures B10f: forks under load.
    """
    assert "can't start new thread" in program().stderr


@pytest.mark.root
def test_a_start_where_there_is_no_thread_left_goes_on_at_the_next_fork(program):
    """As it would later: lines are kept in the spool, and no error leaves it half started."""
    assert "can't start new thread" in program().stderr


def test_a_child_goes_on_whatever_write_of_its_parent_stalls(program):
    """It inherits the file object's lock, which the parent's thread holds in the middle of it."""
    program(options=["-W", "ignore:.*multi-threaded:DeprecationWarning"])


def test_a_fork_while_other_threads_log(program, log):
    """No deadlock in the child, and no line lost, doubled or torn in either."""
    done = program(options=["-W", "ignore::DeprecationWarning"])  # of the program's own threads
    expected = [f"{n} {i}" for n, count in enumerate(json.loads(done.stdout)) for i in range(count)]
    expected += [f"child {n} {i}" for n in range(20) for i in range(10)]
    assert Counter(log.read_text().splitlines()) == Counter(expected)


@pytest.mark.root
def test_a_child_that_inherits_what_a_full_disk_has_not_taken_is_a_worker(program, tmp_path, mount):
    """Its copy of the handler cannot be closed; it is no owner for that, and no line is lost.

    Failures B13: a full disk that has room again.
    """
    mount(tmp_path, "-t", "tmpfs", "-o", "size=256k", "tmpfs")
    assert "No space left on device" in program().stderr
    lines = (tmp_path / "own.log").read_text().split()
    assert (lines[0], lines[-1]) == ("before", "child")
    assert lines.count("x" * 3000) >= 8  # nobody can know how far such a handler was
