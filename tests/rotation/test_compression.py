"""Compression in the background: whole archives, of the same rights, whatever happens meanwhile."""

import fcntl
import gzip
import os
import signal
import stat
import sys
import threading
import warnings
from pathlib import Path

import inside
import pytest
from rolled import Log
from waiting import wait_for

from queuelog.base import User, acting_as, opened


@pytest.fixture
def at_once(monkeypatch):
    """Let backups be compressed at once."""
    monkeypatch.setattr(inside.compression, "GRACE", 0.0)
    monkeypatch.setattr(inside.compression, "_RETRY", 0.0)


@pytest.fixture
def rolled(log, at_once):
    """Return a function that makes a log whose backups are compressed."""
    made = []

    def make(**options):
        options = {"when": "midnight", "utc": True, "compression": "gzip", **options}
        made.append(Log(log, **options))
        return made[-1]

    yield make
    for one in made:
        one.backups.close()


def with_a_backup(log, text="x"):
    """Let a log have a backup of one line; return its path."""
    log.write(text)
    return log.roll_over()


def start(log):
    """Start a compression; return the process id of the compressor."""
    log.backups.tick(log.now + 1e6)
    return inside.compressor(log.backups)


def end(log):
    """Wait until the compression is over."""

    def is_over():
        log.backups.tick(log.now + 1e6)
        return inside.order_of_compression(log.backups) is None

    wait_for(is_over, "the compression is over")


@pytest.mark.parametrize("pidfd", [True, False])
def test_an_archive_takes_the_place_of_the_plain_file(rolled, monkeypatch, pidfd):
    """With its time and its permissions; also on kernels without descriptors of processes."""
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    log = rolled(permissions="0604")
    before = os.stat(with_a_backup(log, "x" * 1_000_000))
    log.compress()
    (name,) = log.names()
    found = os.stat(f"{log.path.removesuffix('app.log')}{name}")
    assert name.endswith(".gz")
    assert log.lines(name) == ["x" * 1_000_000]
    assert stat.S_IMODE(found.st_mode) == 0o604
    assert found.st_mtime_ns == before.st_mtime_ns
    assert log.hidden() == []
    assert not children()


def children():
    """Return the children of this process, zombies included."""
    path = f"/proc/self/task/{threading.get_native_id()}/children"
    return [pid for pid in Path(path).read_text().split() if is_compressor(pid)]


def is_compressor(pid):
    """Tell if a process is one, or a zombie."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return not command or b"compressor" in command


def has_ended(pid):
    """Tell if a process is gone, or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.root
def test_an_archive_belongs_to_the_same_user(rolled):
    """Who may read the backup may read it."""
    log = rolled()
    os.chown(with_a_backup(log), 12, 34)
    log.compress()
    found = os.stat(f"{os.path.dirname(log.path)}/{log.names()[0]}")
    assert (found.st_uid, found.st_gid) == (12, 34)


def test_zstd_where_there_is_such_a_module(rolled):
    """Python 3.14, or the package backports.zstd."""
    try:
        from compression.zstd import decompress  # noqa: PLC0415
    except ImportError:
        decompress = pytest.importorskip("backports.zstd").decompress
    log = rolled(compression="zstd")
    with_a_backup(log)
    start(log)
    end(log)
    (name,) = log.names(".zst")
    assert decompress(Path(log.path).with_name(name).read_bytes()) == b"x\n"


def test_late_lines_are_waited_for(rolled, monkeypatch):
    """A few seconds; a clock that was put back makes that no longer."""
    log = rolled()
    path = with_a_backup(log)
    monkeypatch.setattr(inside.compression, "GRACE", 5.0)
    changed = os.stat(path).st_ctime
    log.backups.tick(changed + 4)
    assert inside.order_of_compression(log.backups) is None
    log.backups.tick(changed - 99)
    assert inside.order_of_compression(log.backups) is not None


def test_a_line_that_comes_during_a_compression_is_not_lost(rolled):
    """The archive that lacks it is thrown away; the next one has it."""
    log = rolled()
    path = with_a_backup(log)
    pid = start(log)
    wait_for(lambda: has_ended(pid), "it has read the file")
    with open(path, "a", encoding="utf-8") as file:
        file.write("late\n")
    end(log)
    assert log.names() == [os.path.basename(path)]
    log.compress()
    assert log.lines(log.names()[0]) == ["x", "late"]
    assert log.hidden() == []


def test_a_backup_that_moves_meanwhile_is_compressed_where_it_is(rolled):
    """A rollover gives it another number."""
    log = rolled(names="numbered")
    with_a_backup(log, "one")
    start(log)
    with_a_backup(log, "two")
    end(log)
    assert log.names() == ["app.log.1", "app.log.2.gz"]
    assert log.lines("app.log.2.gz") == ["one"]


