"""Programs of test_forks.py."""

import logging.handlers
import os
import resource
import select
import shutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress

import inside
from disks import fill
from prelude import (
    ARGUMENTS,
    SPOOL,
    add_log,
    become,
    content,
    in_child,
    in_worker,
    logger_of,
    root,
    start,
)
from waiting import wait_for

import queuelog


def stall_the_listener():
    """Start, and let the listener stand still in a handler; return the event that lets it go on."""
    began, disk = threading.Event(), threading.Event()

    class Stalled(logging.Handler):
        def emit(self, record):
            began.set()
            disk.wait()

    handler = Stalled()
    handler.set_name("stalled")
    load = logging.getLogger("load")
    load.addHandler(handler)
    start(own=["stalled"])
    load.error("first")
    began.wait()
    return disk


def a_fork_waits_for_a_stalled_disk_once():
    disk = stall_the_listener()
    inside.waits_for_a_stalled_disk(0.1)
    in_child(lambda: None)
    inside.waits_for_a_stalled_disk(1e6)
    in_child(lambda: None)
    in_child(lambda: None)
    disk.set()  # and now it is waited for again
    logging.getLogger("load").error("second")
    in_child(lambda: None)
    queuelog.stop()


def a_rotator_may_fork():
    def rotate(source, dest):
        child = os.fork()
        if child == 0:
            how = ARGUMENTS[0]
            if how == "exits":
                os._exit(0)
            if how == "ends":
                sys.exit()
            if how == "fails":
                raise RuntimeError("in the child")
            return
        assert os.waitpid(child, 0)[1] == 0
        os.rename(source, dest)

    sized = logger_of("sized.log", logging.handlers.RotatingFileHandler, maxBytes=25, backupCount=9)
    sized.handlers[0].rotator = rotate
    start()
    inside.waits_for_a_stalled_disk(1e6)
    for number in range(10):
        sized.info("%09d", number)
        wait_for(lambda n=number: f"{n:09d}" in content("sized.log"), "the line is written")
    queuelog.stop()


def the_listener_pauses_until_the_last_of_several_forks_is_over():
    waits, goes_on = threading.Event(), threading.Event()

    def wait_in_the_fork():
        if threading.current_thread() is other:
            waits.set()
            goes_on.wait()

    os.register_at_fork(before=wait_in_the_fork)  # the hooks before a fork come in reverse order
    other = threading.Thread(target=in_child, args=[lambda: None])
    add_log()
    start()
    root.info("before")
    wait_for(lambda: content("app.log"), "the first line")
    other.start()
    waits.wait()
    in_child(lambda: None)
    assert len(os.listdir("/proc/self/task")) == 2  # the other thread and this one
    goes_on.set()
    other.join()
    root.info("after")
    wait_for(lambda: "after" in content("app.log"), "the line after the forks")
    queuelog.stop()


def a_thread_that_was_paused_stays_ended_while_stop_writes():
    add_log()
    start()
    listener, threads = inside.listener(), []
    listener.pause()
    drain = listener.drain

    def drain_after_the_pause(timeout):
        listener.resume()
        threads.extend(os.listdir("/proc/self/task"))
        return drain(timeout)

    listener.drain = drain_after_the_pause
    queuelog.stop()
    assert threads == [str(os.getpid())]


def an_interrupted_reload_keeps_the_listener_from_nothing():
    def interrupt(timeout):
        del listener.stop
        assert listener.stop(timeout)
        raise KeyboardInterrupt

    add_log()
    start()
    listener = inside.listener()
    listener.stop = interrupt
    with suppress(KeyboardInterrupt):
        queuelog.setup()
    root.info("after")
    wait_for(lambda: "after" in content("app.log"), "the line after the reload")
    queuelog.stop()


def what_is_configured_while_a_disk_is_stalled_is_taken_over_later():
    disk = stall_the_listener()
    inside.waits_for_a_stalled_disk(0.1)
    add_log()
    queuelog.setup()
    assert inside.sinks() == 1
    in_child(lambda: root.info("of a worker"))
    root.info("of the arbiter")
    disk.set()
    wait_for(lambda: "arbiter" in content("app.log"), "the lines")
    assert inside.sinks() == 2
    queuelog.stop()


def a_child_goes_on_whatever_write_of_its_parent_stalls():
    reader, writer = os.pipe()

    class Stalled(logging.FileHandler):
        def _open(self):
            return open(writer, "w", closefd=False)

        def emit(self, record):
            super().emit(record)

    load = logger_of("own.log", Stalled)
    start()
    inside.waits_for_a_stalled_disk(0.1)
    load.info("x" * 200_000)
    wait_for(lambda: not select.select([], [writer], [], 0)[1], "the pipe is full")
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        wait_for(lambda: os.waitpid(child, os.WNOHANG)[0], "the child ends", deadline=10)
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        threading.Thread(target=lambda: [*iter(lambda: os.read(reader, 65536), b"")]).start()
        queuelog.stop()
        os.close(writer)


@contextmanager
def lines_of_a_user_without_other_processes():
    """Become such a user; yield the path of a log file, and its logger."""
    directory = os.path.dirname(SPOOL)
    user = 100_000 + os.getpid()  # the limit counts what else this user runs
    os.chown(directory, user, user)
    become(user)
    try:
        yield f"{directory}/lines.log", logger_of(f"{directory}/lines.log")
    finally:
        shutil.rmtree(inside.base_directory())


def the_listener_goes_on_at_the_next_fork_where_there_was_no_thread():
    with lines_of_a_user_without_other_processes() as (path, lines):
        start()
        lines.info("before")
        wait_for(lambda: content(path), "the first line")
        resource.setrlimit(resource.RLIMIT_NPROC, (2, 100))
        for limit in (100, 100):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
            os.close(writer)
            os.waitpid(child, 0)
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, 100))
        lines.info("after")
        wait_for(lambda: "after" in content(path), "the line after the forks")
        queuelog.stop()


def a_start_where_there_is_no_thread_left_goes_on_at_the_next_fork():
    with lines_of_a_user_without_other_processes() as (path, lines):
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 100))
        start()
        lines.info("kept")
        resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
        in_child(lambda: None)
        wait_for(lambda: content(path), "the line")
        queuelog.stop()


def a_fork_while_other_threads_log():
    over, sent = threading.Event(), [0] * 3

    def log(number):
        while not over.is_set():
            root.info("%d %d", number, sent[number])
            sent[number] += 1

    add_log()
    start()
    threads = [threading.Thread(target=log, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for child in range(20):
        in_worker(lambda n=child: [root.info("child %d %d", n, i) for i in range(10)])
    over.set()
    for thread in threads:
        thread.join()
    print(sent)


def a_child_that_inherits_what_a_full_disk_has_not_taken_is_a_worker():
    class WritesItself(logging.FileHandler):
        def emit(self, record):
            super().emit(record)

    load = logger_of("own.log", WritesItself)
    start()
    load.info("before")
    wait_for(lambda: content("own.log"), "the first line")
    fill("filler")
    for _ in range(8):
        load.info("x" * 3000)
    wait_for(inside.lagging, "a line for which there is no room")
    in_worker(lambda: load.info("child"))
    os.unlink("filler")
    queuelog.stop()
