"""Log calls where nobody expects them: in each other, in destructors, at the end, in threads."""

import pytest


@pytest.fixture
def lines(program, log):
    """Return a function that runs the test's program and returns the lines of its log."""

    def run(*arguments, **options):
        program(*arguments, **options)
        return log.read_text().splitlines()

    return run


def test_a_record_that_logs_while_it_is_formatted(lines):
    """The inner line comes first: it was written first."""
    assert sorted(lines()) == ["inner", "outer"]


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt", "MemoryError"])
def test_a_record_that_raises_costs_itself_only(lines, error):
    """What is no Exception goes to the caller, as with the standard library."""
    found = lines(error)
    assert found[-1] == "after"
    assert len(found) == (1 if "Memory" in error else 2)


def test_a_record_that_needs_a_lock_of_another_thread_that_logs(lines):
    """Two threads that wait for each other by way of a handler's lock would wait for ever."""
    assert len(lines()) == 2000


def test_huge_records_arrive_whole(lines):
    """Each is longer than a segment, and one of them than a batch."""
    found = lines()
    assert [len(line) for line in found] == [2_000_002] * 5 + [20_000_002, 5]


def test_sixty_four_threads_log_at_once(lines):
    """Every line is there once, and whole."""
    expected = {f"{thread} {number}" for thread in range(64) for number in range(200)}
    found = lines()
    assert len(found) == len(expected)
    assert set(found) == expected


def test_a_filter_that_raises_does_what_it_does_without_queuelog(lines):
    """The exception goes to the caller; the next call works."""
    assert lines() == ["raised"]


def test_destructors_and_callbacks_may_log(program, log):
    """The garbage collector runs anywhere, also in the middle of a log call.

    Python leaves out a callback now and then when it runs in two threads: the program prints for
    which ones the log call has returned.
    """
    called = program().stdout.split()
    expected = [f"{what} {number}" for what in ("del", "call") for number in range(500)]
    expected += [f"ref {number}" for number in called]
    assert sorted(log.read_text().splitlines()) == sorted(expected)
    assert len(called) > 100


def test_lines_of_the_very_end_arrive(lines):
    """Exit hooks, a thread that outlives the main one, and sys.excepthook."""
    assert set(lines(check=False)) == {"thread", "exit hook", "excepthook at the end"}


def test_forks_in_signal_handlers_and_threads_lose_nothing(lines):
    """A thousand signals a second, each logging, while threads log and the program forks."""
    found = lines(options=["-W", "ignore"])
    assert len(found) == len(set(found))
    signals = int(next(line for line in found if line.startswith("signals")).split()[1])
    assert sum(line.startswith("signal ") for line in found) == signals
    assert sum(line.startswith("thread ") for line in found) == 2000
    assert sum(line.startswith("child ") for line in found) == 300


def test_a_stop_in_the_middle_of_a_log_call_writes_into_no_other_file(lines):
    """A signal handler stops and opens files: they do not get the number of the segment."""
    assert lines() == ["before", "interrupted"]