def test_a_backup_that_is_removed_meanwhile_leaves_nothing(rolled):
    """Somebody needed room."""
    log = rolled()
    path = with_a_backup(log)
    start(log)
    os.unlink(path)
    end(log)
    assert log.names() == log.hidden() == []


def test_what_is_being_compressed_is_not_removed(rolled):
    """But afterwards."""
    log = rolled(keep=1, max_size=1000)
    with_a_backup(log, "one")
    start(log)
    with_a_backup(log, "two")
    assert log.backups.retire(log.now) == []
    end(log)
    assert len(log.backups.retire(log.now)) == 1
    assert set(log.everything()) == {"two"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_compressor_that_is_killed_is_reported_and_started_again(rolled, number, capfd):
    """By the kernel that needs memory, for instance."""
    log = rolled()
    with_a_backup(log, "x" * 5_000_000)
    os.kill(start(log), number)
    end(log)
    assert "was killed" in capfd.readouterr().err
    log.compress()
    assert log.hidden() == []


def test_who_reaps_all_children_is_not_in_the_way(rolled):
    """Gunicorn's arbiter waits for any process."""
    log = rolled()
    with_a_backup(log)
    pid = start(log)
    assert wait_for(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid or None, "it is over")
    end(log)
    assert log.names(".gz")


@pytest.mark.parametrize("source", ["missing", "write only"])
def test_whatever_fails_the_exit_status_is_zero(tmp_path, source):
    """Others mean something to Gunicorn: 3 and 4 stop the server."""
    script = Path(inside.compression.__file__).with_name("compressor.py")
    fd = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
    actions = (
        [(os.POSIX_SPAWN_DUP2, fd, 0)] if source == "write only" else [(os.POSIX_SPAWN_CLOSE, 0)]
    )
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", str(script), "gzip"],
        os.environ,
        file_actions=actions,
    )
    os.close(fd)
    assert os.waitpid(pid, 0)[1] == 0


def test_an_interpreter_that_is_gone_is_reported(rolled, monkeypatch, capfd):
    """As after an upgrade of Python below a server that runs."""
    log = rolled()
    path = with_a_backup(log)
    monkeypatch.setattr(sys, "executable", "/nothing")
    log.backups.tick(log.now + 1e6)
    assert "cannot compress" in capfd.readouterr().err
    monkeypatch.undo()
    log.backups.recover()
    assert log.names() == [os.path.basename(path)]
    assert log.hidden() == []


@pytest.mark.root
def test_a_full_disk_is_reported_and_leaves_the_plain_file(mount, tmp_path, at_once, capfd):
    """And no half archive."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount(str(directory), "-t", "tmpfs", "-o", "size=300k", "none")
    log = Log(directory / "app.log", when="D", compression="gzip")
    log.write(os.urandom(120_000).hex())
    log.roll_over()
    start(log)
    end(log)
    assert "No space left" in capfd.readouterr().err
    assert len(log.names()) == 1
    log.backups.recover()
    assert log.hidden() == []


def test_a_name_that_is_taken_is_left_to_whoever_has_it(rolled):
    """The backup stays plain; others are compressed."""
    log = rolled(names="numbered")
    with_a_backup(log, "one")
    Path(f"{log.path}.1.gz").write_bytes(gzip.compress(b"somebody's\n"))
    log.backups.tick(log.now + 1e6)
    assert inside.order_of_compression(log.backups) is None
    with_a_backup(log, "two")
    log.backups.tick(log.now + 1e6)
    end(log)
    assert log.names() == ["app.log.1.gz", "app.log.2", "app.log.2.gz"]
    assert log.lines("app.log.2.gz") == ["somebody's"]


def test_close_ends_it_and_the_next_process_begins_again(rolled):
    """Nothing is left but the plain file."""
    log = rolled()
    path = with_a_backup(log, "x" * 20_000_000)
    pid = start(log)
    log.backups.close()
    wait_for(lambda: has_ended(pid), "it has ended")
    assert log.hidden() == []
    assert log.names() == [os.path.basename(path)]
    log.restart()
    log.compress()
    assert log.names(".gz")


def test_a_forked_child_keeps_nothing_of_it(rolled):
    """It lets go of two descriptors, and its parent's compression goes on."""
    log = rolled()
    before = set(os.listdir("/proc/self/fd"))
    with_a_backup(log, "x" * 5_000_000)
    start(log)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        log.backups.abandon()
        os._exit(set(os.listdir("/proc/self/fd")) != before)
    assert os.waitpid(pid, 0)[1] == 0
    end(log)
    assert log.names(".gz")
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_compressor_is_idle_and_has_no_other_descriptor(rolled, tmp_path):
    """Of processor and disk it takes what nobody else wants; sockets of the server stay there."""
    log = rolled()
    inherited = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    with_a_backup(log, "x" * 20_000_000)
    pid = start(log)
    wait_for(lambda: os.sched_getscheduler(pid) == os.SCHED_IDLE, "it is idle")
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert not {str(inherited)} & set(os.listdir(f"/proc/{pid}/fd"))
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    os.close(inherited)


