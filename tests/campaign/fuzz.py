"""Fuzz everything that reads what a hostile process may have written.

    python tests/campaign/fuzz.py --inputs 1000000 --seed 1

Inputs are random bytes, and streams that were right before some of their bytes were changed, cut,
doubled or moved. Nothing may raise but what is documented, and every frame before the first change
must come out. Prints how many inputs each reader got.
"""

import argparse
import json
import os
import random
import struct
import sys
import tempfile
import time
import zlib
from contextlib import suppress
from pathlib import Path

from queuelog.base import User
from queuelog.base.spec import SinkSpec
from queuelog.errors import SpoolError
from queuelog.owner.ledger import Ledger
from queuelog.sinks.received import ReceivedRecord
from queuelog.sinks.registry import Sinks
from queuelog.sinks.targets import Targets
from queuelog.spool import RecordPayload, Target, frame

LIMIT = 1 << 20
ROTATING = {"backupCount": 5, "maxBytes": 9}
TIMED = {"atTime": "01:00:00", "backupCount": 0, "interval": 1, "utc": False, "when": "S"}
SPECIFICATIONS = [
    json.dumps({"path": path, "class": cls, "args": args}).encode()
    for path, cls, args in (
        ("/tmp/x/a.log", "logging.FileHandler", {"encoding": "utf-8"}),
        ("/etc/passwd", "logging.handlers.RotatingFileHandler", ROTATING),
        ("/tmp/../etc/passwd", "logging.handlers.TimedRotatingFileHandler", TIMED),
        ("/tmp/x", "os.system", {"mode": "w"}),
    )
]


def damage(chance, data):
    """Change some bytes; return the result, and how many of the first are as they were."""
    data = bytearray(data)
    first = len(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data) + 1)
        first = min(first, at)
        how = chance.randrange(4)
        if how == 0:
            data[at : at + chance.randrange(9)] = chance.randbytes(chance.randrange(9))
        elif how == 1:
            del data[at:]
        elif how == 2:
            data[at:at] = data[: chance.randrange(40)]
        else:
            data[at : at + 4] = struct.pack("<I", chance.choice([0, 1, 1 << 31, (1 << 32) - 1]))
    return bytes(data), first


def frames(chance):
    """Return some frames, and the payloads of the lines among them by their end."""
    data, ends = b"", {}
    for number in range(chance.randrange(1, 6)):
        payload = b"%d %s\n" % (number, chance.randbytes(chance.randrange(30)).hex().encode())
        kind = chance.choice(
            [frame.LINE, frame.LINE, frame.RECORD, frame.DESCRIPTION, frame.SOURCE]
        )
        sink, source = chance.randrange(3), chance.randrange(3)
        data += frame.encode(kind, sink, chance.random() * 1e10, payload, source)
        ends[len(data)] = kind, payload
    return data, ends


def fuzz_frames(chance, _):
    """The scanner never raises, does not go backwards, and keeps all before the damage."""
    if chance.random() < 0.2:
        data, ends, first = chance.randbytes(chance.randrange(200)), {}, 0
    else:
        whole, ends = frames(chance)
        data, first = damage(chance, whole)
    scan = frame.scan(data, LIMIT, 0, sources=chance.random() < 0.5)
    assert 0 <= scan.end <= len(data)
    found = [payload for items in scan.items.values() for _, payload in items]
    for end, (_, payload) in ends.items():
        assert end > first or payload in found, (data, payload)
    assert all(-frame.FOREVER < at < frame.FOREVER for i in scan.items.values() for at, _ in i)


RECORDS = [
    RecordPayload({"msg": "%s and %05d", "args": ("a", 7), "created": 1.0}, "a and 00007").encode(),
    RecordPayload({"msg": {"a": [1]}, "args": None, "name": "x"}, "{}", "text", False).encode(),
    b'{"attributes": {"msg": "%(a)999d", "args": {"a": 1}}}',
]


def fuzz_records(chance, _):
    """Only what is said is raised, and nothing grows that is formatted."""
    data, _ = damage(chance, chance.choice(RECORDS))
    try:
        record = ReceivedRecord(data)
    except (ValueError, RecursionError):
        return
    assert isinstance(record.queuelog_is_unchanged, bool)
    with suppress(TypeError, ValueError, KeyError):  # msg and args do not fit
        assert len(record.getMessage()) < 10_000


def fuzz_specifications(chance, directory):
    """Only ValueError is raised; what is accepted has a normal path, and nothing is made there."""
    if chance.random() < 0.2:
        data = chance.randbytes(chance.randrange(80))
    else:
        data, _ = damage(chance, chance.choice(SPECIFICATIONS))
    try:
        spec = SinkSpec.parse(data)
        if spec.path:
            spec.build()
    except ValueError:
        pass
    targets = Targets(Sinks())
    try:
        found = targets.resolve(Target(data, User(65534, 65534)))
    except ValueError:
        pass
    else:
        assert os.path.isabs(found)
        assert os.path.normpath(found) == found
        assert not list(directory.glob("*.log"))
    finally:
        targets.sinks.close()


def fuzz_ledger(chance, directory):
    """What cannot be read counts as nothing, and what another version wrote is refused."""
    path = directory / "ledger"
    main = {"offsets": {"0/1-1-1": 5}, "ends": {}, "marks": {"/x": [1, None]}}
    state = {"format": chance.choice([frame.FORMAT, 99]), "number": 1, "main": main, "lagging": {}}
    text = json.dumps(state).encode()
    line = b"\n%08x %s\n" % (zlib.crc32(text), text)
    data, _ = damage(chance, line * 2) if chance.random() < 0.8 else (chance.randbytes(60), 0)
    path.write_bytes(data)
    ledger = Ledger(str(path))
    try:
        ledger.open()
    except SpoolError:
        assert state["format"] != frame.FORMAT
    finally:
        ledger.close()


READERS = {
    "frames": fuzz_frames, "records": fuzz_records, "specifications": fuzz_specifications,
    "ledger": fuzz_ledger,
}  # fmt: skip
SHARES = {"frames": 0.7, "records": 0.1, "specifications": 0.19, "ledger": 0.01}


def fuzz(inputs, seed):
    """Give the readers so many inputs in all; return how many each got."""
    given = {}
    with tempfile.TemporaryDirectory() as name:
        for reader, check in READERS.items():
            chance = random.Random(f"{seed} {reader}")
            given[reader] = int(inputs * SHARES[reader])
            for _ in range(given[reader]):
                check(chance, Path(name))
    return given


def main():
    """Fuzz as long as is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.monotonic()
    print(fuzz(options.inputs, options.seed), f"in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
