"""What the tests look at inside a running queuelog, and the only place that knows where it is."""

from __future__ import annotations

import os
from contextlib import contextmanager

from queuelog import _bridge, _fork, _frame, _sinks, _writer
from queuelog import listener as _listener
from queuelog._description import describe
from queuelog._files import FileSink
from queuelog._reader import SpoolReader
from queuelog._spool import FileLock, SpoolDirectory
from queuelog._writer import SpoolWriter


def listener():
    """Return the listener of this process, an arbiter."""
    return _bridge._bridge._listener


def writer():
    """Return the end of the queue that this process writes to."""
    return _bridge._bridge._queue


# --- the owner


def sinks():
    """Return how many sinks this process has, an arbiter."""
    return len(_bridge._bridge._sinks._sinks)


def descriptions():
    """Return how many handlers this process has described to the owner."""
    return len(writer()._descriptions)


def lagging():
    """Return the sinks of this process, an arbiter, that lag behind the others."""
    return listener().delivery.held


def retry():
    """Let lagging sinks try to catch up; return if there is more, and the pause until the next."""
    return listener().delivery.retry(at_once=True), listener().delivery.patience()


def read_up_to():
    """Return the offsets up to which this process, an arbiter, has read segments."""
    return [*listener().delivery._ledger.state.main.offsets.values()]


@contextmanager
def closing_files(**limits):
    """For a while, close files earlier: `idle` for so many seconds, or those above `many`."""
    names = {"idle": "IDLE", "many": "MANY"}
    before = {names[limit]: getattr(_sinks, names[limit]) for limit in limits}
    for limit, value in limits.items():
        setattr(_sinks, names[limit], value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(_sinks, name, value)


# --- forks


def waits_for_a_stalled_disk(seconds):
    """Set how long the next forks of this process wait for a listener that a disk has stalled."""
    _listener.FORK_WAIT = seconds


def hooks_into_forks():
    """Tell if this process has registered anything to be called around forks."""
    return _fork._registered


def takes_part_in_forks():
    """Tell if anything of this process is called around forks."""
    return bool(_fork._taking_part)


# --- the spool

RING_INTERVAL = _writer.RING_INTERVAL


def lock(path):
    """Return a lock on a file; `acquire` takes a note for others who want it."""
    return FileLock(str(path))


def spool_directory(path):
    """Make a spool, and return it."""
    directory = SpoolDirectory(str(path), os.geteuid())
    directory.create()
    return directory


def segments(directory=None):
    """Return the paths of the segments in a spool; by default in that of this process."""
    directory = directory or listener().queue.directory
    return [os.path.join(directory.incoming(uid), name) for uid, name in directory.segments()]


def spool_writer(directory, limit=1 << 20):
    """Return a writer to a spool."""
    return SpoolWriter(directory, limit)


def spool_reader(directory, limit=1 << 20):
    """Return a reader of a spool."""
    return SpoolReader(directory, limit)


def describe_handler(writer, handler):
    """Describe a handler to the owner; return its number in this writer's segments."""
    return writer.register(describe(handler))


def put_line(writer, handler, created, line):
    """Write a line for the file of a handler to the spool."""
    writer.put(_frame.encode(_frame.LINE, describe_handler(writer, handler), created, line))


def forged_record():
    """Return what a stranger could write into a segment: a record for a handler that is none."""
    description = b'{"name": "nobody", "class": "x"}'
    frames = _frame.encode(_frame.DESCRIPTION, 0, 0.0, description)
    return frames + _frame.encode(_frame.RECORD, 0, 1.0, b'{"msg": "forged"}')


# --- files


def file_sink(handler):
    """Return what writes the file of a handler, with a lock beside the file."""
    return FileSink(handler.baseFilename, handler, lock(f"{handler.baseFilename}.lock"))


def descriptor(sink):
    """Return the descriptor of a file sink, which opens its file if need be."""
    sink._reopen_if_moved()
    return sink._fd
