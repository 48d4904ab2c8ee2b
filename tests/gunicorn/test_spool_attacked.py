"""What somebody does to the spool, or to the locks of log files, while a server runs."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from disks import ROOT, UNPRIVILEGED
from harness import Load, alive, children, wait_for
from processes import workers


def locks(pid):
    """Return the files that process `pid` has locked for itself alone, by device and inode."""
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and int(fields[4]) == pid:
            found.add(int(fields[5].rpartition(":")[2]))
    return found


def test_locks_of_log_files_that_somebody_removed_are_taken_again(server, spool, python, tmp_path):
    """A service with a spool of its own must be refused, whatever somebody cleaned up."""
    base = tmp_path / "temporary"
    base.mkdir()
    place = (
        "from queuelog import _spool\n_spool._SHM = '/nowhere'\nimport tempfile\n"
        f"tempfile.tempdir = {str(base)!r}\n"
    )
    running = server(extra=place).start()
    directory = base / f"queuelog-{os.getuid()}"
    other = (
        f"{place}"
        "import logging, sys, queuelog\n"
        "logging.getLogger('x').addHandler(logging.FileHandler(sys.argv[1], delay=True))\n"
        "queuelog.start(spool=sys.argv[2])\n"
    )
    with Load(running) as load:
        load.wait_for_requests(20)
        shutil.rmtree(directory)
        wait_for(lambda: len(list(directory.glob("locks/*"))) == 3, "the locks of three files")
        load.wait_for_requests(20)
    done = python(other, running.log_dir / "load.log", tmp_path / "other", check=False)
    assert "FileInUseError" in done.stderr
    assert running.stop() == 0
    running.count().check(at_least=800)


def test_a_second_server_cannot_become_the_owner_when_the_lock_was_removed(server, spool, python):
    """It takes the new lock file, finds the log files locked, and gives the spool up again."""
    running = server().start()
    program = (
        "import logging, os, sys, queuelog\n"
        "logging.getLogger('x').addHandler(logging.FileHandler(sys.argv[1], delay=True))\n"
        "os.unlink(sys.argv[2] + '/lock')\n"
        "queuelog.start(spool=sys.argv[2])\n"
    )
    with Load(running) as load:
        load.wait_for_requests(20)
        done = python(program, running.log_dir / "load.log", spool, check=False)
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
        wait_for(lambda: not any(map(alive, old)), "the workers end")
        running.start()
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=3_200)


@ROOT
def test_a_read_only_spool_is_refused_at_the_start(python, spool, mount):
    """The message says what to do."""
    Path(spool).mkdir(mode=0o700)
    mount(spool, "-t", "tmpfs", "-o", "ro,mode=700", "none")
    done = python("import queuelog, sys; queuelog.start(spool=sys.argv[1])", spool, check=False)
    assert "SpoolError" in done.stderr
    assert "choose another place with start(spool=…)" in done.stderr


@ROOT
def test_a_spool_that_nobody_may_write_to_for_a_while_sends_lines_to_their_files(server, spool):
    """New segments cannot be made; as soon as they can, everything goes through the spool again."""
    running = server(prefix=UNPRIVILEGED).start()
    incoming = Path(spool, str(os.getuid()))
    with Load(running) as load:
        load.wait_for_requests(20)
        incoming.chmod(0o500)
        running.send(signal.SIGHUP)  # new workers have no segment yet
        wait_for(lambda: "cannot write to the spool" in running.errors(), "a report")
        load.wait_for_requests(100)
        incoming.chmod(0o700)

        def segments():
            return {int(path.name.partition("-")[0]) for path in incoming.glob("*-*-*")}

        wait_for(lambda: segments().issuperset(children(running.pid)), "segments of all workers")
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=3_400)
    assert "Traceback" not in running.errors()


def test_a_memory_file_system_that_cannot_be_written_is_passed_over(tmp_path):
    """In a container /dev/shm may be there for root alone."""
    (tmp_path / "shm").mkdir(mode=0o555)
    (tmp_path / "tmp").mkdir()
    program = (
        "import os, sys\n"
        "from queuelog import _spool\n"
        "_spool._SHM = sys.argv[1]\n"
        "print(_spool.base_directory())\n"
    )
    command = [*UNPRIVILEGED, sys.executable, "-c", program, tmp_path / "shm"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == f"{tmp_path}/tmp/queuelog-{os.getuid()}\n"
