"""Handlers that roll over by themselves, for the configuration of a server's load.log."""

from __future__ import annotations


def by_size(max_bytes, **options):
    """Return a handler that rolls over at a size, and keeps its backups until they are counted."""
    kind = "logging.handlers.RotatingFileHandler"
    return {"class": kind, "maxBytes": max_bytes, "backupCount": 1000, **options}


def by_second(**options):
    """Return a handler that rolls over each second, and keeps its backups."""
    kind = "logging.handlers.TimedRotatingFileHandler"
    return {"class": kind, "when": "S", "backupCount": 1000, **options}
