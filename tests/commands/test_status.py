"""`queuelog status`: it sees all, believes nothing, and disturbs nobody."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from harness import Load
from spools import line, segment_of
from waiting import wait_for

from queuelog.base import SinkSpec
from queuelog.commands.cli import main
from queuelog.spool import frame, status

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def look(queuelog, spool):
    """Return a function that returns what the command sees of the one spool of the test."""

    def seen(code=0):
        (found,) = json.loads(queuelog("status", "--json", spool, code=code).stdout)["spools"]
        return found

    return seen


def sink(found, name):
    """Return what was seen of the sink whose id ends so."""
    (one,) = (sink for sink in found["sinks"] if sink["id"].endswith(name))
    return one


def test_a_server_is_described(server, look, queuelog, spool):
    """Its owner, its processes, each file with its size and its next rollover, and its records."""
    size = {"class": "logging.handlers.RotatingFileHandler", "maxBytes": 1 << 20, "backupCount": 2}
    running = server(handler=size, workers=2).start()
    running.get("/log?start=0&count=50")

    def told():
        found = look()
        records = {Path(one["id"]).name: one["records"] for one in found["sinks"]}
        return not found["backlog"]["bytes"] and records.get("load.log") == 50 and found

    found = wait_for(told, "all is told")
    assert found["owned"]
    assert found["owner"]["pid"] == running.pid
    assert "gunicorn" in found["owner"]["command"]
    assert running.pid in found["writers"]
    assert found["backlog"] == {"bytes": 0, "records": 0, "oldest": None}
    load = sink(found, "load.log")
    written = running.text("load.log")
    assert (load["size"], load["bytes"]) == (len(written), len(written))
    assert load["bytes_left"] == (1 << 20) - len(written)
    assert found["records_written"] == sum(one["records"] for one in found["sinks"])
    assert found["records_per_second"] > 0
    text = queuelog("status", spool).stdout
    assert f"  owner    process {running.pid} of user " in text
    assert f"\n  {running.log_dir}/load.log\n    " in text
    prose = [line for line in text.splitlines() if "/" not in line]
    assert max(map(len, prose)) <= 80


def test_it_disturbs_nobody(server, spool, tmp_path):
    """Twenty looks under load: nothing is opened for writing, no lock taken, no line lost."""
    if shutil.which("strace") is None:
        pytest.skip("strace is needed")
    running = server().start()
    program = [SUPPORT / "run_program.py", Path(__file__).parent / "programs" / "status.py"]
    traced = tmp_path / "traced"
    with Load(running, threads=2):
        done = subprocess.run(
            ["strace", "-f", "-o", traced, "-e", "trace=file,fcntl,flock,desc", sys.executable,
             "-B", *program, "look_over_and_over", spool, "20", spool],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"owned": true') == 20
    calls = traced.read_text()
    assert calls.count('/registry", O_RDONLY|O_NOCTTY|O_NONBLOCK|O_NOFOLLOW') >= 20
    looked = calls[calls.index("/registry") :]
    writing = (
        r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|F_(OFD_)?SETLKW?\b|flock\(|(un)?link|rename|mkdir|rmdir"
    )
    assert not re.findall(rf"^.*(?:{writing}).*$", looked, re.MULTILINE)
    assert running.stop() == 0
    running.count().check()


def test_a_file_that_cannot_be_written_is_told(background, look, queuelog, spool):
    """Since when, why, and what waits for it; the exit code says it, too; and when it is over."""
    service = background("fail_and_mend")
    assert service.stdout.readline() == "up\n"

    def told():
        found = look(None)
        files = {Path(one["id"]).name: one for one in found["sinks"]}
        written = "other.log" in files and files["other.log"]["records"] >= 10
        return (
            written and found["backlog"]["records"] == 10 and files["app.log"]["lagging"] and found
        )

    found = wait_for(told, "the file fails, and the other one is written")
    fails = sink(found, "logs/app.log")
    assert "No such file or directory" in fails["lagging"]["error"]
    assert fails["backlog"]["records"] == 10
    assert fails["backlog"]["oldest"] <= fails["lagging"]["since"]
    assert "No such file" in found["error"]["error"]
    text = queuelog("status", spool, code=1).stdout
    assert re.search(r"\n    FAILS since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: \[Errno 2\]", text)
    assert "10 records wait, " in text
    service.communicate("\n")
    assert service.returncode == 0
    queuelog("status", spool, code=2)  # it is gone, since nothing waits


def test_what_a_killed_owner_has_left_is_told(program, look, queuelog, spool):
    """How much, for which file, whose it was, and the command that writes it."""
    program("leave_a_backlog", name="leave_a_backlog", check=False)
    found = look(code=1)
    assert not found["owned"]
    assert found["backlog"]["records"] == 10
    text = queuelog("status", spool, code=1).stdout
    assert "owner    none; it was process" in text
    assert f"queuelog recover\n           {found['path']}" in text


def test_dropped_records_are_told(background, look, queuelog, spool):
    """At first those that the log does not say yet, then in all and by process."""
    service = background("drop")
    said = json.loads(service.stdout.readline())
    assert look()["dropped_unreported"] == {str(service.pid): said}
    text = queuelog("status", spool).stdout
    assert f"{said:,} more that the log does not say yet" in text
    service.stdin.write("\n")
    service.stdin.flush()
    by_process = {"total": said, "by_process": {str(service.pid): said}}
    wait_for(lambda: look()["dropped"] == by_process, "the owner counts them")
    assert f"dropped  {said:,} records for want of room" in queuelog("status", spool).stdout
    service.communicate("\n")


def test_a_terminal_gets_tables(directory):
    """Where rich is there; also a narrow one."""
    pytest.importorskip("rich")
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        command = [sys.executable, "-m", "queuelog", "status", directory.path]
        env = os.environ | {"COLUMNS": "40", "TERM": "xterm"}
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=env) as done:
            os.close(theirs)
            text = b""
            with suppress(OSError):  # EIO, as soon as the other end is closed
                while more := terminal.read(4096):
                    text += more
    assert done.returncode == 0, text
    assert directory.path.encode() in text
    assert b"\x1b[" in text


def test_an_idle_service_writes_nothing(program):
    """The file is the same as before, until something happens; a removed one is made again."""
    program()


def test_a_service_without_room_for_it_goes_on(program, log):
    """To publish it is never a reason to fail."""
    program()
    assert log.read_text().count("\n") == 100


def test_spools_that_vanish_while_they_are_read(program):
    """Each is seen or not."""
    program()


HOSTILE = {
    "empty": b"",
    "no JSON": b"\x00\xff",
    "deep": b"[" * 100_000,
    "of another version": b'{"format": 99}',
    "of wrong types": b'{"format": 1, "pid": [1], "sinks": 3}',
    "of impossible numbers": b'{"format": 1, "pid": 1e999, "started": NaN}',
    "of lists where texts are": b'{"format": 1, "command": [[]]}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_status_that_is_none_is_no_reason_to_fail(directory, capsys, content):
    """Nobody has checked what another process wrote."""
    Path(directory.status).write_bytes(content)
    Path(directory.registry).write_bytes(content)
    assert main(["status", directory.path]) == 0
    assert "owner    none; it was user" in capsys.readouterr().out
    assert main(["status", "--json", directory.path]) == 0


def gigabyte(path):
    """Make a file that takes no room, but is long."""
    with open(path, "wb") as file:
        file.truncate(1 << 30)


HOSTILE_FILES = {
    "fifo": os.mkfifo,
    "link to a device": lambda path: os.symlink("/dev/zero", path),
    "link to a file": lambda path: os.symlink("/etc/passwd", path),
    "directory": os.mkdir,
    "gigabyte": gigabyte,
}


@pytest.mark.parametrize("make", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_what_is_no_file_of_a_spool_is_no_reason_to_fail(directory, capsys, make):
    """In the place of any of them; none of it is waited for, or read to its end."""
    incoming = directory.incoming(directory.owner_uid)
    segments = [f"{incoming}/1-1-00000000-0", f"{incoming}/1-1-0.drops"]
    for path in (directory.status, directory.registry, directory.ledger, *segments):
        make(path)
    assert main(["status", directory.path]) in (0, 1)
    assert "owner    none; it was user" in capsys.readouterr().out


def test_names_cannot_control_a_terminal(directory, capsys):
    """Neither a path in a segment nor an error or a command line in a status."""
    evil = "/log/\x1b[2J\u202e\udcff\r\nx"
    described = SinkSpec(evil, "", "logging.FileHandler", {}).encode()
    path = Path(directory.incoming(directory.owner_uid), "1-1-00000000-0")
    path.write_bytes(segment_of(line(b"line\n"), description=described))
    lag = status.Lag(1.0, evil)
    said = status.Status(1, evil, 1.0, evil, 1, False, 1, [], [], 0, {evil: lag}, 1, {evil: 1}, lag)
    Path(directory.status).write_bytes(said.encode())
    assert main(["status", directory.path]) == 1
    text = capsys.readouterr().out
    assert "/log/\\x1b[2J\\u202e\\udcff\\r\\nx" in text.replace("\n", "").replace(" ", "")
    assert all(c == "\n" or c.isprintable() for c in text)


def test_what_waits_for_others_than_files_is_told(directory, capsys):
    """For a log server, and for a handler that is known by name."""
    described = [
        SinkSpec("", "mail", "logging.handlers.SMTPHandler", {}),
        SinkSpec("", "", "queuelog.handlers.ServerHandler", {}, server="127.0.0.1:9020"),
    ]
    for number, spec in enumerate(described):
        path = Path(directory.incoming(directory.owner_uid), f"1-1-00000000-{number}")
        path.write_bytes(segment_of(line(b"line\n"), description=spec.encode()))
    assert main(["status", "--json", directory.path]) == 1
    (found,) = json.loads(capsys.readouterr().out)["spools"]
    assert {sink["id"] for sink in found["sinks"]} == {spec.sink_id for spec in described}


def test_a_spool_of_another_version_is_told(directory, capsys):
    """How much is in it, and what to do; nothing of it is counted as records."""
    path = Path(directory.incoming(directory.owner_uid), "1-1-00000000-0")
    path.write_bytes(frame.encode(frame.VERSION, 0, 0.0, b"queuelog segment, format 1\n"))
    assert main(["status", directory.path]) == 1
    text = capsys.readouterr().out
    assert f"{path.stat().st_size} B of another version of queuelog: start that once" in text
    assert "nothing waits" in text


@pytest.mark.root
def test_a_user_cannot_look_into_anothers_spool(directory, queuelog, program):
    """And is told so; root can."""
    done = program(directory.path, name="look_as_nobody")
    assert "Permission denied" in done.stderr
    assert directory.path not in done.stdout
    queuelog("status", directory.path)


def test_what_is_no_spool_is_a_wrong_command_line(queuelog, tmp_path):
    """One sentence, exit code 2."""
    for path in (tmp_path, tmp_path / "none", "/dev/null"):
        done = queuelog("status", path, code=2)
        assert done.stderr.startswith("queuelog: ")
        assert str(path) in done.stderr
        assert done.stderr.count("\n") == 1
