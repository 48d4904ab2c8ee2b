"""Ways in which lines were lost or doubled, or in which the listener hung."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

from disks import ROOT, fill

from queuelog import _frame
from queuelog._description import describe
from queuelog._reader import SpoolReader
from queuelog._spool import FileLock, SpoolDirectory
from queuelog._writer import SpoolWriter

# Programs that log to files in the working directory, and are told the spool.
BEGIN = """
import logging, logging.handlers, os, resource, signal, socket, sys, time
import queuelog

def logger(path, handler=logging.FileHandler, **options):
    new = handler(os.path.abspath(path), delay=True, **options)
    new.setFormatter(logging.Formatter("%(message)s"))
    found = logging.getLogger(path)
    found.addHandler(new)
    found.setLevel(logging.INFO)
    return found

def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)

def content(path):
    return open(path).read() if os.path.exists(path) else ""
"""

KILLED_BETWEEN_TWO_SINKS = """
failing = logger("gone/failing.log")
other = logger("other.log", logging.handlers.RotatingFileHandler, maxBytes=20, backupCount=9)
other.handlers[0].rotator = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
queuelog.start(spool=sys.argv[1])
failing.info("failing")
for number in range(3):
    other.info("a line of other %d", number)
wait_for(lambda: False)
"""

NEXT_RUN = """
failing = logger("gone/failing.log")
other = logger("other.log", logging.handlers.RotatingFileHandler, maxBytes=20, backupCount=9)
queuelog.start(spool=sys.argv[1])
other.info("a line of other 3")
wait_for(lambda: content("other.log").endswith("3\\n") and content("gone/failing.log"))
queuelog.stop()
"""


def test_a_sink_that_failed_when_the_owner_was_killed_gets_its_lines_once(python, spool, tmp_path):
    """It caught up before the open batch was finished, which then was written to it again.

    Failures B14: a killed arbiter loses and doubles nothing.
    """
    killed = python(BEGIN + KILLED_BETWEEN_TWO_SINKS, spool, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (tmp_path / "gone").mkdir()
    python(BEGIN + NEXT_RUN, spool)
    assert (tmp_path / "gone" / "failing.log").read_text() == "failing\n"


REMOVED = """
fd = os.open("out", os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.unlink("out")
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
lines = logger(f"/dev/fd/{fd}")
queuelog.start(spool=sys.argv[1])
lines.info("once")
wait_for(lambda: os.fstat(fd).st_size)
queuelog.stop()
print(os.pread(fd, 100, 0).decode(), end="")
"""


def test_a_file_without_a_name_gets_each_line_once(python, spool):
    """Standard output can be a file that was removed: nobody took what was written to it away.

    Failures E3: a file that goes while it is written to.
    """
    assert python(BEGIN + REMOVED, spool).stdout == "once\n"


TOO_LONG = """
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("log")
server.settimeout(30)
handler = logging.handlers.SysLogHandler(os.path.abspath("log"))
handler.set_name("syslog")
logging.root.addHandler(handler)
queuelog.start(spool=sys.argv[1], own=["syslog"])
logging.warning("too long" * 1_000_000)
logging.warning("next")
print(server.recv(1000).rstrip(b"\\0").decode())
queuelog.stop()
"""


def test_a_record_that_is_too_long_for_its_server_holds_nothing_up(python, spool):
    """No datagram can hold it: tried again for ever, it would keep all later ones in the spool.

    Failures B15: one bad record.
    """
    done = python("import socket\n" + BEGIN + TOO_LONG, spool)
    assert done.stdout.endswith("next\n"), done.stderr


@ROOT
def test_a_lock_without_room_for_its_note_is_held(tmp_path, mount):
    """It was held by a descriptor that nobody knew of, so that its process waited for itself.

    Failures B13: a full disk that has room again.
    """
    mount(tmp_path, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    fill(tmp_path / "fill")
    lock = FileLock(str(tmp_path / "lock"))
    other = FileLock(str(tmp_path / "lock"))
    assert lock.acquire("note")
    assert not other.acquire("note")
    lock.release()
    assert other.acquire("note")
    other.release()


@ROOT
def test_an_empty_segment_that_its_writer_holds_stays(tmp_path, mount):
    """Without room its first line went to the file; the next one would go into a removed segment.

    Failures B13: a full disk that has room again.
    """
    mount(tmp_path, "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs")
    directory = SpoolDirectory(str(tmp_path / "spool"), os.geteuid())
    directory.create()
    writer = SpoolWriter(directory, 1 << 20)
    handler = logging.FileHandler(tmp_path / "app.log", delay=True)
    sink = writer.register(describe(handler))
    fill(tmp_path / "fill")
    writer.put(_frame.encode(_frame.LINE, sink, 1.0, b"line\n"))
    ((_, name),) = directory.segments()
    segment = Path(directory.incoming(os.geteuid())) / name
    assert segment.stat().st_size == 0
    os.utime(segment, (1.0, 1.0))
    SpoolReader(directory, 1 << 20).remove_stale()
    assert segment.exists()
    writer.close()
    SpoolReader(directory, 1 << 20).remove_stale()
    assert not segment.exists()


NO_THREAD = """
directory = os.path.dirname(sys.argv[1])
user = 100_000 + os.getpid()  # the limit counts what else this user runs
os.chown(directory, user, user)
os.setuid(user)
lines = logger(f"{directory}/lines.log")
queuelog.start(spool=sys.argv[1])
lines.info("before")
wait_for(lambda: content(f"{directory}/lines.log"))
resource.setrlimit(resource.RLIMIT_NPROC, (2, 100))
for limit in (100, 100):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, 100))
lines.info("after")
wait_for(lambda: "after" in content(f"{directory}/lines.log"))
queuelog.stop()
"""


@ROOT
def test_the_listener_goes_on_at_the_next_fork_where_there_was_no_thread(python, spool):
    """It counted as running for ever, although the limit of processes had kept it from starting.

    Failures B10f: forks under load.
    """
    done = python(BEGIN + NO_THREAD, spool)
    assert "can't start new thread" in done.stderr


FORGED = """
directory = os.path.dirname(sys.argv[1])
os.chmod(directory, 0o711)
lines = logger("lines.log")
queuelog.start(spool=sys.argv[1], user=54321)
child = os.fork()
if child == 0:
    os.setuid(54321)
    from queuelog import _frame
    frames = _frame.encode(_frame.DESCRIPTION, 0, 0.0, b'{"name": "nobody", "class": "x"}')
    frames += _frame.encode(_frame.RECORD, 0, 1.0, b'{"msg": "forged"}')
    with open(f"{sys.argv[1]}/54321/1-1-1", "wb") as file:
        file.write(frames)
    os._exit(0)
