"""Rotators: one that compresses, as in the logging cookbook, and one that takes its time.

https://docs.python.org/3/howto/logging-cookbook.html#using-a-rotator-and-namer-to-customize-log-rotation-processing
"""

import gzip
import logging.handlers
import os
import shutil
import time


def rotate(source, dest):
    """Compress; or fail, and note that, while there is a file `rotator-is-broken`."""
    if os.path.exists("rotator-is-broken"):
        with open("rotator-is-broken", "ab") as attempts:
            attempts.write(b".")
        raise OSError("the rotator is broken")
    with open(source, "rb") as f_in, gzip.open(dest, "wb") as f_out:
        shutil.copyfileobj(f_in, f_out)
    os.remove(source)


class GzipHandler(logging.handlers.RotatingFileHandler):
    """Compresses its backups."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rotator, self.namer = rotate, "{}.gz".format


def pause(source, dest):
    """Rename, and go on when there is a file `go-on` beside the log file."""
    os.rename(source, dest)
    while not os.path.exists(os.path.join(os.path.dirname(source), "go-on")):
        time.sleep(0.01)


class PausingHandler(logging.handlers.RotatingFileHandler):
    """Takes as long as it is told to roll over."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.rotator = pause
