"""The arbiter listens, at LISTEN or a port of the kernel's choice, and says where."""

import os

import queuelog
from queuelog import lifecycle


def on_starting(server):
    queuelog.start(spool=os.environ["SPOOL"], listen=os.environ.get("LISTEN", "127.0.0.1:0"))
    with open("address", "w") as file:
        file.write(next(iter(lifecycle.services().addresses()), "later"))
