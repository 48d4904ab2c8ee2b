"""What the tests look at inside a running queuelog, and the only place that knows where it is."""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from contextlib import contextmanager, suppress

from queuelog import lifecycle
from queuelog.attach import attachment
from queuelog.base import fork, locks, reporter
from queuelog.base import thread as _thread
from queuelog.base.locks import FileLock
from queuelog.base.spec import SinkSpec
from queuelog.base.thread import Interrupted
from queuelog.rotation import compression, files
from queuelog.sinks import follow, position, registry, remote, rollover, strangers
from queuelog.sinks.file import FileSink
from queuelog.spool import RecordPayload, frame
from queuelog.spool import appender as _appender
from queuelog.spool import registry as spool_registry
from queuelog.spool import writer as _writer
from queuelog.spool.backlog import Backlog
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.segments import Segments
from queuelog.spool.writer import SpoolWriter
from queuelog.wire.connection import Credentials

__all__ = ["Interrupted", "compression", "files"]


def listener():
    """Return the listener of this process, an arbiter."""
    return lifecycle._role._listener


def writer():
    """Return the end of the queue that this process writes to."""
    return lifecycle._role._writers.own


# --- the owner


def suspect_for(seconds):
    """Let who has a log file open have so much time to call start()."""
    strangers._STARTING = seconds


def suspects():
    """Return who had the one log file of this process, its owner, open when it looked last."""
    (sink,) = lifecycle._role._sinks._sinks.values()
    return sink._file._strangers._suspects


def addresses():
    """Return where this process receives records from others."""
    return lifecycle.services().addresses()


def spools_of_this_process():
    """Return how many spools this process owns."""
    return len(listener().spools._all)


def sockets():
    """Return the descriptors of the sockets that this process has open."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                found.append(fd)
    return found


def written_by(sink_id):
    """Return how many records a sink of this process, an arbiter, has written."""
    return lifecycle._role._sinks[sink_id].records


def queue_of(handler):
    """Return the path of the spool that a queue handler writes to."""
    return handler.queue.directory.path


def read_credentials(handler):
    """Read what a handler shows to its server, and knows it by."""
    Credentials(handler.server)


def sinks():
    """Return how many sinks this process knows: those that it owns, or that its owner has."""
    role = lifecycle._role
    return len(role._sinks.ids() if hasattr(role, "_sinks") else role._connection.known)


def descriptions():
    """Return how many handlers this process has described to the owner."""
    return len(writer()._numbers._descriptions)


def owns_the_spool():
    """Tell if this process, which has started, is the owner of its spool just now."""
    return delivery().held


def delivery():
    """Return what writes that which is in this process's own spool, an arbiter's."""
    return listener().spools._own


def change_the_user(name):
    """Let the workers of this process, an arbiter, be another user from the next reload on."""
    lifecycle._role.options = lifecycle._role.options._replace(user=name)


def lagging():
    """Return the sinks of this process, an arbiter, that lag behind the others."""
    return listener().spools.lagging()


def retry():
    """Let lagging sinks try to catch up; return if there is more, and the pause until the next."""
    return listener().spools.retry(at_once=True), listener().spools.patience()


def tidy_soon():
    """Let the listener do in its next turn what it does about once a second."""
    listener()._next_tidy = 0.0


def tidy():
    """Do now what the listener of this process, an arbiter, does about once a second."""
    listener().pause()
    listener().spools.tidy()
    listener().resume()


def let_pass(spools, seconds):
    """Let an owner think that so much time has passed since it left a spool to others."""
    for path in spools.leftovers._left_to_others:
        spools.leftovers._left_to_others[path] -= seconds


def read_up_to():
    """Return the offsets up to which this process, an arbiter, has read segments."""
    return [*delivery()._ledger.state.main.offsets.values()]


@contextmanager
def closing_files(**limits):
    """For a while, close files earlier: `idle` for so many seconds, or above `many` for `short`."""
    names = {"idle": "IDLE", "many": "MANY", "short": "SHORT_IDLE"}
    before = {names[limit]: getattr(registry, names[limit]) for limit in limits}
    for limit, value in limits.items():
        setattr(registry, names[limit], value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(registry, name, value)


def interrupt_when(condition):
    """Let the listener's delivery be interrupted, as a fork does, as soon as this is true."""
    listener().spools.stopping = condition


def forget_reports():
    """Let this process report again what it has reported."""
    reporter._next.clear()
    reporter._suppressed.clear()


# --- forks


def waits_for_a_stalled_disk(seconds):
    """Set how long the next forks of this process wait for a listener that a disk has stalled."""
    _thread.FORK_WAIT = seconds


def hooks_into_forks():
    """Tell if this process has registered anything to be called around forks."""
    return fork.register.cache_info().currsize > 0


def be_on_another_host():
    """Let a forked child be a process that nobody has forked, and that finds no server's spool."""
    lifecycle._role = None
    logging.getLogger().handlers.clear()
    spool_registry.Owners.of_server = lambda *_: None
    remote.reachable_server = lambda _: ""


def takes_part_in_forks():
    """Tell if anything of this process does something around forks."""
    return lifecycle._role is not None


# --- the log server


def log_server_limits(**limits):
    """Set limits of this process's log server, before it starts: constants of its hub."""
    from queuelog.server import hub  # noqa: PLC0415  # most programs have no server, and asyncio takes its time

    for name, value in limits.items():
        assert hasattr(hub, name)
        setattr(hub, name, value)


# --- the spool


