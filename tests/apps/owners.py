"""File handlers with an `emit` of their own: their owner gets records, not lines."""

import logging
import logging.handlers
import time


class OwnEmitHandler(logging.FileHandler):
    """Decides itself what is written."""

    def __init__(self, filename, **options):
        super().__init__(filename)

    def emit(self, record):
        super().emit(record)


class SlowHandler(logging.FileHandler):
    """Slower than the workers that log."""

    def emit(self, record):
        time.sleep(0.0005)
        super().emit(record)


class OtherNameHandler(logging.handlers.RotatingFileHandler):
    """The standard library's, by another name."""


class NamerHandler(logging.handlers.RotatingFileHandler):
    """Names its backups itself."""

    def rotation_filename(self, default_name):
        return f"{default_name}.old"