def test_an_empty_backup_stays_as_it_is(rolled):
    """A late line may still come."""
    log = rolled()
    log.backups.late(log.backups.schedule.period(0.0), 1)
    log.backups.tick(log.now + 1e6)
    assert inside.order_of_compression(log.backups) is None


def test_backups_that_rollovers_rename_all_the_time_are_compressed(rolled, monkeypatch):
    """What counts is the last write to them; only the newest was the live file just now."""
    log = rolled(names="numbered")
    with_a_backup(log, "one")
    newest = os.stat(with_a_backup(log, "two")).st_ctime
    for name in ("app.log.1", "app.log.2"):
        os.utime(Path(log.path).with_name(name), (newest - 9, newest - 9))
    monkeypatch.setattr(inside.compression, "GRACE", 5.0)
    log.backups.tick(newest + 1)
    assert inside.order_of_compression(log.backups) == 1


@pytest.mark.parametrize("instead", ["file", "pipe", "link"])
def test_what_took_the_name_of_the_archive_meanwhile_gets_no_other_rights(rolled, instead, capfd):
    """A user who owns the directory cannot make root give him a file; the backup stays plain."""
    log = rolled()
    os.chmod(with_a_backup(log), 0o666)
    secret = Path(log.path).with_name("secret")
    secret.write_text("secret\n")
    secret.chmod(0o600)
    pid = start(log)
    wait_for(lambda: has_ended(pid), "the archive is complete")
    (name,) = inside.temporaries(log.backups)
    temporary = Path(log.path).with_name(name)
    temporary.unlink()
    if instead == "file":
        secret.rename(temporary)
        secret = temporary
    elif instead == "pipe":
        os.mkfifo(temporary)
    else:
        temporary.symlink_to(secret)
    fd = os.open(secret, os.O_RDONLY)
    end(log)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o600
    os.close(fd)
    assert set(log.everything()) == {"x"}
    assert "cannot compress" in capfd.readouterr().err


def test_another_file_by_the_name_of_the_backup_is_not_replaced(rolled):
    """Though it begins alike and is as long as the one that was compressed."""
    log = rolled()
    path = with_a_backup(log, "x" * 300 + "1")
    pid = start(log)
    wait_for(lambda: has_ended(pid), "it has read the file")
    os.rename(path, f"{log.path}.mine")
    Path(path).write_text("x" * 300 + "2\n")
    end(log)
    assert set(log.everything()) == {"x" * 300 + "1", "x" * 300 + "2"}


def test_a_compressor_ends_when_nobody_waits_for_it_any_more(tmp_path):
    """Its server was killed: the next one begins anew."""
    script = Path(inside.compression.__file__).with_name("compressor.py")
    dest = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
    (source, feed), (answer, said) = os.pipe(), os.pipe()
    given = {0: source, 1: dest, 3: said}
    copies = {at: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for at, fd in given.items()}
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-I", str(script), "gzip"], os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in copies.items()],
    )  # fmt: skip
    for fd in (source, dest, answer, said, *copies.values()):
        os.close(fd)
    with pytest.raises(BrokenPipeError):
        feed_much(feed)
    os.close(feed)
    assert os.waitpid(pid, 0)[1] == 0


def feed_much(fd):
    """Write 64 MB."""
    for _ in range(1000):
        os.write(fd, bytes(1 << 16))


def test_what_has_failed_is_not_tried_again_at_once(rolled, monkeypatch):
    """A disk that is full now is full in a second, too."""
    monkeypatch.setattr(inside.compression, "_RETRY", 1000.0)
    log = rolled()
    with_a_backup(log)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nothing")
        log.backups.tick(log.now + 1e6)
    log.backups.tick(log.now + 1e6)
    assert inside.order_of_compression(log.backups) is None


@pytest.mark.root
def test_an_archive_that_cannot_have_the_group_is_for_its_owner_only(tmp_path):
    """The group that it has instead shall not read it."""
    (tmp_path / "plain").touch()
    (tmp_path / "plain").chmod(0o640)
    os.chown(tmp_path / "plain", 12, 56)
    original = os.stat(tmp_path / "plain")
    with opened(tmp_path / "archive", os.O_RDWR | os.O_CREAT) as fd:
        os.fchown(fd, 12, 34)
        with acting_as(User(12, 34)):
            inside.files.copy_access(fd, original)
        found = os.fstat(fd)
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (34, 0o600)
