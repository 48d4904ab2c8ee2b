"""Programs that start beside a server, after somebody has attacked what it holds."""

import importlib
import logging
import os
import sys
import tempfile

import inside
from prelude import root

import queuelog


def start_beside():
    """Log to a server's file, with a spool of our own."""
    path, temporary = sys.argv[2:]
    inside.take_for_memory("/nowhere")
    tempfile.tempdir = temporary
    root.addHandler(logging.FileHandler(path, delay=True))
    queuelog.start(spool=f"{sys.argv[1]}-other")


def start_without_its_lock():
    """Log to a server's file, with its spool, whose lock file is removed before.

    Again, should the server have looked after its lock in the moment between the two.
    """
    importlib.import_module("queuelog.owner.owner")
    root.addHandler(logging.FileHandler(sys.argv[2], delay=True))
    for _ in range(20):
        os.unlink(f"{sys.argv[1]}/lock")
        queuelog.start(spool=sys.argv[1])
        queuelog.stop()


def print_base_directory():
    """Print where spools and locks are if the argument is the memory file system."""
    inside.take_for_memory(sys.argv[2])
    print(inside.base_directory())
