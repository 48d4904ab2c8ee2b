"""Programs of test_wire.py: clients of queuelog's own."""

import logging
import os
import ssl
import sys
from logging.handlers import SocketHandler
from urllib.parse import urlsplit

from prelude import ARGUMENTS, root, start

import queuelog
from queuelog.handlers import ServerHandler


def log_numbers():
    """Log so many numbers from four processes, and wait until the server has them."""
    address, count = ARGUMENTS[0], int(ARGUMENTS[1])
    root.addHandler(ServerHandler(address))
    start()
    children = []
    for worker in range(4):
        pid = os.fork()
        if pid == 0:
            queuelog.setup()
            for number in range(worker, count, 4):
                root.info("n%d", number)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    sys.stdin.readline()
    queuelog.stop()


def log_with_a_secret():
    address, secret = ARGUMENTS
    root.addHandler(ServerHandler(address, secret_file=secret or None))
    root.info("with secret_file")


class TlsSocketHandler(SocketHandler):
    """The standard library's, over TLS."""

    def __init__(self, host, port, context):
        super().__init__(host, port)
        self.context = context

    def makeSocket(self, timeout=10):  # noqa: N802  # the standard library's
        return self.context.wrap_socket(super().makeSocket(timeout), server_hostname=self.host)


def log_with_a_certificate():
    address, directory, name = ARGUMENTS
    files = {"certfile": f"{directory}/{name}.pem", "keyfile": f"{directory}/{name}.key"}
    files = files if name else {}
    root.addHandler(ServerHandler(address, cafile=f"{directory}/ca.pem", **files))
    root.info("with certificate")
    context = ssl.create_default_context(cafile=f"{directory}/ca.pem")
    if files:
        context.load_cert_chain(*files.values())
    found = urlsplit(f"//{address}")
    logger = logging.getLogger("root")
    logger.handlers[:] = [TlsSocketHandler(found.hostname, found.port, context)]
    logger.info("pickle with certificate")
    logger.handlers[0].close()
