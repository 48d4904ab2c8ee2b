"""Programs of test_forks.py."""

import logging
import os
import resource
import shutil
import threading

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


def the_listener_goes_on_at_the_next_fork_where_there_was_no_thread():
    directory = os.path.dirname(SPOOL)
    user = 100_000 + os.getpid()  # the limit counts what else this user runs
    os.chown(directory, user, user)
    become(user)
    lines = logger_of(f"{directory}/lines.log")
    start()
    lines.info("before")
    wait_for(lambda: content(f"{directory}/lines.log"), "the first line")
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
    wait_for(lambda: "after" in content(f"{directory}/lines.log"), "the line after the forks")
    queuelog.stop()
    shutil.rmtree(inside.base_directory())


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
