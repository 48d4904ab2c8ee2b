"""What the tests look at inside a running queuelog, and the only place that knows where it is."""

from __future__ import annotations

from queuelog import lifecycle


def listener():
    """Return the listener of this process, an arbiter."""
    return lifecycle._role._listener


def writer():
    """Return the end of the queue that this process writes to."""
    return lifecycle._role._queue
