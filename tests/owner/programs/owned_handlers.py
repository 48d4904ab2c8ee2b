"""Programs of test_owned_handlers.py."""

import asyncio
import json
import logging.handlers
import os
import socket
import socketserver
import threading
from types import MappingProxyType

import inside
from prelude import SPOOL, add, content, in_child, let_others_pass, logger_of, root, run, start
from spools import the_spool
from waiting import wait_for

import queuelog


def named(name, handler, fmt="%(message)s", logger=root):
    """Give a logger a handler that `own` can name."""
    handler.set_name(name)
    return add(handler, fmt, logger)


def a_handler_owned_by_name_gets_the_record_in_the_arbiter():
    arbiter = os.getpid()

    class Mail(logging.Handler):
        def emit(self, record):
            found = [
                os.getpid() == arbiter, record.getMessage(), record.exc_text, record.extra,
                record.number,
            ]  # fmt: skip
            with open("app.log", "a") as file:
                print(json.dumps(found), file=file)

    class Odd:
        def __str__(self):
            raise RuntimeError("unprintable")

    def log():
        try:
            raise ValueError("no value")
        except ValueError:
            root.exception("%s!", "no", extra={"extra": Odd(), "number": 7})

    named("mail", Mail())
    run(log, own=["mail"])


def an_owned_handler_is_asked_again_when_its_server_was_away():
    class Http(logging.Handler):
        failures = 2

        def emit(self, record):
            try:
                if record.msg == "bad":
                    raise ValueError("not for me")
                if record.msg == "two" and self.failures:
                    self.failures -= 1
                    raise ConnectionError("away")
                with open("app.log", "a") as file:
                    print(record.msg, file=file, flush=True)
            except Exception:
                self.handleError(record)

    logger = logging.getLogger("app")
    handler = named("http", Http(), logger=logger)

    def log():
        for text in ("one", "two", "bad", "three"):
            logger.info(text)
        wait_for(lambda: "three" in content("app.log"), "the last record")

    run(log, own="http")
    assert "handleError" not in vars(handler)


def whatever_an_owned_handler_raises_is_a_failure_of_its_own():
    class Odd(logging.Handler):
        errors = (SystemExit, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)
        raised = ()

        def emit(self, record):
            if len(self.raised) < len(self.errors):
                self.raised = self.errors[: len(self.raised) + 1]
                raise self.raised[-1]
            with open("odd.log", "a") as file:
                print(record.getMessage(), file=file)

    logger = logger_of("app.log")
    odd = named("odd", Odd(), logger=logger)
    start(own=["odd"])
    for number in range(5):
        logger.error("%d", number)
        wait_for(lambda n=number: f"{n}\n" in content("app.log"), f"line {number}")
    wait_for(lambda: "4" in content("odd.log"), "the last record")
    assert odd.raised == odd.errors
    queuelog.stop()


def an_owned_handler_on_two_loggers_is_asked_again():
    class Mail(logging.Handler):
        away, asked = True, threading.Event()

        def emit(self, record):
            try:
                self.asked.set()
                if self.away:
                    raise ConnectionError("away")
                with open("app.log", "a") as file:
                    print(record.msg, file=file)
            except Exception:
                self.handleError(record)

    one, two = map(logging.getLogger, ("one", "two"))
    mail = named("mail", Mail(), logger=one)
    start(own=["mail"])
    two.addHandler(mail)
    queuelog.setup()
    one.error("kept")
    assert mail.asked.wait(30)
    mail.away = False
    queuelog.stop()


def a_record_that_an_owned_handler_cannot_get_is_said_as_the_stdlib_does():
    class Mail(logging.Handler):
        def emit(self, record):
            with open("app.log", "a") as file:
                print(self.format(record), file=file)

    named("mail", Mail())

    def log():
        root.error("%d", "wrong")
        root.error("right")

    run(log, own=["mail"])


def an_owned_handlers_filters_and_level_work_in_the_worker():
    class Here(logging.Filter):
        def filter(self, record):
            record.pid = os.getpid()
            return record.msg != "no"

    class Mail(logging.Handler):
        def emit(self, record):
            with open("app.log", "a") as file:
                print(self.format(record), file=file)

    mail = named("mail", Mail("ERROR"), "%(message)s %(pid)d")
    mail.addFilter(Here())

    def log():
        print(os.getpid(), flush=True)
        root.info("low")
        root.error("no")
        root.error("yes")

    run(log, own=["mail"])
    assert len(mail.filters) == 1


def records_cross_as_plain_values():
    class Show(logging.Handler):
        def emit(self, record):
            found = [record.msg, record.args, record.getMessage(), record.extra, record.process]
            with open("app.log", "a") as file:
                print(*map(repr, found), sep="; ", file=file)

    class App:
        def __str__(self):
            return "an app"

    def log():
        print(os.getpid(), flush=True)
        extra = {"extra": [1, {"a": None}, (2.5, True), MappingProxyType({"b": App()})]}
        root.info("%s %d", App(), 7, extra=extra)
        root.info("%(a)03d", {"a": 7, "b": {"c": 1}}, extra=extra)
        root.info({"event": "é", "n": 1}, extra=extra)
        root.info("100 %s", extra=extra)
        root.info("%*d", 5000, 7, extra=extra)

    named("show", Show())
    run(log, own=["show"])


def an_extra_that_contains_itself_does_not_cost_the_record():
    class Show(logging.Handler):
        def emit(self, record):
            with open("app.log", "w") as file:
                file.write(f"{record.msg} {record.loop}")

    named("show", Show())
    loop = {}
    loop["loop"] = loop
    run(lambda: root.info("kept", extra={"loop": loop}), own=["show"])


def a_record_that_is_too_long_for_its_server_holds_nothing_up():
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind("log")
    server.settimeout(30)
    named("syslog", logging.handlers.SysLogHandler(os.path.abspath("log")))
    start(own=["syslog"])
    root.warning("too long" * 1_000_000)
    root.warning("next")
    print(server.recv(1000).rstrip(b"\0").decode())
    queuelog.stop()


class Mail(socketserver.StreamRequestHandler):
    """A mail server that refuses some mails, and says which."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            if not line.startswith(b"data"):
                self.wfile.write(b"250 yes\r\n")
                continue
            self.wfile.write(b"354 go on\r\n")
            text = b"".join(iter(self.rfile.readline, b".\r\n"))
            wanted = b"refuse me" not in text
            print("accepted" if wanted else "refused", flush=True)
            self.wfile.write(b"250 yes\r\n" if wanted else b"554 no\r\n")


def a_mail_that_its_server_refuses_holds_nothing_up():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = server.server_address
    named("mail", logging.handlers.SMTPHandler(address, "a@example.com", "b@example.com", "x"))
    start(own=["mail"])
    root.error("refuse me")
    root.error("take me")
    queuelog.stop()


def a_handler_that_a_stranger_invents_keeps_nothing_in_the_spool():
    stranger = 54321
    let_others_pass()
    logger_of("lines.log")
    start(user=stranger)

    incoming = the_spool(SPOOL).incoming(stranger)

    def forge():
        os.setuid(stranger)
        with open(f"{incoming}/1-1-1", "wb") as file:
            file.write(inside.forged_record())

    in_child(forge)
    wait_for(lambda: not os.listdir(incoming), "the forged segment is removed")
    queuelog.stop()
