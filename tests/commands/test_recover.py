"""`queuelog recover`: what a killed service has left is written, each record once."""

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from services import NOBODY

RECORDS = 20_000
LINES = [f"{number:08d} {'x' * 100}" for number in range(RECORDS)]


@pytest.fixture
def left(program, spool):
    """Let a service leave many records, and be killed."""
    program(name="leave_much", check=False)
    return spool


def test_all_that_was_left_is_written(left, queuelog, log):
    """And the spool is gone; again, there is nothing to do."""
    done = queuelog("recover", left)
    assert done.stdout.endswith(f": {RECORDS:,} records written, nothing is left\n")
    assert log.read_text().splitlines() == LINES
    assert os.listdir(left) == []
    queuelog("recover", left, code=2)


def test_a_recovery_that_is_killed_goes_on_where_it_was(left, program, queuelog, log):
    """In the middle of it, twice, between a write and the ledger: each record is there once."""
    for passed in (0, 1):
        done = program(passed, name="killed_at_a_write", check=False)
        assert done.returncode == -9, done.stderr
    assert 0 < len(log.read_text().splitlines()) < RECORDS
    queuelog("recover", left)
    assert log.read_text().splitlines() == LINES


def test_what_has_an_owner_is_refused(background, queuelog, spool):
    """That writes it."""
    service = background("own_and_wait")
    assert service.stdout.readline() == "up\n"
    done = queuelog("recover", spool, code=1)
    assert f"process {service.pid} of user " in done.stdout
    assert "owns it, and writes what waits there" in done.stdout
    service.communicate("\n")


def test_what_only_the_service_can_write_stays(program, queuelog, spool, log):
    """A handler that it knows by name; the files are written."""
    program(name="leave_what_only_the_service_can_write", check=False)
    for written in (5, 0):
        done = queuelog("recover", spool, code=1)
        assert f": {written} records written, these stay:\n" in done.stdout
        stays = "  5 for name:mail: a handler that only the service itself has: start that\n"
        assert done.stdout.endswith(stays)
    assert len(log.read_text().splitlines()) == 5


def test_a_file_that_cannot_be_written_is_told(left, queuelog, log):
    """With the reason; what waits for it stays."""
    log.mkdir()
    done = queuelog("recover", left, code=1)
    assert f"  {RECORDS:,} for {log}: [Errno 21] Is a directory" in done.stdout
    log.rmdir()
    queuelog("recover", left)
    assert log.read_text().splitlines() == LINES


def test_a_service_that_starts_meanwhile_logs_through_it(left, background, queuelog, log):
    """It finds the owner, as it finds every other, and owns the file as soon as that ends."""
    recovering = background("a_service_that_starts_meanwhile_logs_through_it")
    assert recovering.stdout.readline() == "up\n", recovering.stderr.read()
    service = background("own_and_wait")
    assert service.stdout.readline() == "up\n", service.stderr.read()
    recovering.communicate("\n")
    service.communicate("\n")
    assert (recovering.returncode, service.returncode) == (0, 0)
    assert log.read_text().splitlines() == [*LINES, "line"]


@pytest.mark.root
def test_root_writes_with_the_rights_of_the_spools_user(program, queuelog, spool):
    """What is made is that user's."""
    nobodys = Path(spool).with_name("nobodys")
    nobodys.mkdir()
    os.chown(nobodys, NOBODY, NOBODY)
    program(nobodys, name="leave_as_nobody", check=False)
    found = queuelog("recover", f"{nobodys}/spools")
    assert found.stdout.endswith(": 5 records written, nothing is left\n")
    assert (nobodys / "app.log").stat().st_uid == NOBODY
    assert len((nobodys / "app.log").read_text().splitlines()) == 5


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_sees_how_far_it_is(left, log, rich):
    """A bar by rich; without it all is written as well."""
    if rich:
        pytest.importorskip("rich")
    hidden = "import sys; sys.modules['rich'] = None; " if not rich else ""
    code = f"{hidden}from queuelog.commands.cli import main; raise SystemExit(main())"
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        command = [sys.executable, "-c", code, "recover", left]
        done = subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=log.parent)
        os.close(theirs)
        text = b""
        with suppress(OSError):  # EIO, as soon as the other end is closed
            while more := terminal.read(4096):
                text += more
    assert done.wait(30) == 0, text
    assert b"records written, nothing is left" in text
    assert (b"MiB" in text and b"\x1b[" in text) == rich
