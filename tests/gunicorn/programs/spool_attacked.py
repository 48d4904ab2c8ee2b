"""Programs that start beside a server, after somebody has attacked what it holds."""

import importlib
import logging
import os
import sys
import tempfile
from contextlib import suppress

import inside
from prelude import held, root
from spools import the_spool

import queuelog


def start_blindly():
    """Log to a server's file, without a look at the places where spools are found."""
    path, tempfile.tempdir = sys.argv[2:]
    inside.take_for_memory("/nowhere")
    root.addHandler(logging.FileHandler(path, delay=True))
    queuelog.start(spool=f"{sys.argv[1]}-other")


def start_without_its_lock():
    """Log to a server's file, beside its spool, of which nobody seems to be the owner.

    Again, should the server have mended that in the moment between the two.
    """
    importlib.import_module("queuelog.owner.owner")
    root.addHandler(logging.FileHandler(sys.argv[2], delay=True))
    attacked = the_spool(sys.argv[1])
    for _ in range(10):
        for path in (attacked.lock, attacked.registry):
            with suppress(FileNotFoundError):
                os.unlink(path)
        with suppress(queuelog.FileInUseError):
            queuelog.start(spool=sys.argv[1])
        assert not held()
        queuelog.stop()


def print_base_directory():
    """Print where spools and locks are if the argument is the memory file system."""
    inside.take_for_memory(sys.argv[2])
    print(inside.base_directory())
