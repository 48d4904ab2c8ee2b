"""What somebody does to the spool, or to the locks of log files, while a server runs."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from disks import UNPRIVILEGED
from harness import Load
from processes import children, wait_for_end, workers
from waiting import wait_for


def locks(pid):
    """Return the files that process `pid` has locked for itself alone, by device and inode."""
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and int(fields[4]) == pid:
            found.add(int(fields[5].rpartition(":")[2]))
    return found


def test_locks_of_log_files_that_somebody_removed_are_taken_again(server, program, tmp_path):
    """A service with a spool of its own must be refused, whatever somebody cleaned up."""
    base = tmp_path / "temporary"
    base.mkdir()
    running = server(confs=["without_memory_file_system"]).start()
    directory = base / f"queuelog-{os.getuid()}"
    with Load(running) as load:
        load.wait_for_requests(20)
        shutil.rmtree(directory)
        wait_for(lambda: len(list(directory.glob("locks/*"))) == 3, "the locks of three files")
        load.wait_for_requests(20)
    done = program(running.log_dir / "load.log", base, name="start_beside", check=False)
    assert "FileInUseError" in done.stderr
    assert running.stop() == 0
    running.count().check(at_least=800)


def test_a_second_server_cannot_become_the_owner_when_the_lock_was_removed(server, spool, program):
    """It takes the new lock file, finds the log files locked, and gives the spool up again."""
    running = server().start()
    with Load(running) as load:
        load.wait_for_requests(20)
        path = running.log_dir / "load.log"
        done = program(path, name="start_without_its_lock", check=False)
        assert "FileInUseError" in done.stderr
        lock = Path(spool, "lock")

        def is_ours():
            with suppress(OSError):
                return lock.stat().st_ino in locks(running.pid)

        wait_for(is_ours, "the server owns the spool again")
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=1_400)


def test_a_ledger_that_somebody_truncates_is_harmless(server, spool):
    """The next line in it is complete, and a start after a kill finds that."""
    running = server().start()
    ledger = Path(spool, "ledger")
    with Load(running) as load:
        load.wait_for_requests(50)
        for _ in range(3):
            os.truncate(ledger, 0)
            wait_for(lambda: ledger.stat().st_size, "the next line")
            load.wait_for_requests(20)
        old = workers(running)
        running.kill()
        wait_for_end(old)
        running.start()
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=3_200)


@pytest.mark.root
def test_a_read_only_spool_is_refused_at_the_start(python, spool, mount):
    """The message says what to do."""
    Path(spool).mkdir(mode=0o700)
    mount(spool, "-t", "tmpfs", "-o", "ro,mode=700", "none")
    done = python("import queuelog, sys; queuelog.start(spool=sys.argv[1])", spool, check=False)
    assert "SpoolError" in done.stderr
    assert "choose another place with start(spool=…)" in done.stderr


@pytest.mark.root
def test_a_spool_that_nobody_may_write_to_for_a_while_sends_lines_to_their_files(server, spool):
    """New segments cannot be made; as soon as they can, everything goes through the spool again."""
    running = server(prefix=UNPRIVILEGED).start()
    incoming = Path(spool, str(os.getuid()))
    with Load(running) as load:
        load.wait_for_requests(20)
        incoming.chmod(0o500)
        running.send(signal.SIGHUP)  # new workers have no segment yet
        running.wait_for_report("cannot write to the spool")
        load.wait_for_requests(100)
        incoming.chmod(0o700)

        def segments():
            return {int(path.name.partition("-")[0]) for path in incoming.glob("*-*-*")}

        wait_for(lambda: segments().issuperset(children(running.pid)), "segments of all workers")
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=3_400)
    assert "Traceback" not in running.errors()


def test_a_memory_file_system_that_cannot_be_written_is_passed_over(program, tmp_path, monkeypatch):
    """In a container /dev/shm may be there for root alone."""
    (tmp_path / "shm").mkdir(mode=0o555)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    done = program(tmp_path / "shm", name="print_base_directory", prefix=UNPRIVILEGED)
    assert done.stdout == f"{tmp_path}/tmp/queuelog-{os.getuid()}\n"