os.waitpid(child, 0)
wait_for(lambda: not os.listdir(f"{sys.argv[1]}/54321"))
queuelog.stop()
"""


@ROOT
def test_a_handler_that_a_stranger_invents_keeps_nothing_in_the_spool(python, spool):
    """One forged record kept all later ones of everybody there, until no room was left for any.

    Failures B15: what a worker sends cannot harm the arbiter.
    """
    assert "refused" in python(BEGIN + FORGED, spool).stderr


FAILING_AND_KILLED = """
failing = logger("gone/failing.log")
queuelog.start(spool=sys.argv[1])
listener = queuelog._bridge._bridge._listener
failing.info("failing")
wait_for(lambda: listener.delivery.held)
failing.info("failing again")
(name,) = [name for _, name in listener.queue.directory.segments()]
end = os.stat(listener.queue.directory.incoming(os.geteuid()) + "/" + name).st_size
wait_for(lambda: end in listener.delivery._ledger.state.main.offsets.values())
listener.stop()
os.kill(os.getpid(), signal.SIGKILL)
"""

LOOK_AGAIN = """
failing = logger("gone/failing.log")
queuelog.start(spool=sys.argv[1])
listener = queuelog._bridge._bridge._listener
listener.stop()
delivery = listener.delivery
print(delivery.held, delivery.retry(at_once=True), delivery.patience() > 0)
listener.start()
queuelog.stop()
"""


def test_what_cannot_be_read_for_a_sink_that_lags_is_not_asked_for_all_the_time(
    python, spool, tmp_path
):
    """The listener span: it took what was not there for more to write.

    Failures B14: what a killed arbiter has left.
    """
    killed = python(BEGIN + FAILING_AND_KILLED, spool, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (segment,) = (Path(spool) / str(os.geteuid())).iterdir()
    os.link(segment, f"{segment}x")
    (tmp_path / "gone").mkdir()
    done = python(BEGIN + LOOK_AGAIN, spool)
    held = f"['{tmp_path}/gone/failing.log']"
    assert done.stdout == f"{held} False True\n", done.stderr


DESCRIPTORS_CLOSED = """
from queuelog._writer import RING_INTERVAL

lines = logger("lines.log")
queuelog.start(spool=sys.argv[1])
child = os.fork()
if child == 0:
    lines.info("before")
    rung = time.monotonic()
    wait_for(lambda: time.monotonic() > rung + RING_INTERVAL)
    os.closerange(3, 100)
    others = [open(f"other{number}", "wb") for number in range(9)]
    for number in range(3):
        lines.info("after %d", number)
        rung = time.monotonic()
        wait_for(lambda: time.monotonic() > rung + RING_INTERVAL)
    os._exit(0)
