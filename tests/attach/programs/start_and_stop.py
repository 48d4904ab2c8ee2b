"""Programs of test_start_and_stop.py."""

import atexit
import importlib
import json
import logging
import logging.config
import multiprocessing
import os
import signal
import sys
import threading

import inside
from prelude import ARGUMENTS, add_log, held, in_child, in_worker, raises, root, start
from waiting import wait_for

import queuelog


def setup_without_start_says_what_to_do():
    with raises(queuelog.NotStartedError, "Call it once, before the program forks"):
        queuelog.setup()
    importlib.import_module("gunicorn.arbiter")
    with raises(queuelog.NotStartedError, "`queuelog.gunicorn.install(globals())`"):
        queuelog.setup()


def a_second_start_may_leave_options_out():
    options = json.loads(ARGUMENTS[0])
    start(**options)
    add_log()
    queuelog.start(**options)
    assert type(root.handlers[0]) is not logging.FileHandler
    root.info("taken over")


def a_second_start_cannot_change_options():
    add_log()
    start(full="drop", own=["mail"])
    queuelog.start(own="mail")
    with raises(queuelog.ConfigurationError, "wait=2.0 (it has 1.0), own=('post',)"):
        queuelog.start(full="drop", wait=2.0, own=["post"])
    root.info("goes on")


def every_call_may_be_repeated():
    add_log()
    queuelog.stop()
    for _ in range(2):
        for _ in range(2):
            start()
            queuelog.setup()

        def log():
            queuelog.setup()
            root.info("x")

        in_worker(log)
        queuelog.stop()
        queuelog.stop()


def start_in_a_worker_takes_over_what_it_has_configured():
    def log():
        logging.getLogger("late").addHandler(logging.FileHandler("late.log"))
        queuelog.start(own=["mail"])
        logging.getLogger("late").info("x")
        assert held() == []

    add_log()
    start()
    in_child(log)
    queuelog.stop()


def stop_refuses_to_run_in_a_worker():
    def call():
        with raises(queuelog.WrongProcessError, str(os.getppid())):
            queuelog.stop()

    add_log()
    start()
    in_worker(call)


def the_interpreters_exit_writes_everything():
    add_log()
    start()
    for number in range(1000):
        root.info("%d", number)


def an_exception_and_exit_hooks_lose_nothing():
    atexit.register(lambda: root.info("earlier hook"))
    add_log()
    start()
    atexit.register(lambda: root.info("later hook"))
    root.info("x")
    raise SystemExit(3)


def every_start_hooks_into_configurations():
    theirs = type("Theirs", (logging.config.DictConfigurator,), {})
    file = {"class": "logging.FileHandler", "filename": "app.log"}
    for number in range(3):
        start()
        logging.config.dictConfig(
            {"version": 1, "handlers": {"f": file}, "root": {"handlers": ["f"], "level": "INFO"}}
        )
        assert type(root.handlers[0]) is not logging.FileHandler, number
        root.info(number)
        logging.config.dictConfigClass = theirs
        queuelog.stop()


def after_stop_a_configuration_is_nobodys_business():
    add_log()
    start()
    assert logging.config.dictConfigClass is not logging.config.DictConfigurator
    queuelog.stop()
    assert logging.config.dictConfigClass is logging.config.DictConfigurator
    assert not inside.takes_part_in_forks()
    file = {"class": "logging.FileHandler", "filename": "app.log"}
    logging.config.dictConfig({"version": 1, "handlers": {"f": file}, "root": {"handlers": ["f"]}})
    assert type(root.handlers[0]) is logging.FileHandler
    root.info("x")


def threads_may_log_while_it_starts_and_stops():
    over, sent = threading.Event(), [0] * 3

    def log(number):
        while not over.is_set():
            root.info("%d %d", number, sent[number])
            sent[number] += 1

    def wait_for_lines():
        goal = sum(sent) + 300
        wait_for(lambda: sum(sent) >= goal, "300 more lines")

    add_log()
    threads = [threading.Thread(target=log, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        wait_for_lines()
        start()
        wait_for_lines()
        queuelog.stop()
    over.set()
    for thread in threads:
        thread.join()
    start()
    queuelog.stop()
    print(sent)


def children_of_every_kind_need_no_setup():
    add_log()
    start()

    def log():
        root.info("child")
        in_child(lambda: root.info("grandchild"))

    in_child(log)
    process = multiprocessing.get_context("fork").Process(target=root.info, args=["mp"])
    process.start()
    process.join()
    assert process.exitcode == 0
    if os.fork() == 0:
        root.info("exits")
        sys.exit(0)
    assert os.wait()[1] == 0
    root.info("parent")


def a_child_outlives_its_parent():
    add_log()
    start()
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(write)
        os.read(read, 1)
        root.info("orphan")
        os._exit(0)
    root.info("parent")
    queuelog.stop()
    os.close(write)
    assert os.wait()[1] == 0


def at_the_stop(function):
    """Start, and let something happen once while stop() writes what is left."""
    left = [function]

    class Calling(logging.Handler):
        def emit(self, record):
            while left:
                left.pop()()

    handler, caller = Calling(), logging.getLogger("caller")
    handler.set_name("calling")
    caller.addHandler(handler)
    caller.propagate = False
    start(own=["calling"])
    inside.listener().pause()
    caller.error("now")


def a_stop_that_is_interrupted_keeps_no_lock():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    add_log()
    at_the_stop(lambda: signal.raise_signal(signal.SIGINT))
    with raises(KeyboardInterrupt):
        queuelog.stop()
    start(own=["calling"])
    root.info("after")
    queuelog.stop()


def a_process_that_is_forked_while_it_stops_keeps_no_lock():
    forked, has_forked = os.pipe()
    ending, end = os.pipe()

    def fork():
        if os.fork() == 0:
            os.close(end)
            os.write(has_forked, b"x")
            os.read(ending, 1)
            os._exit(0)
        os.read(forked, 1)  # by then it has let go of what it shall not hold

    def fork_in_another_thread():
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()

    add_log()
    at_the_stop(fork_in_another_thread)
    queuelog.stop()
    start()
    root.info("after")
    queuelog.stop()
    os.close(end)
    assert os.wait()[1] == 0


def start_again():
    add_log()
    start()


def a_start_that_cannot_hook_into_configurations_leaves_no_owner():
    file = add_log()
    configurator = logging.config.dictConfigClass

    def configurator_of(config):
        return configurator(config)

    logging.config.dictConfigClass = configurator_of
    try:
        start()
    except (TypeError, queuelog.QueuelogError):
        assert not inside.takes_part_in_forks()
        assert root.handlers == [file]
        assert type(root.handlers[0]) is logging.FileHandler
    root.info("x")
    queuelog.stop()
