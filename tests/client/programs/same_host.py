"""Programs of test_same_host.py."""

import logging
import logging.config
import os
import select
import signal
import sys

import inside
from prelude import (
    ARGUMENTS,
    add,
    add_log,
    content,
    end_as_told,
    in_child,
    in_children,
    raises,
    root,
    start,
)  # fmt: skip
from waiting import wait_for

import queuelog
from queuelog.handlers import ServerHandler

ADDRESS = ARGUMENTS[0] if ARGUMENTS else ""


def serve():
    """Serve until a line comes: ADDRESS, and a file with a secret."""
    add_log()
    start(listen=queuelog.Listen([ADDRESS], secret_file=(ARGUMENTS[1:] or [None])[0]))
    print("serves", flush=True)
    sys.stdin.readline()
    queuelog.stop()


def serve_until_something_is_logged():
    """Serve, and be killed in the middle of the first record: ADDRESS."""

    class Deadly(logging.Handler):
        def emit(self, _):
            os.kill(os.getpid(), signal.SIGKILL)

    root.addHandler(Deadly())
    serve()


def log_numbers():
    """Log numbers from several processes, then end as told: ADDRESS NAME COUNT PROCESSES."""
    _, name, count, processes = ARGUMENTS

    def work(worker):
        for number in range(worker, int(count), int(processes)):
            logging.getLogger(f"app.{name}").info("%s %d", name, number)

    root.addHandler(ServerHandler(ADDRESS))
    start()
    print(inside.queue_of(root.handlers[0]), flush=True)
    in_children(processes, work)
    end_as_told()


def levels_and_handlers_are_those_of_the_server():
    logging.getLogger("app.db").setLevel(logging.ERROR)
    add_log()
    start(listen=ADDRESS)
    (address,) = inside.addresses()

    def client():
        root.handlers[:] = [ServerHandler(address.replace("127.0.0.1", "localhost"))]
        queuelog.setup()
        logging.getLogger("app.db").setLevel(logging.NOTSET)
        logging.getLogger("app.db").info("filtered by the server")
        logging.getLogger("app.db.pool").error("passed")
        logging.getLogger("app").info("passed, too")

    in_child(client)
    wait_for(lambda: content("app.log").count("\n") == 2, "both lines")
    queuelog.stop()
    print(content("app.log"), end="")


def what_comes_while_the_server_is_configured_anew_is_logged():
    def configure():
        handler = {"class": "logging.FileHandler", "filename": "app.log"}
        root = {"level": "INFO", "handlers": ["file"]}
        logging.config.dictConfig({"version": 1, "handlers": {"file": handler}, "root": root})

    configure()
    start(listen=ADDRESS)
    read, write = os.pipe()

    def client():
        root.handlers[:] = [ServerHandler(ADDRESS)]
        queuelog.setup()
        for number in range(3_000):
            root.info("%d", number)
        os.write(write, b".")

    pid = os.fork()
    if pid == 0:
        client()
        os._exit(0)
    while not select.select([read], [], [], 0)[0]:
        configure()
    os.waitpid(pid, 0)
    queuelog.stop()


def what_has_no_room_in_the_server_is_not_dropped():
    add(logging.FileHandler(os.path.abspath("gone/app.log"), delay=True), "%(message)s")
    start(listen=ADDRESS, backlog=1 << 18, wait=60.0)

    def client():
        root.handlers[:] = [ServerHandler(ADDRESS)]
        queuelog.setup()
        for number in range(1_000):
            root.info("%d %s", number, "x" * 500)

    pid = os.fork()
    if pid == 0:
        client()
        os._exit(0)
    wait_for(lambda: f"server:{ADDRESS}" in inside.lagging(), "the server has no room")
    os.mkdir("gone")
    os.waitpid(pid, 0)
    queuelog.stop()


def a_server_that_would_send_to_itself_is_refused():
    root.addHandler(ServerHandler(ADDRESS))
    with raises(queuelog.ConfigurationError, "is this process"):
        start(listen=ADDRESS)
    root.handlers.clear()
    add_log()
    start(listen=ADDRESS)
    queuelog.stop()