os.waitpid(child, 0)
queuelog.stop()
print(content("lines.log"), *[content(f"other{number}") for number in range(9)], end="")
"""


def test_a_process_that_closes_all_descriptors_logs_on_and_writes_into_no_other_file(python, spool):
    """As daemons do: the numbers of the segment and of the bell then are other files.

    Failures B3c: a process that does what it wants.
    """
    assert python(BEGIN + DESCRIPTORS_CLOSED, spool).stdout.split() == (
        ["before", "after", "0", "after", "1", "after", "2"]
    )


LINKED = """
lines = logger("logs/lines.log")
queuelog.start(spool=sys.argv[1])
for number in range(5):
    lines.info("%d", number)
if os.path.islink("logs"):
    wait_for(lambda: content("big/lines.log").count("4") == 2)
queuelog.stop()
"""


def test_a_directory_that_became_a_link_before_the_next_start_gets_what_waited(
    python, spool, tmp_path
):
    """The usual repair of a full disk: the lines waited for a path that nobody looked up again.

    Failures B13: a full disk that has room again.
    """
    assert "the records stay in the spool" in python(BEGIN + LINKED, spool).stderr
    (tmp_path / "big").mkdir()
    (tmp_path / "logs").symlink_to("big")
    python(BEGIN + LINKED, spool)
    lines = (tmp_path / "big" / "lines.log").read_text().split()
    assert sorted(lines) == list("0011223344")


WAITING = """
handler = logging.handlers.SysLogHandler(os.path.abspath("nowhere"))
handler.set_name("syslog")
logging.root.addHandler(handler)
queuelog.start(spool=sys.argv[1], own=["syslog"])
logging.warning("a server that is not there")
queuelog.stop()
"""

WITHOUT_IT = """
lines = logger("lines.log")
queuelog.start(spool=sys.argv[1], backlog=1 << 20, wait=30.0)
for number in range(3000):
    lines.info("%04d %s", number, "x" * 1000)
queuelog.stop()
"""


def test_records_of_a_handler_that_was_removed_do_not_fill_the_spool_for_ever(
    python, spool, tmp_path
):
    """At half the limit they are given up, and counted: they kept all later ones in the spool."""
    python("import socket\n" + BEGIN + WAITING, spool)
    done = python(BEGIN + WITHOUT_IT, spool)
    assert "1 records of name:syslog were dropped" in done.stderr
    assert "were dropped by process" not in done.stderr
    lines = (tmp_path / "lines.log").read_text().splitlines()
    assert [int(line[:4]) for line in lines] == list(range(3000))


LONG = """
lines = logger("lines.log")
queuelog.start(spool=sys.argv[1], backlog=1 << 16)
lines.info("before")
lines.info("x" * 500_000)
lines.info("after")
queuelog.stop()
"""


def test_a_record_that_is_longer_than_the_limit_is_written_directly(python, spool, tmp_path):
    """The reader took its length for a lie, and passed over all that followed in the segment."""
    done = python(BEGIN + LONG, spool)
    assert "are more than the backlog limit" in done.stderr
    lines = (tmp_path / "lines.log").read_text().split()
    assert sorted(map(len, lines)) == [len("after"), len("before"), 500_000]


REFUSED = r"""
import socketserver, threading

class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            if not line.startswith(b"data"):
                self.wfile.write(b"250 yes\r\n")
                continue
            self.wfile.write(b"354 go on\r\n")
            text = b"".join(iter(self.rfile.readline, b".\r\n"))
            wanted = b"refuse me" not in text
            print("accepted" if wanted else "refused", flush=True)
            self.wfile.write(b"250 yes\r\n" if wanted else b"554 no\r\n")

server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
handler = logging.handlers.SMTPHandler(server.server_address, "a@example.com", "b@example.com", "x")
handler.set_name("mail")
logging.root.addHandler(handler)
queuelog.start(spool=sys.argv[1], own=["mail"])
logging.error("refuse me")
logging.error("take me")
queuelog.stop()
"""


def test_a_mail_that_its_server_refuses_holds_nothing_up(python, spool):
    """Tried again for ever, it would keep all later ones in the spool.

    Failures B15: one bad record.
    """
    done = python(BEGIN + REFUSED, spool)
    # The third is queuelog's report of the loss, which the root logger's handlers get as well.
    assert done.stdout.splitlines() == ["refused", "accepted", "accepted"], done.stderr


FEW_DESCRIPTORS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
"""

MANY_FILES = r"""
queuelog.start(spool=sys.argv[1])
if os.fork() == 0:
    for number in range(150):
        found = logger(f"{number}.log")
        queuelog.setup()
        found.info("%d", number)
    wait_for(lambda: all(content(f"{number}.log") == f"{number}\n" for number in range(150)))
    os._exit(0)
assert os.wait()[1] == 0
queuelog.stop()
"""


def test_more_files_than_the_owner_has_descriptors_get_their_lines(python, spool):
    """Each takes two: those that nobody writes make room for others."""
    python(FEW_DESCRIPTORS + BEGIN + MANY_FILES, spool)
