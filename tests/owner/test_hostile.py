"""Nothing that a worker sends is trusted: what a hostile one may leave in its part of the spool.

The arbiter is root here, and the worker is nobody: it owns SPOOL/65534/, and may do there what it
likes. Whatever it does, an honest writer's lines arrive, and what it names is written with its own
rights: the kernel decides.
"""

import json
import logging
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

import inside
import pytest
from fuzz import fuzz
from spools import lock, segment_of

from queuelog.base import User
from queuelog.owner.delivery import Delivery
from queuelog.owner.ownership import Ownership
from queuelog.sinks.configured import Configured
from queuelog.sinks.registry import Sinks
from queuelog.sinks.targets import Targets
from queuelog.spool import SpoolDirectory, SpoolWriter, frame, merge
from queuelog.spool import directory as directory_module
from queuelog.spool.backlog import Backlog

NOBODY = 65534
LIMIT = 1 << 24
pytestmark = pytest.mark.root


class Arbiter:
    """The owner of a spool whose workers are of another user, with one log file of its own.

    `home` is root's, and everybody may look; `allowed` is the only directory that is the worker's.
    """

    def __init__(self, home):
        self.home = home
        self.directory = SpoolDirectory(str(home / "spools" / "1-1"))
        self.directory.users.allow(User(NOBODY, NOBODY))
        self.directory.create()
        self.incoming = self.directory.incoming(NOBODY)
        self.log = home / "known.log"
        self.allowed = home / "allowed"
        self.allowed.mkdir()
        os.chown(self.allowed, NOBODY, NOBODY)
        self.sinks = Sinks()
        self.handler = logging.FileHandler(self.log, delay=True)
        Configured(self.sinks).add(self.handler)
        self.delivery = Delivery(
            Ownership(self.directory), Targets(self.sinks), LIMIT, lambda: False
        )
        assert self.delivery.own()
        self.description = inside.description_of(self.handler)
        self._honest = SpoolWriter(self.directory, LIMIT, NOBODY)
        self._honest.register(self.description)

    def segment(self, data, name="1-1-1"):
        """Write a file as the hostile worker would; return its path."""
        path = os.path.join(self.incoming, name)
        with open(path, "wb") as file:
            file.write(data)
        os.chown(path, NOBODY, NOBODY)
        return path

    def round(self, batches=50):
        """Deliver what is there, and do what comes once a second."""
        for _ in range(batches):
            batch = self.delivery.next()
            if batch is None:
                break
            self.delivery.deliver(batch)
        self.delivery.retry(at_once=True)
        self.delivery.tidy()

    def check(self):
        """Assert that an honest line still arrives."""
        line = b"honest %d\n" % time.monotonic_ns()
        self._honest.put(frame.encode(frame.LINE, 0, time.time(), line))
        self.round()
        assert line in self.log.read_bytes()

    def close(self):
        self._honest.close()
        self.sinks.close()
        self.delivery.close()


@pytest.fixture
def arbiter(spool):
    """Return an arbiter."""
    home = Path(spool).parent
    home.chmod(0o755)
    made = Arbiter(home)
    yield made
    made.close()


def described(path, cls="logging.FileHandler", args="{}", *frames):
    """Return a segment for a file, by default with one line."""
    return segment_of(*frames or [line()], description=description(path, cls, args))


def description(path, cls="logging.FileHandler", args="{}"):
    """Return the description of a file."""
    return f'{{"args": {args}, "class": "{cls}", "path": "{path}"}}'.encode()


def line(created=1.0, text=b"evil\n"):
    """Return a frame with a line."""
    return frame.encode(frame.LINE, 0, created, text)


@pytest.mark.parametrize("name", ["9-9-9", "9-9-0.drops"])
@pytest.mark.parametrize(
    "kind", ["symlink", "dangling", "hard link", "fifo", "socket", "directory"]
)
def test_what_stands_in_place_of_a_file_is_left_alone(arbiter, tmp_path, kind, name):
    """The arbiter does not read, write or remove what it leads to, nor wait for it."""
    path = os.path.join(arbiter.incoming, name)
    target = tmp_path / "secret"
    secret = struct.pack("<QQ", 9, 0) + arbiter.description
    target.write_bytes(secret)
    if kind == "symlink":
        os.symlink(target, path)
    elif kind == "dangling":
        os.symlink(tmp_path / "nowhere", path)
    elif kind == "hard link":
        os.link(os.path.realpath(arbiter.directory.bell), path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
    else:
        os.mkdir(path)
    arbiter.check()
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "secret").read_bytes() == secret
    assert b"were dropped" not in arbiter.log.read_bytes()


