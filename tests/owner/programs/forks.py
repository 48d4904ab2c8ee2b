"""Programs of test_forks.py."""

import logging
import os
import resource
import select
import shutil
import signal
import threading
from contextlib import contextmanager

import inside
from disks import fill
from prelude import SPOOL, add_log, become, content, in_child, in_worker, logger_of, root, start
from waiting import wait_for

import queuelog


def a_fork_waits_for_a_stalled_disk_once():
    class Stalled(logging.Handler):
        began, disk = threading.Event(), threading.Event()

        def emit(self, record):
            self.began.set()
            self.disk.wait()

    handler = Stalled()
    handler.set_name("stalled")
    load = logging.getLogger("load")
    load.addHandler(handler)
    start(own=["stalled"])
    load.error("first")
    Stalled.began.wait()
    inside.waits_for_a_stalled_disk(0.1)
    in_child(lambda: None)
    inside.waits_for_a_stalled_disk(1e6)
    in_child(lambda: None)
    in_child(lambda: None)
    Stalled.disk.set()  # and now it is waited for again
    load.error("second")
    in_child(lambda: None)
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
