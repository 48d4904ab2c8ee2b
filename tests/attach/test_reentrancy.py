"""Log calls where nobody expects them: in each other, in destructors, at the end, in threads."""

import pytest

PRELUDE = """
import atexit, gc, logging, os, sys, threading, time, weakref
import queuelog
log = logging.getLogger()
log.setLevel("INFO")
log.addHandler(logging.FileHandler("a.log"))
queuelog.start(spool=sys.argv[1])
"""


@pytest.fixture
def lines(python, spool, tmp_path):
    """Return a function that runs a program in the arbiter and returns the lines of its log."""

    def run(program, **options):
        python(PRELUDE + program, spool, **options)
        return (tmp_path / "a.log").read_text().splitlines()

    return run


def test_a_record_that_logs_while_it_is_formatted(lines):
    """The inner line comes first: it was written first."""
    program = """
class Chatty:
    def __str__(self):
        log.info("inner")
        return "outer"
log.info("%s", Chatty())
queuelog.stop()
"""
    assert sorted(lines(program)) == ["inner", "outer"]


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt()", "MemoryError()"])
def test_a_record_that_raises_costs_itself_only(lines, error):
    """What is no Exception goes to the caller, as with the standard library."""
    program = f"""
class Bad:
    def __str__(self):
        raise {error}
try:
    log.info("%s", Bad())
except BaseException as error:
    log.info("raised %s", type(error).__name__)
log.info("after")
queuelog.stop()
"""
    found = lines(program)
    assert found[-1] == "after"
    assert len(found) == (1 if "Memory" in error else 2)


def test_a_record_that_needs_a_lock_of_another_thread_that_logs(lines):
    """Two threads that wait for each other by way of a handler's lock would wait for ever."""
    program = """
lock = threading.Lock()
class Locking:
    def __str__(self):
        with lock:
            return "locking"
def other():
    for number in range(1000):
        with lock:
            log.info("other %d", number)
thread = threading.Thread(target=other)
thread.start()
for number in range(1000):
    log.info("%s %d", Locking(), number)
thread.join()
queuelog.stop()
"""
    assert len(lines(program)) == 2000


def test_huge_records_arrive_whole(lines):
    """Of 10 MB, and one of 100 MB, which is longer than a segment and a batch."""
    program = """
for number in range(5):
    log.info("%d %s", number, "x" * 10_000_000)
log.info("9 %s", "y" * 100_000_000)
log.info("short")
queuelog.stop()
"""
    found = lines(program)
    assert [len(line) for line in found] == [10_000_002] * 5 + [100_000_002, 5]


def test_sixty_four_threads_log_at_once(lines):
    """Every line is there once, and whole."""
    program = """
def work(thread):
    for number in range(200):
        log.info("%d %d", thread, number)
threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
queuelog.stop()
"""
    expected = {f"{thread} {number}" for thread in range(64) for number in range(200)}
    found = lines(program)
    assert len(found) == len(expected)
    assert set(found) == expected


def test_a_filter_that_raises_does_what_it_does_without_queuelog(lines):
    """The exception goes to the caller; the next call works."""
    program = """
def fail(record):
    if record.msg == "bad":
        raise ValueError("filter")
    return True
log.handlers[0].addFilter(fail)
try:
    log.info("bad")
except ValueError:
    log.info("raised")
queuelog.stop()
"""
    assert lines(program) == ["raised"]


def test_destructors_and_callbacks_may_log(lines):
    """The garbage collector runs anywhere, also in the middle of a log call."""
    program = """
class Logged:
    def __init__(self, number):
        self.number, self.me = number, self
    def __del__(self):
        log.info("del %d", self.number)
gc.set_threshold(5)
kept = []
for number in range(500):
    one = Logged(number)
    kept.append(weakref.ref(one, lambda ref, number=number: log.info("ref %d", number)))
    log.info("call %d", number)
del one
gc.collect()
gc.set_threshold(700)
queuelog.stop()
"""
    found = lines(program)
    expected = [f"{what} {number}" for what in ("del", "ref", "call") for number in range(500)]
    assert sorted(found) == sorted(expected)


def test_lines_of_the_very_end_arrive(lines):
    """Exit hooks, a thread that outlives the main one, and sys.excepthook."""
    program = """
def late():
    time.sleep(0.2)
    log.info("thread")
atexit.register(log.info, "exit hook")
threading.Thread(target=late).start()
sys.excepthook = lambda *error: log.info("excepthook %s", error[1])
raise RuntimeError("at the end")
"""
    assert set(lines(program, check=False)) == {"thread", "exit hook", "excepthook at the end"}


def test_forks_in_signal_handlers_and_threads_lose_nothing(lines):
    """A thousand signals a second, each logging, while threads log and the program forks."""
    program = """
import itertools, signal
count = itertools.count()
def on_alarm(signum, frame):
    log.info("signal %d", next(count))  # it may be interrupted by itself
def work(thread):
    for number in range(500):
        log.info("thread %d %d", thread, number)
signal.signal(signal.SIGALRM, on_alarm)
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
children = []
for child in range(15):
    pid = os.fork()
    if pid == 0:
        for number in range(20):
            log.info("child %d %d", child, number)
        os._exit(0)
    children.append(pid)
signal.setitimer(signal.ITIMER_REAL, 0)
for thread in threads: thread.join()
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
log.info("signals %d", next(count))
queuelog.stop()
"""
    found = lines(program, options=("-W", "ignore"))
    assert len(found) == len(set(found))
    signals = int(next(line for line in found if line.startswith("signals")).split()[1])
    assert sum(line.startswith("signal ") for line in found) == signals
    assert sum(line.startswith("thread ") for line in found) == 2000
    assert sum(line.startswith("child ") for line in found) == 300