PATHS = [
    "/etc/queuelog-evil", "{allowed}/../evil.log", "{allowed}/./evil.log", "evil.log",
    "{allowed}//evil.log", "{allowed}\\u0000/evil.log", "", "{allowed}evil.log", "/", "{allowed}",
    "{spool}/lock", "{spool}/ledger", "{spool}/registry", "{spool}/0/1-1-1", "{home}/evil.log",
    "{home}/secret", "{home}/readable", "{home}/closed/evil.log",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_where_the_worker_could_not_write_itself_is_not_written(arbiter, path):
    """Whatever it is written like."""
    for name, mode in {"secret": 0o600, "readable": 0o644}.items():
        (arbiter.home / name).write_text("root's")
        (arbiter.home / name).chmod(mode)
    (arbiter.home / "closed").mkdir(mode=0o700)
    before = snapshot(arbiter)
    path = path.format(allowed=arbiter.allowed, spool=arbiter.directory.path, home=arbiter.home)
    arbiter.segment(described(path))
    arbiter.check()
    assert snapshot(arbiter) == before
    assert not os.path.exists("/etc/queuelog-evil")


def snapshot(arbiter):
    """Return owner and size of the files below its home, but for those that it writes itself."""
    own = {
        arbiter.log,
        *map(Path, (arbiter.directory.ledger, f"{arbiter.directory.path}/consumed")),
    }
    found = [path for path in arbiter.home.rglob("*") if path.is_file() and path not in own]
    kept = [path for path in found if path.parent != Path(arbiter.incoming)]
    return {path: (path.stat().st_uid, path.stat().st_size) for path in kept}


@pytest.mark.parametrize(
    ("cls", "args"),
    [
        ("subprocess.Popen", "{}"), ("logging.handlers.SMTPHandler", "{}"), ("os.system", "{}"),
        ("logging.FileHandler", '{"mode": "w"}'), ("logging.FileHandler", '{"encoding": "rot13"}'),
        ("logging.FileHandler", '{"encoding": 5}'),
        ("logging.handlers.RotatingFileHandler", '{"maxBytes": [1]}'),
        ("logging.handlers.RotatingFileHandler", '{"maxBytes": 1, "backupCount": 1000000000}'),
        ("logging.handlers.TimedRotatingFileHandler", '{"when": "X"}'),
        ("logging.handlers.TimedRotatingFileHandler", '{"when": "S", "interval": 0}'),
    ],
)  # fmt: skip
def test_a_class_or_an_argument_that_is_not_allowed_becomes_a_plain_file(arbiter, cls, args):
    """No such thing is made, and no line is lost: it may be a class of an earlier configuration."""
    path = arbiter.allowed / "a.log"
    arbiter.segment(described(path, cls, args))
    arbiter.check()
    assert path.read_bytes() == b"evil\n"
    assert path.stat().st_uid == NOBODY
    arbiter.segment(described(arbiter.home / "b.log", cls, args), "1-1-2")
    arbiter.check()
    assert not (arbiter.home / "b.log").exists()


def test_what_is_no_description_is_refused(arbiter):
    """There is no file that it could be for."""
    path = arbiter.allowed / "a.log"
    arbiter.segment(described(path, args="[]"))
    arbiter.check()
    assert not path.exists()


@pytest.fixture
def labyrinth(tmp_path):
    """Return the path of a file behind more links than Python's realpath() can follow."""
    (tmp_path / "0").mkdir()
    for number in range(1500):
        (tmp_path / f"{number + 1}").symlink_to(f"{number}")
    return tmp_path / "1500" / "a.log"


def test_a_path_that_cannot_be_followed_stops_no_other_file(arbiter, labyrinth):
    """Neither a segment that names it nor a count of dropped records does."""
    arbiter.segment(described(labyrinth))
    arbiter.check()
    arbiter.segment(struct.pack("<QQ", 5, 0) + description(labyrinth), "2-1-0.drops")
    arbiter.check()


@pytest.mark.parametrize(
    "args", ['{"encoding": "ascii", "errors": "nonsense"}', '{"encoding": "idna"}']
)
def test_a_record_that_cannot_be_encoded_stops_no_other_file(arbiter, args):
    """What its file's encoding makes of it is seen only when it is written."""
    payload = json.dumps({"attributes": {"msg": "€" * 70}}).encode()
    record = frame.encode(frame.RECORD, 0, 1.0, payload)
    arbiter.segment(described(arbiter.allowed / "a.log", "logging.FileHandler", args, record))
    arbiter.check()


def test_a_period_beyond_all_time_stops_no_other_file(arbiter):
    """Python cannot calculate when it ends."""
    cls, args = "TimedRotatingFileHandler", f'{{"when": "midnight", "interval": {1 << 52}}}'
    arbiter.segment(described(arbiter.allowed / "a.log", f"logging.handlers.{cls}", args))
    arbiter.check()


def test_an_allowed_file_is_written(arbiter):
    """The other tests would pass as well if nothing were; and it is the worker's own."""
    arbiter.segment(described(arbiter.allowed / "a.log"))
    arbiter.check()
    assert (arbiter.allowed / "a.log").read_bytes() == b"evil\n"
    found = (arbiter.allowed / "a.log").stat()
    assert (found.st_uid, found.st_gid) == (NOBODY, NOBODY)


def test_a_directory_that_becomes_a_link_leads_nowhere(arbiter):
    """It was none when the path was checked: the worker owns it, and can replace it at any time."""
    inside, outside = arbiter.allowed / "inside", arbiter.home / "outside"
    inside.mkdir()
    os.chown(inside, NOBODY, NOBODY)
    outside.mkdir(mode=0o755)
    arbiter.segment(described(inside / "a.log"))
    arbiter.round()
    assert (inside / "a.log").read_bytes() == b"evil\n"
    inside.rename(arbiter.allowed / "moved")
    inside.symlink_to(outside)
    arbiter.segment(described(inside / "a.log"), "1-1-2")
    arbiter.check()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_link_to_a_file_of_another_user_is_not_written(arbiter, link):
    """It may be any file of this file system that the worker can link."""
    secret = arbiter.home / "secret"
    secret.write_text("secret\n")
    link(secret, arbiter.allowed / "a.log")
    arbiter.segment(described(arbiter.allowed / "a.log"))
    arbiter.check()
    assert secret.read_text() == "secret\n"


@pytest.mark.parametrize("configured", [True, False])
def test_a_file_of_roots_is_not_written_through_the_link_that_a_worker_named_it_by(
    arbiter, configured
):
    """The worker could lead it to any other file, and root would write that."""
    link, later, secret = arbiter.allowed / "a.log", arbiter.home / "later", arbiter.home / "secret"
    link.symlink_to(later)
    arbiter.segment(described(link))
    arbiter.round()
    handler = logging.FileHandler(later, delay=True)
    writer = SpoolWriter(arbiter.directory, LIMIT)
    writer.register(inside.description_of(handler))
    if configured:
        Configured(arbiter.sinks).add(handler)
    writer.put(line(text=b"root 1\n"))
    arbiter.check()
    link.unlink()
    link.symlink_to(secret)
    writer.put(line(text=b"root 2\n"))
    arbiter.check()
    writer.close()
    assert not secret.exists()
    assert later.read_bytes().endswith(b"root 1\nroot 2\n")


def test_a_group_that_the_worker_does_not_have_gives_it_no_rights(arbiter):
    """A file that is made in a directory with the set-group-ID bit has the group of that."""
    closed = arbiter.home / "closed"
    closed.mkdir()
    os.chown(closed, 0, 12)
    closed.chmod(0o770)
    os.chown(arbiter.segment(described(closed / "a.log")), NOBODY, 12)
    arbiter.check()
    assert list(closed.iterdir()) == []


def test_an_encoding_that_the_worker_cannot_read_stays_known(arbiter):
    """Python may be in root's home: what it cannot import once is unknown for ever."""
    arbiter.segment(described(arbiter.allowed / "a.log", args='{"encoding": "cp1026"}'))
    arbiter.check()
    assert "x".encode("cp1026")


def test_a_segment_may_change_under_the_reader(arbiter, monkeypatch):
    """Truncated, overwritten, grown and removed while it is open."""
    monkeypatch.setattr(merge, "HOLD", 0.0)  # or the zeros at its end would take that long
    good = described(arbiter.log)
    path = arbiter.segment(good * 50)
    with open(path, "r+b", buffering=0) as file:
        lock(file)
        arbiter.round()
        for size in (len(good) * 10, 3, 0):
            file.truncate(size)
            arbiter.check()
        os.pwrite(file.fileno(), os.urandom(100_000), 0)
        arbiter.check()
        file.truncate(1 << 33)  # 8 GiB, sparse
        arbiter.check()
        os.unlink(path)
        arbiter.check()
    arbiter.check()


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<IIdI", 0, 0xFFFFFFFF, 1.0, 2 << 16),
        struct.pack("<IIdI", 0, 1 << 31, float("nan"), 2 << 16),
        struct.pack("<IIdI", 0, 0, float("inf"), 0xFFFF << 16),
        bytes(500), b"\xff" * 500,
    ],
)  # fmt: skip
def test_impossible_frames_are_passed_over(arbiter, header):
    """Lengths, times and kinds that no honest writer writes."""
    good = described(arbiter.log)
    arbiter.segment(header + good)
    arbiter.segment(frame.SEGMENT_HEADER + header + good, "1-1-2")
    arbiter.segment(good + header, "1-1-3")
    arbiter.check()


