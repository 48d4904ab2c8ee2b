"""Programs of test_clients.py: servers with limits that a test can reach."""

import logging
import logging.handlers
import sys
import time

import inside
from prelude import add_log, root, start

import queuelog
from queuelog import lifecycle


def serve(listen="127.0.0.1:0"):
    """Listen, say where, and serve until the test says something."""
    start(listen=listen)
    print(lifecycle.services().addresses()[0].rpartition(":")[2], flush=True)
    sys.stdin.readline()
    queuelog.stop()


def patient_server():
    add_log()
    inside.log_server_limits(COMPLETE=1.0)
    serve()


def patient_server_with_a_rate():
    add_log()
    inside.log_server_limits(COMPLETE=1.0)
    serve(queuelog.Listen(["127.0.0.1:0"], rate=20))


def takes_its_time():
    """A filter of the user's is slow: 10 ms a record."""
    add_log()
    root.handlers[0].addFilter(lambda _: time.sleep(0.01) is None)
    serve()


def root_has_a_filter():
    add_log()
    root.addFilter(lambda record: record.getMessage() != "secret")
    serve()


def server_with_little_memory():
    add_log()
    inside.log_server_limits(MEMORY=2 << 20)
    serve()


def knows_its_loggers():
    root.setLevel(logging.WARNING)
    logging.getLogger("a").setLevel(logging.DEBUG)
    add_log()
    start(listen="127.0.0.1:0")
    print(lifecycle.services().addresses()[0].rpartition(":")[2], flush=True)
    sys.stdin.readline()
    queuelog.stop()
    print(*(name for name in logging.root.manager.loggerDict if name.startswith("a")))


def ends_before_its_first_turn():
    """A record is there before the server's thread has begun, and then the process ends."""
    add_log()

    def send(address):
        handler = logging.handlers.SocketHandler("127.0.0.1", int(address.rpartition(":")[2]))
        handler.emit(logging.makeLogRecord({"name": "root", "levelno": 30, "msg": "early"}))
        handler.close()

    inside.before_the_log_server_runs(send)
    start(listen="127.0.0.1:0")
    queuelog.stop()
