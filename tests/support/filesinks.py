"""What tests of log files and their sinks share."""

from __future__ import annotations

import logging.handlers
import time


def write(sink, *lines):
    """Write lines, given as text or as (created, text); return the marks."""
    marks = []
    made = [line if isinstance(line, tuple) else (time.time(), line) for line in lines]
    sink.write([(at, text.encode()) for at, text in made], marks.append)
    return marks


def write_rest(sink, lines, mark):
    """Write what is missing of lines that were interrupted at a mark; return the marks."""
    marks = []
    done = sink.resume(lines, mark)
    sink.write(lines[done:], marks.append)
    return marks


def contents(path):
    """Return file name -> text of the log file and its backups."""
    return {found.name: found.read_text() for found in path.parent.iterdir()}


def timed(path, **options):
    """Return a handler that rolls over by time."""
    return logging.handlers.TimedRotatingFileHandler(path, utc=True, delay=True, **options)


def sized(path, size=20, count=9, cls=logging.handlers.RotatingFileHandler):
    """Return a handler that rolls over by size."""
    return cls(path, maxBytes=size, backupCount=count)
