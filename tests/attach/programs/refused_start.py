"""Programs of test_refused_start.py."""

import gc
import logging
import logging.config
import logging.handlers
import os
import sys

import inside
from prelude import SPOOL, add, add_log, descriptors, raises, root, run, start

import queuelog


def a_start_that_fails_leaves_everything_as_it_was():
    one = add(logging.FileHandler("app.log"))
    two = add(logging.FileHandler("two.log", delay=True, encoding="no-such"))
    with raises(queuelog.ConfigurationError, "no-such"):
        start()
    assert root.handlers == [one, two]
    root.removeHandler(two)
    root.info("x")
    run(lambda: root.info("y"))


def a_start_that_is_refused_for_a_handler_keeps_its_name():
    bad = add(logging.FileHandler("app.log", delay=True, encoding="no-such"))
    bad.set_name("bad")
    with raises(queuelog.ConfigurationError):
        start()
    assert logging._handlers.get("bad") is bad
    bad.encoding = "utf-8"
    root.info("x")
    start()


def own_the_file():
    file = inside.file_sink(logging.handlers.RotatingFileHandler("app.log", maxBytes=1 << 20))
    file.claim()
    print("up", flush=True)
    sys.stdin.readline()
    file.close()


class Mail(logging.Handler):
    def emit(self, record):
        print("mail", record.getMessage())


def a_start_that_is_refused_for_a_file_leaves_the_tree_as_it_was():
    file = add_log()
    file.set_name("main")
    file.addFilter(lambda _: True)
    other = logging.FileHandler("other.log")
    memory = logging.handlers.MemoryHandler(9, target=other)
    root.addHandler(memory)
    mail = Mail()
    mail.set_name("mail")
    mail.addFilter(lambda _: True)
    root.addHandler(mail)
    before = descriptors()
    try:
        start(own=["mail"])
    except queuelog.FileInUseError as error:
        print(error.owner)
    else:
        raise AssertionError
    assert root.handlers == [file, memory, mail]
    assert memory.target is other
    assert [len(handler.filters) for handler in (file, mail)] == [1, 1]
    assert logging._handlers["main"] is file
    assert logging._handlers["mail"] is mail
    assert logging.config.dictConfigClass is logging.config.DictConfigurator
    assert descriptors() <= before
    root.error("goes on")


class Refused(logging.FileHandler):
    """Logs while it is looked at, as another thread might, and cannot work."""

    @property
    def encoding(self):
        root.info("meanwhile")
        return "no-such"

    @encoding.setter
    def encoding(self, value):
        pass


def what_is_logged_while_a_start_fails_is_written():
    add_log()
    add(Refused("other.log", delay=True), logger=logging.getLogger("other"))
    with raises(queuelog.ConfigurationError, "no-such"):
        start()
    assert not os.listdir(SPOOL)


def what_is_logged_while_a_file_is_refused_is_written_once():
    add(logging.FileHandler("free.log", delay=True))
    other = logging.getLogger("other")
    said = []

    class Taken(logging.FileHandler):
        """Logs when it is looked at, as another thread might."""

        @property
        def encoding(self):
            if not said:
                said.append(root.info("meanwhile"))
            return "utf-8"

        @encoding.setter
        def encoding(self, value):
            pass

    file = Taken("app.log", delay=True)
    before = descriptors()
    other.addHandler(file)
    with raises(queuelog.FileInUseError):
        start()
    assert descriptors() <= before
    assert not os.listdir(SPOOL)
    other.removeHandler(file)
    start()
    root.info("later")
    queuelog.stop()


def a_setup_that_is_refused_for_a_file_keeps_the_handlers_name():
    start()
    file = add_log()
    file.set_name("main")
    with raises(queuelog.FileInUseError):
        queuelog.setup()
    assert root.handlers == [file]
    assert type(root.handlers[0]) is logging.FileHandler
    gc.collect()
    assert logging._handlers.get("main") is file


def a_start_without_a_spool_leaves_nothing_open():
    before = os.listdir("/proc/self/fd")
    with raises(queuelog.SpoolError, "/proc/nowhere"):
        queuelog.start(spool="/proc/nowhere")
    assert os.listdir("/proc/self/fd") == before
