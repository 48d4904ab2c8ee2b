"""Programs of test_changed_handlers.py."""

import logging
import os

from prelude import add, held, root, run

import queuelog


def loggers_are_made_while_handlers_are_taken_over():
    class Logger(logging.Logger):
        made = 0

        @property
        def handlers(self):
            Logger.made += 1
            logging.getLogger(f"made.{Logger.made}")
            return vars(self)["handlers"]

        @handlers.setter
        def handlers(self, new):
            vars(self)["handlers"] = new

    def log():
        busy = Logger("busy")
        logging.root.manager.loggerDict["busy"] = busy
        busy.addHandler(logging.FileHandler("busy.log"))
        queuelog.setup()
        assert Logger.made > 1
        assert not held()
        root.info("done")

    add(logging.FileHandler("app.log"))
    run(log)


def handlers_are_removed_while_others_are_taken_over():
    first = logging.NullHandler()

    class Remover(logging.NullHandler):
        target = property(lambda _: root.removeHandler(first))

    def log():
        for handler in (first, Remover(), logging.FileHandler("b.log")):
            root.addHandler(handler)
        queuelog.setup()
        assert first not in root.handlers
        assert not held()
        root.info("done")

    add(logging.FileHandler("app.log"))
    run(log)


def an_application_can_remove_the_handler_that_it_made():
    def log():
        for number in range(3):
            job = add(logging.FileHandler("app.log"), f"{number} %(message)s")
            queuelog.setup()
            assert job in root.handlers
            root.addHandler(job)
            root.info("in")
            root.removeHandler(job)
            job.close()
            root.info("out")
        assert root.handlers == []
        assert not held()

    run(log)


def an_application_can_change_the_handler_that_it_made():
    file = add(logging.FileHandler("app.log"))

    def log():
        file.setLevel("ERROR")
        root.warning("-")
        root.error("1")
        file.setFormatter(logging.Formatter("new %(message)s"))
        root.error("2")
        file.addFilter(lambda record: record.msg != "-")
        root.error("-")
        (new,) = root.handlers
        new.setLevel("INFO")
        root.info("3")
        assert (file.level, new) == (logging.INFO, file)
        new.setFormatter(None)
        root.info("4")
        file.close()
        root.info("5")
        assert not held()

    run(log)


def what_is_set_on_the_handler_later_counts():
    add(logging.FileHandler("app.log"))

    def log():
        (handler,) = root.handlers
        handler.setFormatter(logging.Formatter("later %(message)s"))
        handler.setLevel("ERROR")
        handler.addFilter(lambda record: "no" not in record.msg)
        root.info("x")
        root.error("no")
        root.error("yes")

    run(log)


def a_method_that_was_replaced_at_the_handler_itself_runs_in_the_owner():
    file = add(logging.FileHandler("app.log"), "%(process)d %(message)s")
    emit = file.emit

    def patched(record):
        record.msg = f"{os.getpid()} {record.msg}"
        emit(record)

    file.emit = patched

    def log():
        root.info("in")
        assert not held()

    run(log)


class Own(logging.FileHandler):
    def emit(self, record):
        super().emit(record)


def a_handler_of_the_owner_is_whole_in_a_worker_that_uses_it_again():
    file = add(Own("app.log"))
    file.addFilter(lambda record: record.msg != "no")

    def log():
        logging.raiseExceptions = False
        other = logging.getLogger("other")
        other.propagate = False
        other.addHandler(file)
        queuelog.setup()
        other.info("%d", "bad")
        other.info("no")
        other.info("in")
        root.info("no")
        root.info("in")
        assert not held()

    root.removeHandler(file)
    root.addHandler(file)
    run(log)