@pytest.mark.parametrize("created", [-1e300, 0.0, float("nan"), float("inf"), 1e10, 1e300])
def test_a_record_of_another_age_holds_nobody_up(arbiter, monkeypatch, created):
    """A flood that is dated far back would be merged before everything else, for ever."""
    monkeypatch.setattr(merge, "HOLD", 0.0)
    flood = described(arbiter.log) + line(created, b"x" * 999 + b"\n") * 5_000
    arbiter.segment(flood)
    arbiter.check()


def test_many_tiny_segments_need_few_descriptors_and_bounded_looks(arbiter, monkeypatch):
    """Each with one line, of a writer of its own. Nobody looks at all of them at once.

    Or a batch, and even a log call, would take as long as that. The environment variable SEGMENTS
    sets how many, for a long run with the true limits.
    """
    segments = int(os.environ.get("SEGMENTS", "0"))
    if not segments:
        segments = 1_000
        monkeypatch.setattr(directory_module, "_MOST_FILES", 300)
        arbiter.delivery._reader.segments.most = 100
    for number in range(segments):
        arbiter.segment(described(arbiter.log), f"{number}-1-0")
    seen = Backlog.of(arbiter.directory).writers
    assert (
        seen
        == len(list(arbiter.directory.segments()))
        == min(segments, directory_module._MOST_FILES)
    )
    arbiters = SpoolWriter(arbiter.directory, LIMIT)
    arbiters.register(arbiter.description)
    most, longest, rounds, began = 0, 0.0, 0, time.monotonic()
    while Backlog.of(arbiter.directory).writers > 2:
        start = time.monotonic()
        arbiters.put(line(time.time(), b"the arbiter's\n"))
        batch = arbiter.delivery.next()
        most = max(most, len(os.listdir("/proc/self/fd")))
        arbiter.delivery.deliver(batch)
        arbiter.delivery.tidy()
        longest = max(longest, time.monotonic() - start)
        rounds += 1
    took = time.monotonic() - began
    arbiters.close()
    print(f"{segments} segments: {took:.0f} s, a log call and its batch {longest:.2f} s at most, "
          f"{most} descriptors")  # fmt: skip
    assert most < arbiter.delivery._reader.segments.most + 100
    arbiter.check()
    text = arbiter.log.read_bytes()
    assert (text.count(b"evil\n"), text.count(b"the arbiter's\n")) == (segments, rounds)


