"""Handlers that roll over by themselves, for the configuration of a server's load.log."""

from __future__ import annotations

import gzip


def by_size(max_bytes, **options):
    """Return a handler that rolls over at a size, and keeps its backups until they are counted."""
    kind = "logging.handlers.RotatingFileHandler"
    return {"class": kind, "maxBytes": max_bytes, "backupCount": 1000, **options}


def by_second(**options):
    """Return a handler that rolls over each second, and keeps its backups."""
    kind = "logging.handlers.TimedRotatingFileHandler"
    return {"class": kind, "when": "S", "backupCount": 1000, **options}


def by_policy(**options):
    """Return a handler with a policy of queuelog's own, which keeps all its backups."""
    return {"class": "queuelog.handlers.RollingFileHandler", **options}


def unpack(directory):
    """Replace each archive by what is in it; no plain file of its name may be left beside it."""
    for archive in directory.glob("*.gz"):
        plain = archive.with_suffix("")
        assert not plain.exists(), plain
        plain.write_bytes(gzip.decompress(archive.read_bytes()))
        archive.unlink()
