"""A rotator that compresses, as in the logging cookbook.

https://docs.python.org/3/howto/logging-cookbook.html#using-a-rotator-and-namer-to-customize-log-rotation-processing
"""

import gzip
import logging.handlers
import os
import shutil


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
