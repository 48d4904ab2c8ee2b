"""`queuelog rotate`: a running owner rolls its files over, and no line is lost or doubled."""

import logging.handlers
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import inside
import pytest
from harness import Load
from services import NOBODY
from waiting import wait_for

from queuelog.commands.cli import main

COMMAND = str(Path(sys.executable).with_name("queuelog"))
TIMED = {"class": "logging.handlers.TimedRotatingFileHandler", "when": "midnight"}


def test_twenty_rotates_under_load_lose_nothing(server, capsys):
    """Each makes a backup, and every line is in one of the files, once and whole."""
    running = server(handler=TIMED).start()
    path = running.log_dir / "load.log"
    with Load(running) as load:
        for _ in range(20):
            load.wait_for_requests(1)
            wait_for(lambda: path.stat().st_size, "a line")
            assert main(["rotate", str(path)]) == 0
            assert capsys.readouterr().out == f"{path}: rolled over\n"
    assert running.stop() == 0
    running.count().check(at_least=20)
    assert len([*running.log_dir.glob("load.log.*")]) == 20


def test_an_owner_that_is_killed_while_it_rotates_loses_nothing(server):
    """At any point: what was acknowledged is written by the next start, once."""
    size = {"class": "logging.handlers.RotatingFileHandler", "backupCount": 1000}
    running = server(handler={**size, "maxBytes": 1 << 30})
    rotate = [COMMAND, "rotate", running.log_dir / "load.log"]
    with Load(running) as load:
        for _ in range(5):
            running.start()
            load.wait_for_requests(2)
            before = len([*running.log_dir.glob("load.log.*")])
            rotating = [subprocess.Popen(rotate, stdout=subprocess.PIPE) for _ in range(3)]
            wait_for(lambda: len([*running.log_dir.glob("load.log.*")]) > before, "a backup")  # noqa: B023
            running.kill()
            texts = [one.communicate(timeout=30)[0] for one in rotating]
            assert all(b"\n" in text for text in texts)
    assert running.start().stop() == 0
    running.count().check(at_least=20)


def test_every_file_gets_an_answer(background, queuelog, tmp_path):
    """What was done, or why not; the exit code says if all was; --all leaves out what cannot be."""
    service = background("own_files")
    assert service.stdout.readline() == "up\n", service.stderr.read()
    (tmp_path / "alien.log").touch()
    files = ["sized.log", "plain.log", "gone/x.log", "empty.log", "none.log", "alien.log"]
    assert sorted(queuelog("rotate", *files, code=1).stdout.splitlines()) == [
        "alien.log: nobody owns it: start the service that writes it",
        "empty.log: empty: left as it is",
        "gone/x.log: it cannot be written: see queuelog status",
        "none.log: there is no such file, and nobody owns it",
        "plain.log: its handler has no rollover policy",
        "sized.log: rolled over",
    ]
    assert (tmp_path / "sized.log.1").read_text() == "line\n"
    (tmp_path / "link.log").symlink_to("sized.log")
    assert queuelog("rotate", "link.log").stdout == "link.log: empty: left as it is\n"
    service.communicate("\n")
    assert service.returncode == 0


def test_a_stopped_owner_is_not_waited_for_for_ever(background, queuelog, spool, tmp_path):
    """The request is withdrawn, after Ctrl-C as well, so that nothing rolls over later."""
    service = background("own_files")
    assert service.stdout.readline() == "up\n"
    service.send_signal(signal.SIGSTOP)
    done = queuelog("rotate", "sized.log", "--timeout", "0.5", code=1)
    assert done.stdout == "sized.log: its owner does not answer, and is not asked any more\n"
    with subprocess.Popen(
        [COMMAND, "rotate", "sized.log"], cwd=tmp_path, stdout=PIPE, stderr=PIPE
    ) as asking:
        wait_for(lambda: [*Path(spool).glob("*/*.request")], "the request")
        asking.send_signal(signal.SIGINT)
        assert asking.communicate(timeout=30) == (b"", b"")
    assert asking.returncode == 130
    assert not [*Path(spool).glob("*/*.request")]
    service.send_signal(signal.SIGCONT)
    assert queuelog("rotate", "sized.log").stdout == "sized.log: rolled over\n"
    assert not (tmp_path / "sized.log.2").exists()
    service.communicate("\n")


def test_an_old_request_is_not_done(program):
    """Nor one that is none, nor one of another user; they are removed."""
    program()


def test_what_a_killed_command_leaves_is_removed(program):
    """Its answer, or a request that was not whole; and an owner that has ended is noticed."""
    program()


@pytest.mark.root
def test_root_may_ask_every_owner_and_nobody_else_anothers(background, program, queuelog, spool):
    """The request is made as the owner's user, who could not read one of root's."""
    nobodys = Path(spool).with_name("nobodys")
    nobodys.mkdir()
    os.chown(nobodys, NOBODY, NOBODY)
    service = background("own_files", nobodys, spool=f"{nobodys}/spools")
    assert service.stdout.readline() == "up\n", service.stderr.read()
    path = nobodys / "sized.log"
    assert queuelog("rotate", path).stdout == f"{path}: rolled over\n"
    service.communicate("\n")
    service = background("own_files")
    assert service.stdout.readline() == "up\n", service.stderr.read()
    done = program("sized.log", name="rotate_as_nobody", check=False)
    assert done.returncode == 1, done.stderr
    assert "rolled over" not in done.stdout
    service.communicate("\n")


def test_a_late_line_belongs_to_the_backup(tmp_path):
    """It was logged before the file was rolled over on demand."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", "midnight", utc=True)
    file, marks, before = inside.file_sink(handler), [], time.time()
    file.write([(before, b"first\n")], marks.append)
    assert file.roll_over()
    file.write([(before, b"late\n"), (time.time(), b"new\n")], marks.append)
    file.close()
    (backup,) = tmp_path.glob("t.*")
    assert (backup.read_bytes(), (tmp_path / "t").read_bytes()) == (b"first\nlate\n", b"new\n")
    assert handler.rolloverAt > time.time()


def test_a_rollover_that_fails_is_told_and_loses_nothing(tmp_path):
    """The rotator's error is the answer."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", "midnight")
    handler.rotator = lambda source, _: os.rename(source, "/none/none")
    file, marks = inside.file_sink(handler), []
    file.write([(time.time(), b"first\n")], marks.append)
    with pytest.raises(OSError, match=r"cannot roll over .*No such file"):
        file.roll_over()
    file.write([(time.time(), b"second\n")], marks.append)
    file.close()
    assert (tmp_path / "t").read_bytes() == b"first\nsecond\n"
