"""What the tests look at inside a running queuelog, and the only place that knows where it is."""

from __future__ import annotations

from queuelog import _bridge, _delivery, _files, _spool

Interrupted = _delivery.Interrupted  # what a fork lets the listener raise between two writes


def listener():
    """Return the listener of this process, an arbiter."""
    return _bridge._bridge._listener


def writer():
    """Return the end of the queue that this process writes to."""
    return _bridge._bridge._queue


def interrupt_when(condition):
    """Let the listener's delivery be interrupted, as a fork does, as soon as this is true."""
    listener().delivery.stopping = condition


def roll_over_again_after(seconds):
    """Let the next try of a rollover that has failed come after so many seconds."""
    _files._RETRY_ROLLOVER = seconds


def take_for_memory(path):
    """Let this process take a directory for the memory file system."""
    _spool._SHM = path


def base_directory():
    """Return the directory of this user's spools and locks."""
    return _spool.base_directory()


def default_spool(paths):
    """Return the spool that a service with these log files has by default."""
    return _spool.default_path(paths)
