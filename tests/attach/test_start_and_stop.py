"""start(), setup() and stop(): their order, who may call them, and what is left afterwards."""

import json
from collections import Counter

import pytest


def test_setup_without_start_says_what_to_do(program):
    """In a program of one's own, and in another way where Gunicorn is at work."""
    program()


@pytest.mark.parametrize("options", [{}, {"full": "drop"}, {"own": "mail"}])
def test_a_second_start_may_leave_options_out(program, log, options):
    """It takes over what was configured meanwhile, with the options of the first."""
    program(json.dumps(options))
    assert log.read_text() == "taken over\n"


def test_a_second_start_cannot_change_options(program, log):
    """It says which, and what it has; nothing has changed then."""
    program()
    assert log.read_text() == "goes on\n"


def test_every_call_may_be_repeated(program, log):
    """start, setup and stop are idempotent, and start works again after stop."""
    program()
    assert log.read_text() == "x\nx\n"


def test_start_in_a_worker_takes_over_what_it_has_configured(program, log):
    """A module that calls it may be imported before a fork or after it; the files have an owner."""
    program()
    assert (log.parent / "late.log").read_text() == "x\n"


def test_stop_refuses_to_run_in_a_worker(program):
    """It says who may."""
    program()


def test_the_interpreters_exit_writes_everything(program, log):
    """A plain program needs no stop()."""
    program()
    assert log.read_text().splitlines() == [str(number) for number in range(1000)]


def test_an_exception_and_exit_hooks_lose_nothing(program, log):
    """Those that were registered before start() run after stop(), the others before."""
    done = program(check=False)
    assert done.returncode == 3, done.stderr
    assert log.read_text().splitlines() == ["x", "later hook", "earlier hook"]


def test_after_stop_a_configuration_is_nobodys_business(program, log):
    """The hook into dictConfig is out again, and so are those into a fork."""
    program()
    assert log.read_text() == "x\n"


def test_every_start_hooks_into_configurations(program, log):
    """Also if an application has put a class of its own in the place of ours meanwhile."""
    program()
    assert log.read_text() == "0\n1\n2\n"


def test_threads_may_log_while_it_starts_and_stops(program, log):
    """Every line is written once, whatever handler a thread has just in its hand."""
    done = program()
    expected = Counter(
        f"{n} {i}" for n, count in enumerate(json.loads(done.stdout)) for i in range(count)
    )
    found = Counter(log.read_text().splitlines())
    assert (expected - found, found - expected) == (Counter(), Counter())
    assert "Logging error" not in done.stderr


def test_children_of_every_kind_need_no_setup(program, log):
    """A plain program forks by itself, or by multiprocessing, and its children fork again."""
    program()
    lines = sorted(log.read_text().splitlines())
    assert lines == ["child", "exits", "grandchild", "mp", "parent"]


def test_a_child_outlives_its_parent(program, log):
    """What it logs after stop() waits for the next start."""
    program()
    assert log.read_text() == "parent\n"
    program(name="start_again")
    assert log.read_text() == "parent\norphan\n"


def test_a_stop_that_is_interrupted_keeps_no_lock(program, log):
    """After a Ctrl-C the same process may start again, or another one: it is the owner then."""
    program()
    assert log.read_text() == "after\n"


def test_a_process_that_is_forked_while_it_stops_keeps_no_lock(program, log):
    """Another thread of the arbiter starts one, which may live for days."""
    program(options=["-W", "ignore:.*multi-threaded:DeprecationWarning"])
    assert log.read_text() == "after\n"


def test_a_start_that_cannot_hook_into_configurations_leaves_no_owner(program, log):
    """Somebody has made a function of what is a class: it works all the same, or not at all."""
    program()
    assert log.read_text() == "x\n"