def test_stale_empty_segments_are_removed(arbiter):
    """Of writers that died, or only pretended to live; a new one may be about to be written."""
    old, new = arbiter.segment(b"", "1-1-1"), arbiter.segment(b"", "1-1-2")
    os.utime(old, (1, 1))
    arbiter.check()
    assert not os.path.exists(old)
    assert os.path.exists(new)


def test_forged_counts_of_dropped_records_are_harmless(arbiter, tmp_path):
    """Numbers beyond belief, a description of another file, a file too short or too long."""
    other = f'{{"class": "logging.FileHandler", "path": "{tmp_path}/other.log"}}'.encode()
    sink = arbiter.description
    for number, data in enumerate(
        [struct.pack("<QQ", (1 << 64) - 1, 0) + sink, struct.pack("<QQ", 0, 99) + sink,
         struct.pack("<QQ", 5, 0) + other, struct.pack("<QQ", 5, 0) + b"{", b"", bytes(1 << 20)]
    ):  # fmt: skip
        arbiter.segment(data, f"{number}-1-0.drops")
    arbiter.check()
    assert not (tmp_path / "other.log").exists()


def test_the_bell_can_be_rung_and_silenced_by_anybody(arbiter):
    """Full, or emptied by somebody else: the listener looks by itself once a second."""
    fd = os.open(arbiter.directory.bell, os.O_RDWR | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(fd, bytes(4096))
        arbiter.check()
        os.read(fd, 1 << 20)
        arbiter.check()
    finally:
        os.close(fd)


def test_random_and_damaged_input_raises_nothing_unexpected():
    """The short form of tests/campaign/fuzz.py."""
    assert sum(fuzz(10_000, seed=1).values()) >= 9_999
