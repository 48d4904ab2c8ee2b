"""File handlers with an `emit` of their own: their owner gets records, not lines."""

import logging
import time


class OwnEmitHandler(logging.FileHandler):
    """Decides itself what is written."""

    def emit(self, record):
        super().emit(record)


class SlowHandler(logging.FileHandler):
    """Slower than the workers that log."""

    def emit(self, record):
        time.sleep(0.0005)
        super().emit(record)
