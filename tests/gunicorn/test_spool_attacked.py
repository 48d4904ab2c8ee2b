"""What somebody does to the spool while a server runs."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from disks import UNPRIVILEGED
from harness import Load
from processes import children, wait_for_end, workers
from rotating import by_size
from spools import is_owned, the_spool
from waiting import wait_for

ROTATES = by_size(100_000_000)


def test_a_second_service_is_refused_when_the_spool_was_removed(server, spool, program, tmp_path):
    """It finds no owner that it could log through, but the log file itself is locked."""
    running = server(handler=ROTATES).start()
    with Load(running) as load:
        load.wait_for_requests(20)
        shutil.rmtree(spool)
        load.wait_for_requests(20)
        done = program(running.log_dir / "load.log", tmp_path, name="start_blindly", check=False)
        assert "FileInUseError" in done.stderr
        assert str(running.pid) in done.stderr
        load.wait_for_requests(20)
    assert running.stop() == 0
    running.count().check(at_least=1_200)


def test_a_second_server_cannot_become_the_owner_when_the_lock_was_removed(server, spool, program):
    """It never has the log file; and what it has taken of the spool, the server has again."""
    running = server(handler=ROTATES).start()
    with Load(running) as load:
        load.wait_for_requests(20)
        path = running.log_dir / "load.log"
        program(path, name="start_without_its_lock")
        wait_for(lambda: is_owned(the_spool(spool)), "the server owns the spool again")
        load.wait_for_requests(50)
    assert running.stop() == 0
    running.count().check(at_least=1_400)


def test_a_ledger_that_somebody_truncates_is_harmless(server, spool):
    """The next line in it is complete, and a start after a kill finds that."""
    running = server().start()
    ledger = Path(the_spool(spool).ledger)
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
    incoming = Path(the_spool(spool).incoming(os.getuid()))
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
