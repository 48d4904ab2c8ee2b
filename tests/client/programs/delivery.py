"""Programs of test_delivery.py."""

import logging
import logging.config
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import inside
from prelude import (
    ARGUMENTS,
    add,
    add_log,
    content,
    end_as_told,
    in_child,
    in_children,
    in_worker,
    root,
    start,
)  # fmt: skip
from waiting import wait_for

import queuelog
from queuelog import wire
from queuelog.handlers import ServerHandler


def send_to_the_server(**options):
    handler = ServerHandler(ARGUMENTS[0], **options)
    root.addHandler(handler)
    return handler


def what_is_logged_is_at_the_server_as_it_was():
    send_to_the_server()
    start()
    extra = {
        "user": "Ä",
        "n": 3,
        "ok": True,
        "none": None,
        "deep": {"a": [1, 2.5]},
        "other": {1},
    }
    logging.getLogger("app.db").warning("%s in %d ms", "/", 7, extra=extra)

    def fail():
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            root.exception("failed", stack_info=True)

    in_worker(fail)
    queuelog.stop()
    root.info("alone")


def log_numbers():
    """Log so many numbers from several processes, then stop: NAME FIRST COUNT PROCESSES."""
    send_to_the_server()
    _, name, first, count, processes = ARGUMENTS
    numbers = range(int(first), int(first) + int(count))

    def work(worker):
        for number in numbers[worker :: int(processes)]:
            root.info("%s %d", name, number)

    start()
    in_children(processes, work)
    end_as_told()


def a_server_that_never_answers_delays_no_file():
    add_log()
    send_to_the_server()
    start()
    root.info("first")
    wait_for(inside.lagging, "the server lags")
    for number in range(20):
        root.info("%d", number)
        line = f"\n{number}\n"
        wait_for(lambda line=line: content("app.log").endswith(line), "the line is in the file")
    print("written", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def what_waits_for_a_server_is_limited_and_what_is_dropped_is_counted():
    send_to_the_server()
    start(backlog=1 << 18, full="drop")
    for number in range(1_000):
        root.info("%d %s", number, "x" * 500)
    print("logged", flush=True)
    sys.stdin.readline()
    wait_for(lambda: not inside.lagging(), "all is sent")
    queuelog.stop()


def a_server_of_another_secret_gets_nothing():
    with open("secret", "w") as file:
        file.write("right\n")
    send_to_the_server(secret_file="secret")
    start()
    root.info("secret")
    wait_for(inside.lagging, "the server lags")
    queuelog.stop()


def forked_children_and_threads_send_while_the_server_is_killed():
    send_to_the_server()
    start()

    def work(name):
        for number in range(300):
            root.info("%s %d", name, number)
            time.sleep(0.001)

    threads = [threading.Thread(target=work, args=(f"thread{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for number in range(3):
        in_child(lambda number=number: work(f"child{number}"))
    for thread in threads:
        thread.join()
    print("logged", flush=True)
    sys.stdin.readline()
    queuelog.stop()


def without_start_each_call_sends_its_record():
    handler = add(ServerHandler(ARGUMENTS[0], timeout=20))
    root.info("%d", 1)
    in_child(lambda: root.info("2"))
    root.info("3")
    print("logged", flush=True)
    sys.stdin.readline()
    root.info("after a restart")
    handler.close()


def a_server_that_is_down_is_handle_errors():
    handler = add(ServerHandler(ARGUMENTS[0]))
    root.info("first")
    root.info("second")
    handler.close()


def a_host_is_reached_at_the_address_that_answers():
    port = int(ARGUMENTS[0])
    assert [one[-1][0] for one in socket.getaddrinfo("twofold", port, type=socket.SOCK_STREAM)] == [
        "127.0.0.1", "127.0.0.2",
    ]  # fmt: skip
    other = socket.create_server(("127.0.0.1", port))

    def hang_up():
        while True:
            other.accept()[0].close()

    threading.Thread(target=hang_up, daemon=True).start()
    root.addHandler(ServerHandler(f"twofold:{port}"))
    start()
    root.info("found")
    wait_for(inside.lagging, "the first address is of no use")
    wait_for(lambda: not inside.lagging(), "the record is sent")
    queuelog.stop()


def without_start_the_time_is_shared_by_all_addresses():
    port = int(ARGUMENTS[0])
    with socket.create_server(("127.0.0.1", port)):  # which never answers
        handler = add(ServerHandler(f"twofold:{port}", timeout=4))
        root.info("found")
        handler.close()


def without_start_a_server_that_never_stops_is_waited_for_no_longer():
    listening = socket.create_server(("127.0.0.1", 0))

    def say_nothing_for_ever():
        client, _ = listening.accept()
        session = wire.Server()
        while session.next_event() is None:
            client.sendall(session.data_to_send())
            session.receive(client.recv(1 << 16))
        with suppress(OSError):
            while True:
                session.have(0)
                client.sendall(session.data_to_send() * 1000)

    threading.Thread(target=say_nothing_for_ever, daemon=True).start()
    handler = add(ServerHandler("127.0.0.1:{1}".format(*listening.getsockname()), timeout=1))
    root.info("x")
    handler.close()


CONFIG = """
[loggers]
keys=root
[handlers]
keys=server
[formatters]
keys=
[logger_root]
level=INFO
handlers=server
[handler_server]
class=queuelog.handlers.ServerHandler
args=({address!r},)
kwargs={{"secret_file": "secret"}}
"""


def a_configuration_names_it():
    Path("secret").write_text("ours\n")
    if ARGUMENTS[1] == "ini":
        Path("log.ini").write_text(CONFIG.format(address=ARGUMENTS[0]))
        logging.config.fileConfig("log.ini")
    else:
        handler = {"address": ARGUMENTS[0], "secret_file": "secret", "level": "INFO"}
        handlers = {"server": {"class": "queuelog.handlers.ServerHandler", **handler}}
        root = {"level": "INFO", "handlers": ["server"]}
        logging.config.dictConfig({"version": 1, "handlers": handlers, "root": root})
    start()
    logging.getLogger("app").info("configured")
    queuelog.stop()


def a_descriptor_that_became_another_file_is_not_written_to():
    send_to_the_server()
    start()
    root.info("first")
    wait_for(lambda: inside.written_by(f"server:{ARGUMENTS[0]}") == 1, "the first is sent")
    inside.listener().pause()
    for fd in inside.sockets():
        other = os.open("other", os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(other, fd)
        os.close(other)
    inside.listener().resume()
    root.info("second")
    queuelog.stop()
    assert content("other") == ""
    assert os.fstat(fd)  # it is not closed either