def take_for_memory(path):
    """Let this process take a directory for the memory file system, and look nowhere else."""
    locks.MEMORY = spool_registry.MEMORY = path


def base_directory():
    """Return the directory of this user's spools and locks."""
    return locks.base_directory()


RING_INTERVAL = _writer.RING_INTERVAL


def lock(path):
    """Return a lock on a file."""
    return FileLock(str(path))


def lock_log_file(fd):
    """Own an open log file, as one who rotates it, but without a spool; tell if that worked."""
    return locks.lock_log_file(fd, rotates=True) is locks.Answer.ALONE


def spool_directory(path):
    """Make a spool, and return it."""
    directory = SpoolDirectory(str(path))
    directory.create()
    return directory


def segments(directory=None):
    """Return the paths of the segments in a spool; by default in that of this process."""
    directory = directory or delivery().directory
    return [os.path.join(directory.incoming(uid), name) for uid, name in directory.segments()]


def spool_writer(directory, limit=1 << 20):
    """Return a writer to a spool."""
    return SpoolWriter(directory, limit)


def make_small_segments(size):
    """Let this process and its children go on to another segment after so many bytes."""
    writer()._room._segment_size = size


def before_the_next_write(function):
    """Let something happen in the middle of a log call, as a signal handler might."""
    real = _appender.write

    def write(fd, data):
        _appender.write = real
        function()
        return real(fd, data)

    _appender.write = write


def backlog():
    """Return how many bytes wait in the spool of this process, an arbiter."""
    return Backlog.of(delivery().directory).total


def is_full():
    """Tell if this process has found no room in its spool."""
    return bool(writer()._room._full_until)


def open_segments(delivery, at_most):
    """Let an owner have no more segments open at a time."""
    delivery._reader.segments.most = at_most


def remove_stale(directory, limit=1 << 20):
    """Do what the owner does about once a second for segments that nobody will write to."""
    Segments(directory, limit).remove_stale()


def describe_handler(writer, handler):
    """Describe a handler to the owner; return its number in this writer's segments."""
    return writer.register(description_of(handler))


def description_of(handler):
    """Return what describes a handler in a segment."""
    return SinkSpec.of(handler).encode()


def put_record(handler, attributes, message):
    """Send a record for a handler, as a hostile worker of this process, an arbiter, might."""
    payload = RecordPayload({"created": 1.0, **attributes}, message).encode()
    sink = describe_handler(writer(), handler)
    writer().put(frame.encode(frame.RECORD, sink, 1.0, payload))


def describe_at_most(number):
    """Let a process describe no more than so many handlers."""
    frame.MAX_SINKS = number


def put_line(writer, handler, created, line):
    """Write a line for the file of a handler to the spool."""
    writer.put(frame.encode(frame.LINE, describe_handler(writer, handler), created, line))


def forged_record():
    """Return what a stranger could write into a segment: a record for a handler that is none."""
    description = b'{"name": "nobody", "class": "x"}'
    frames = frame.SEGMENT_HEADER + frame.encode(frame.DESCRIPTION, 0, 0.0, description)
    return frames + frame.encode(frame.RECORD, 0, 1.0, b'{"attributes": {"msg": "forged"}}')


# --- files


def file_sink(handler):
    """Return what writes the file of a handler."""
    return FileSink(handler)


def descriptor(sink):
    """Return the descriptor of a file sink, which opens its file if need be."""
    sink._file.size()
    return sink._file.fd


def _write_files_by(write):
    """Let `write` do it whenever this process writes to a log file or a backup."""
    position.write_all = follow.write_all = write


@contextmanager
def files_written_by(write):
    """Let `write` do it for a while: a function of a descriptor and data."""
    real = position.write_all
    _write_files_by(write)
    try:
        yield
    finally:
        _write_files_by(real)


def cut_the_next_write(after):
    """Let the next write to a log file fail when so many bytes are written, as on a full disk."""
    real = position.write_all

    def write(fd, data):
        _write_files_by(real)
        os.write(fd, data[:after])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _write_files_by(write)


def die_behind_the_next_write(passed=0):
    """Let this process be killed when a log file is written, and before the ledger says so.

    So many writes are passed before.
    """
    real, left = position.write_all, iter(range(passed))

    def write(fd, data):
        real(fd, data)
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    _write_files_by(write)


def roll_over_again_after(seconds):
    """Let the next try of a rollover that has failed come after so many seconds."""
    rollover._RETRY = seconds


def before_the_log_server_runs(function):
    """Call a function with the address of a log server of this process before its thread runs."""
    from queuelog.server.server import LogServer  # noqa: PLC0415  # as above

    resume = LogServer.resume

    def call_and_resume(self):
        function(self.addresses()[0])
        resume(self)

    LogServer.resume = call_and_resume


def reason_to_stay(handler):
    """Return why a handler stays where it is; "" if its file is taken over."""
    return attachment.reason_to_stay(handler, ())


def note_writes(times):
    """Put the time into a list, in seconds, whenever this process has written to a log file."""
    real = position.write_all

    def write(fd, data):
        real(fd, data)
        times.append(time.monotonic())

    _write_files_by(write)


# --- rotation


def compress_at_once():
    """Let backups be compressed as soon as they are there, and again at once after a failure."""
    compression.GRACE = compression._RETRY = 0.0


def order_of_compression(backups):
    """Return which backup is being compressed; None if none is."""
    return backups._compression.order


def temporaries(backups):
    """Return the names of the files that become backups."""
    return backups._inventory.temporaries


def compressor(backups):
    """Return the process id of the compressor that runs."""
    return backups._compression._current.job._pid
