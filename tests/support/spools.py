"""What tests of the spool and its owner share: spools, frames to write, and what a batch holds."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from queuelog.base import User
from queuelog.base.locks import try_lock
from queuelog.spool import frame, registry
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.merge import SpoolReader
from queuelog.spool.names import offset_in, spools
from queuelog.spool.writer import SpoolWriter

LIMIT = 1 << 20
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


@contextmanager
def fresh_directory(worker_uid=None):
    """Make the directory of a spool, for workers of this user or another; it is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as base:
        os.chmod(base, 0o711)
        directory = SpoolDirectory(os.path.join(base, "spools", "1-1"))
        if worker_uid is not None:
            directory.users.allow(User(worker_uid, worker_uid))
        directory.create()
        yield directory


def the_spool(parent):
    """Return the one spool below the directory that was given to `start` as `spool`."""
    (path,) = spools(str(parent))
    return SpoolDirectory(path, owner_uid=os.stat(path).st_uid)


def is_owned(directory):
    """Tell if a process owns a spool, and says so."""
    return registry.is_owned(directory)


def segments(directory):
    """Return the paths of all segments in a spool."""
    return [Path(directory.incoming(uid), name) for uid, name in directory.segments()]


# --- writing


def writer_of(*descriptions, directory, limit=LIMIT):
    """Return a writer whose sinks have these descriptions."""
    writer = SpoolWriter(directory, limit)
    for description in descriptions:
        writer.register(description)
    return writer


def lock(file):
    """Lock an open file, as the writer of a segment does that lives."""
    assert try_lock(file.fileno())


def file_description(path):
    """Return what describes the sink that is this file."""
    return json.dumps({"path": str(path), "class": "logging.FileHandler"}).encode()


def line(payload, created=1.0, sink=0, source=0):
    """Return a frame with a line."""
    return frame.encode(frame.LINE, sink, created, payload, source)


def segment_of(*frames, description=b"sink", header=frame.SEGMENT_HEADER):
    """Return the bytes of a segment whose sink 0 has a description."""
    return b"".join([header, frame.encode(frame.DESCRIPTION, 0, 0.0, description), *frames])


# --- reading


class Reader(SpoolReader):
    """A reader that says what the tests want to know."""

    def __init__(self, directory, limit=LIMIT):
        super().__init__(directory, limit)

    def read_to_the_end(self, offsets=None):
        """Read batch by batch behind `offsets`, which are moved on; return all payloads."""
        offsets = {} if offsets is None else offsets
        found = []
        while (batch := self.read_new(offsets)).ends:
            found += payloads(batch)
            offsets.update(batch.ends)
        return found

    def release(self, *positions):
        """Remove the segments that are complete and behind all positions; return their names."""
        return self.segments.release(lambda name: min(offset_in(o, name) for o in positions))

    def sinks(self, name):
        """Return what is described in a segment."""
        return self.segments.sinks(name)

    def close(self):
        """Close the segments."""
        self.segments.close()


def items(batch):
    """Return a batch's items in one list, as the sinks write them."""
    return sorted(itertools.chain.from_iterable(batch.items.values()), key=itemgetter(0))


def payloads(batch):
    """Return the payloads of a batch's items, as the sinks write them."""
    return [payload for _, payload in items(batch)]
