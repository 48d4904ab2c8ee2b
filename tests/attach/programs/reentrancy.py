"""Programs of test_reentrancy.py: each is an arbiter that logs."""

import atexit
import gc
import itertools
import os
import signal
import sys
import threading
import weakref

import inside
from prelude import ARGUMENTS, add_log, start
from prelude import root as log

import queuelog


def together(work, threads):
    """Call `work` with its number in so many threads; return a function that waits for them."""
    made = [threading.Thread(target=work, args=[number]) for number in range(threads)]
    for thread in made:
        thread.start()
    return lambda: [thread.join() for thread in made]


def begin():
    """Start; return the handler that stands for the file."""
    add_log()
    start()
    return log.handlers[0]


def a_record_that_logs_while_it_is_formatted():
    class Chatty:
        def __str__(self):
            log.info("inner")
            return "outer"

    begin()
    log.info("%s", Chatty())
    queuelog.stop()


ERRORS = {
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "MemoryError": MemoryError(),
}


def a_record_that_raises_costs_itself_only():
    class Bad:
        def __str__(self):
            raise ERRORS[ARGUMENTS[0]]

    begin()
    try:
        log.info("%s", Bad())
    except BaseException as error:
        log.info("raised %s", type(error).__name__)
    log.info("after")
    queuelog.stop()


def a_record_that_needs_a_lock_of_another_thread_that_logs():
    lock = threading.Lock()

    class Locking:
        def __str__(self):
            with lock:
                return "locking"

    def other(_):
        for number in range(1000):
            with lock:
                log.info("other %d", number)

    begin()
    join = together(other, 1)
    for number in range(1000):
        log.info("%s %d", Locking(), number)
    join()
    queuelog.stop()


def huge_records_arrive_whole():
    begin()
    for number in range(5):
        log.info("%d %s", number, "x" * 2_000_000)
    log.info("9 %s", "y" * 20_000_000)
    log.info("short")
    queuelog.stop()


def sixty_four_threads_log_at_once():
    def work(thread):
        for number in range(200):
            log.info("%d %d", thread, number)

    begin()
    together(work, 64)()
    queuelog.stop()


def a_filter_that_raises_does_what_it_does_without_queuelog():
    def fail(record):
        if record.msg == "bad":
            raise ValueError("filter")
        return True

    begin().addFilter(fail)
    try:
        log.info("bad")
    except ValueError:
        log.info("raised")
    queuelog.stop()


class Logged:
    """In a reference cycle with itself, so that the garbage collector finds it."""

    def __init__(self, number):
        self.number, self.me = number, self

    def __del__(self):
        log.info("del %d", self.number)


def destructors_and_callbacks_may_log():
    begin()
    gc.set_threshold(5)
    kept, called = [], []

    def died(number):
        log.info("ref %d", number)
        called.append(number)

    for number in range(500):
        one = Logged(number)
        kept.append(weakref.ref(one, lambda _, number=number: died(number)))
        log.info("call %d", number)
    del one
    gc.collect()
    gc.set_threshold(700)
    queuelog.stop()
    print(*called)


def lines_of_the_very_end_arrive():
    def late():
        threading.main_thread().join()  # nearly: exit hooks come after that
        log.info("thread")

    begin()
    atexit.register(log.info, "exit hook")
    threading.Thread(target=late).start()
    sys.excepthook = lambda _, error, __: log.info("excepthook %s", error)
    raise RuntimeError("at the end")


def forks_in_signal_handlers_and_threads_lose_nothing():
    count = itertools.count()

    def on_alarm(signum, frame):
        log.info("signal %d", next(count))  # it may be interrupted by itself

    def work(thread):
        for number in range(500):
            log.info("thread %d %d", thread, number)

    begin()
    signal.signal(signal.SIGALRM, on_alarm)
    join = together(work, 4)
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
    join()
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    log.info("signals %d", next(count))
    queuelog.stop()


def a_stop_in_the_middle_of_a_log_call_writes_into_no_other_file():
    others = []

    def stop_and_go_on(signum, frame):
        queuelog.stop()
        flags = os.O_WRONLY | os.O_CREAT
        others.extend(os.open(f"other{number}", flags) for number in range(12))

    begin()
    log.info("before")
    signal.signal(signal.SIGTERM, stop_and_go_on)
    inside.before_the_next_write(lambda: signal.raise_signal(signal.SIGTERM))
    log.info("interrupted")
    assert [os.fstat(other).st_size for other in others] == [0] * 12
    start()
    queuelog.stop()
