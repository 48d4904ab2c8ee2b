"""Programs of test_received_records.py."""

import copy
import json
import logging
import resource
import threading

import inside
from prelude import ARGUMENTS, add_log, content, root, run, start
from waiting import wait_for

import queuelog


class WritesItself(logging.FileHandler):
    def emit(self, record):
        super().emit(record)


class Named(logging.Handler):
    def emit(self, record):
        with open("app.log", "a") as file:
            print(self.format(record), file=file)


def what_a_worker_sends_is_not_merged_in_the_arbiter():
    if ARGUMENTS[0] == "line":
        handler = add_log()
    else:
        handler = WritesItself("app.log") if ARGUMENTS[0] == "emit" else Named()
        handler.set_name("named")
        root.addHandler(handler)
    start(own=["named"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attributes = {"msg": "%(a)200000000d", "args": {"a": 1}}
    for message in (attributes["msg"], None):
        inside.put_record(handler, attributes, message)
        inside.put_record(handler, {"msg": "%(a)s" * 10_000, "args": {"a": "x" * 10_000}}, message)
    queuelog.stop()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)


def a_changed_record_is_formatted_anew():
    class Changing(logging.FileHandler):
        def emit(self, record):
            if record.msg == "x %d":
                record.msg = f"> {record.msg}"
            elif record.msg == "y":
                record = copy.copy(record)
                record.msg = "copied y"
            elif isinstance(record.args, dict):
                record.args["password"] = "***"
            elif record.msg == "z %s":
                record.args = ("***",)
            else:
                record.msg["host"] = "here"
            super().emit(record)

    root.addHandler(Changing("app.log"))

    def log():
        root.info("x %d", 1)
        root.info("y")
        root.info("%s", {"password": "secret"})
        root.info("z %s", "secret")
        root.info({"event": "in"})

    run(log)


def a_handler_is_itself_for_whoever_else_calls_it():
    class Strict(Named):
        def format(self, record):
            if record.msg == "unformatted":
                raise ValueError("own format")
            return super().format(record)

        def emit(self, record):
            try:
                super().emit(record)
            except ValueError:
                self.handleError(record)

    strict = Strict()
    strict.set_name("strict")
    strict.addFilter(lambda record: record.msg != "secret")
    root.addHandler(strict)
    start(own="strict")
    root.info("through queuelog")
    root.info("secret")
    wait_for(lambda: content("app.log"), "the first line")
    for text in ("secret", "unformatted", "directly"):
        strict.handle(logging.makeLogRecord({"msg": text}))
    queuelog.stop()
    assert vars(strict).keys().isdisjoint({"filter", "format", "handleError"})


def a_handler_hung_on_a_second_logger_keeps_its_filters():
    class Slow(Named):
        begun, go_on = threading.Event(), threading.Event()

        def emit(self, record):
            self.begun.set()
            self.go_on.wait(30)
            super().emit(record)

    inside.waits_for_a_stalled_disk(0.01)
    slow, second = Slow(), logging.getLogger("second")
    second.propagate = False
    slow.set_name("slow")
    slow.addFilter(lambda record: "secret" not in record.msg)
    root.addHandler(slow)
    start(own="slow")
    root.info("first")
    assert slow.begun.wait(30)
    second.addHandler(slow)
    queuelog.setup()
    second.warning("secret")
    second.warning("second")
    slow.go_on.set()
    queuelog.stop()


def attributes_have_the_names_that_the_application_gave_them():
    class Mine(logging.FileHandler):
        def emit(self, record):
            self.stream.write(f"{record.sent} {record.is_unchanged}\n")

    root.addHandler(Mine("app.log"))
    run(lambda: root.info("x", extra={"sent": 5, "is_unchanged": "yes"}))


def a_record_of_no_time_keeps_no_other_from_its_handler():
    class Mine(logging.Handler):
        def emit(self, record):
            try:
                with open("app.log", "a") as file:
                    print(self.format(record), file=file)
            except Exception:
                self.handleError(record)

    handler = Mine()
    handler.set_name("named")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y"))
    root.addHandler(handler)
    start(own=["named"])
    inside.put_record(handler, {"msg": "of no time", "created": json.loads(ARGUMENTS[0])}, None)
    queuelog.stop()
