"""`queuelog tail`: what is logged, in one stream, before it is in the files, and nobody notices."""

import glob
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest
from spools import (
    file_description,
    fresh_directory,
    line,
    segment_of,
    segments,
    writer_of,
)
from waiting import wait_for

from queuelog.handlers import QueueHandler
from queuelog.spool import frame
from queuelog.spool.names import may_have_records
from queuelog.spool.payload import RecordPayload

COMMAND = str(Path(sys.executable).with_name("queuelog"))


@pytest.fixture
def left(directory, tmp_path):
    """Return a function that logs to a spool that has no owner; by name of the file."""
    writer = writer_of(directory=directory, limit=1 << 25)
    handlers = {}

    def log(text, file="app.log", logger="app", level=logging.INFO, created=None, **options):
        if file not in handlers:
            original = logging.FileHandler(tmp_path / file, delay=True, **options)
            handlers[file] = QueueHandler(writer, original)
        attributes = {"name": logger, "levelno": level, "msg": text, "created": created}
        if created is None:
            attributes["created"] = time.time()
        handlers[file].emit(logging.makeLogRecord(attributes))

    yield log
    writer.close()


@pytest.fixture
def spools(directory):
    """Return the directory for spools in which the one of this test is."""
    return os.path.dirname(directory.path)


@pytest.fixture
def follow(tmp_path):
    """Return a function that starts `queuelog tail -f` and returns it.

    `shown()` is its output, `lines()` how many lines that has.
    """
    started = []

    def start(*arguments, **options):
        output, errors = tmp_path / f"tail{len(started)}.out", tmp_path / f"tail{len(started)}.err"
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(
                [COMMAND, "tail", "-f", *map(str, arguments)], cwd=tmp_path,
                **{"stdout": stdout, "stderr": stderr, **options},
            )  # fmt: skip
        process.shown = lambda: output.read_text(errors="backslashreplace").splitlines()
        process.lines = lambda: output.read_bytes().count(b"\n")
        process.said = errors.read_text
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


# --- what is shown


def test_the_last_records_of_all_files_are_one_stream(left, spools, queuelog):
    """In order of time; each line says which file it belongs to."""
    for number in range(30):
        left(f"number {number}", file=("app.log", "access.log")[number % 2], created=1e9 + number)
    names = ("app.log", "access.log")
    lines = [f"{names[number % 2]} | number {number}" for number in range(30)]
    assert queuelog("tail", spools).stdout.splitlines() == lines[-10:]
    assert queuelog("tail", "-n", 3, spools).stdout.splitlines() == lines[-3:]
    assert queuelog("tail", "-n", "all", spools).stdout.splitlines() == lines
    assert queuelog("tail", "-n", "0", spools).stdout == ""


def test_the_lines_of_one_file_are_as_they_stand_in_it(left, spools, queuelog, tmp_path):
    """So that they can go to another program."""
    left("two\nlines")
    left("other", file="access.log")
    assert queuelog("tail", spools, "app.log").stdout == "two\nlines\n"
    (tmp_path / "link").symlink_to(tmp_path)
    assert queuelog("tail", spools, "link/app.log").stdout == "two\nlines\n"
    assert queuelog("tail", "-q", spools).stdout == "two\nlines\nother\n"
    both = queuelog("tail", spools, "app.log", "access.log").stdout
    assert both == "app.log | two\napp.log | lines\naccess.log | other\n"


def test_more_can_be_told_of_each_line(left, spools, queuelog):
    """Process, level and logger, whatever the formatter has made of the line."""
    left("text", logger="app.db", level=logging.ERROR)
    left("text", logger="app\nfake | ", level=7)
    shown = queuelog("tail", "-v", spools).stdout.splitlines()
    assert shown == [
        f"app.log {os.getpid()} ERROR app.db | text",
        f"app.log {os.getpid()} Level 7 app\\nfake |  | text",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--logger", "app"], "app 10,app 30,app.db 20,app.db 40"),
        (["--logger", "app.db", "--logger", "application"], "app.db 20,app.db 40,application 50"),
        (["--logger", "ap"], ""),
        (["--level", "warning"], "app 30,app.db 40,application 50"),
        (["--level", "35"], "app.db 40,application 50"),
        (["--logger", "app", "--level", "ERROR"], "app.db 40"),
        (["--grep", r"^app\.?d?b? [13]"], "app 10,app 30"),
        (["-n", "1", "--level", "INFO"], "application 50"),
        (["--since", "2h"], "app.db 20,app 30,app.db 40,application 50"),
    ],
)
def test_records_are_selected(left, spools, queuelog, arguments, expected):
    """By logger, with those below it, by level, by what they say, and by time."""
    now = time.time()
    left("app 10", level=10, created=now - 4 * 3600)
    left("app.db 20", logger="app.db", level=20, created=now - 3600)
    left("app 30", level=30, created=now - 60)
    left("app.db 40", logger="app.db", level=40, created=now - 50)
    left("application 50", logger="application", level=50, created=now - 40)
    shown = queuelog("tail", *arguments, spools, "app.log").stdout.splitlines()
    assert sorted(shown) == sorted(filter(None, expected.split(",")))


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "-1"], ["-n", "x"], ["--level", "LOUD"], ["--grep", "("], ["--since", "yesterday"],
        ["--since", ""], ["none.log"], ["."], ["-f", "--waiting"], ["-q", "-v"],
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_sentence(queuelog, left, spools, arguments):
    """Exit code 2, and nothing on stdout."""
    left("text")
    done = queuelog("tail", spools, *arguments, code=2)
    assert not done.stdout
    assert done.stderr.splitlines()[-1].startswith("queuelog")


def test_a_record_for_a_handler_that_writes_itself_is_a_line_as_well(directory, spools, queuelog):
    """What its formatter has made, or else time, level, logger and message."""
    writer = writer_of(b'{"name": "mail", "class": "x"}', directory=directory)
    attributes = {"name": "app", "levelname": "ERROR", "created": 1e9, "msg": "%d of %d"}
    attributes |= {"args": [1, 2], "msecs": 0.0}
    payloads = [
        RecordPayload(attributes, "1 of 2", "as formatted\nwith more").encode(),
        RecordPayload(attributes, "1 of 2").encode(),
        b"nonsense\xff",
    ]
    for number, payload in enumerate(payloads):
        writer.put(frame.encode(frame.RECORD, 0, 1e9 + number, payload))
    shown = queuelog("tail", spools, env=os.environ | {"TZ": "UTC"}).stdout.splitlines()
    assert shown == [
        "mail | as formatted",
        "mail | with more",
        "mail | 2001-09-09 01:46:40,000 ERROR app: 1 of 2",
        "mail | nonsense\\xff",
    ]
    writer.close()


def test_what_waits_is_shown_without_an_owner(program, spool, queuelog):
    """Also what a file waits for that fails; what is in its file by now is left out."""
    program(name="leave_lines_that_wait", check=False)
    every = ["one.log | one is written", "other.log | other waits", "one.log | one waits"]
    assert queuelog("tail", spool).stdout.splitlines() == every
    assert queuelog("tail", "--waiting", spool).stdout.splitlines() == every[1:]


def hand_over(directory, offset):
    """Rename the one segment of a spool as its owner does who has read it up to there."""
    (path,) = segments(directory)
    os.rename(path, f"{path}+{offset}")


def test_a_segment_that_was_handed_over_is_shown_like_any_other(left, directory, spools, queuelog):
    """Of what waits, it has only what is behind the offset that its name says."""
    left("first")
    (path,) = segments(directory)
    first = path.stat().st_size
    left("second")
    hand_over(directory, first)
    assert queuelog("tail", "-q", spools).stdout == "first\nsecond\n"
    assert queuelog("tail", "-q", "--waiting", spools).stdout == "second\n"


def test_following_shows_what_is_handed_over_meanwhile_once(left, directory, spools, follow):
    """The writer goes on in the same segment, which has another name by then."""
    left("first")
    (path,) = segments(directory)
    process = follow("-q", spools)
    wait_for(process.shown, "the first record")
    hand_over(directory, path.stat().st_size)
    left("second")
    left("third", file="other.log")  # in a segment that appears after the new name
    wait_for(lambda: "third" in process.shown(), "the last record")
    assert process.shown() == ["first", "second", "third"]


def test_where_nothing_is_it_says_where_to_look(queuelog, directory, spools):
    """An empty answer would look as if nothing had been logged."""
    assert "older lines are in the files" in queuelog("tail", spools).stderr


def test_a_link_that_leads_to_no_spool_is_passed_over(left, spools, queuelog):
    """Those to spools elsewhere may be left behind."""
    left("text")
    for number, target in enumerate(["3-0", "none", "/dev/null"]):
        Path(spools, f"3-{number}").symlink_to(target)
    assert queuelog("tail", spools).stdout == "app.log | text\n"


@pytest.mark.parametrize("what", ["instances", "watches"])
def test_without_inotify_all_is_shown_that_is_there(left, spools, queuelog, what):
    """And it is said that more may come and go; each user has a limit, and editors use it up."""
    left("text")
    limit = f'echo 0 > /proc/sys/user/max_inotify_{what} && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh"]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = queuelog("tail", spools, prefix=prefix)
    assert done.stdout == "app.log | text\n"
    assert done.stderr.endswith("may pass unseen: no inotify is left\n")


# --- whatever is in it


HOSTILE = "red \x1b[31m bell \a \r return \x9b c1 \u202e turned \x7f\ttab"


def test_a_terminal_obeys_nothing_that_is_logged(left, spools):
    """Escapes of a terminal could hide lines, or type commands; bytes that are no text are told."""
    left(HOSTILE, file="a\x1b[2Jb.log")
    left("no text: \udcff", encoding="utf-8", errors="surrogateescape", file="bytes.log")
    terminal, inside = pty.openpty()
    subprocess.run([COMMAND, "tail", spools], stdout=inside, check=True, timeout=60)
    os.close(inside)
    shown = b""
    with open(terminal, "rb", buffering=0, closefd=True) as file:
        while b"no text" not in shown or not shown.endswith(b"\n"):
            shown += file.read(1000)
    text = shown.decode().replace("\r\n", "\n")
    assert text == (
        "a\\x1b[2Jb.log | red \\x1b[31m bell \\x07 \\r return \\x9b c1 \\u202e turned \\x7f\ttab\n"
        "bytes.log | no text: \\xff\n"
    )


def test_another_program_gets_the_bytes_that_were_logged(left, spools):
    """Whatever they are; a file in UTF-16 comes as UTF-8, since its newlines are none."""
    left(HOSTILE)
    left("no text: \udcff", encoding="utf-8", errors="surrogateescape", file="bytes.log")
    left("wide ä\nand more", encoding="utf-16-le", file="wide.log")
    shown = subprocess.run([COMMAND, "tail", spools], capture_output=True, check=True).stdout
    assert shown == (
        f"app.log | {HOSTILE}\n".encode()
        + b"bytes.log | no text: \xff\n"
        + "wide.log | wide ä\nwide.log | and more\n".encode()
    )


def test_a_record_may_be_huge(left, spools, queuelog):
    """It is longer than what is read at once, and whole."""
    left("before")
    left("x" * 3_000_000)
    left("after")
    shown = queuelog("tail", spools, "app.log").stdout.splitlines()
    assert [(len(line), line[0]) for line in shown] == [(6, "b"), (3_000_000, "x"), (5, "a")]


DAMAGE = {
    "nonsense": b"\xff" * 5000,
    "zeros without an end": None,
    "no sink": frame.encode(frame.LINE, 9, 1.0, b"lost"),
    "a sink that is none": frame.encode(frame.DESCRIPTION, 9, 0.0, b"{" * 3000),
    "a time that is none": frame.encode(frame.LINE, 0, float("nan"), b"at no time\n"),
    "torn": line(b"torn")[:-2],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_hostile_segment_costs_no_other_one(directory, spools, queuelog, left, damage):
    """Nor memory or time without end; what was passed over is said."""
    left("honest")
    good = line(b"before\n", created=1.0)
    data = segment_of(good, DAMAGE[damage] or b"", description=file_description("/x/hostile.log"))
    path = Path(directory.incoming(os.geteuid()), "1-1-00000000-0")
    path.write_bytes(data)
    if damage == "zeros without an end":
        os.truncate(path, 1 << 40)
    done = queuelog("tail", "-n", "all", spools)
    lines = {"app.log | honest", "hostile.log | before", "hostile.log | at no time"}
    assert lines - set(done.stdout.splitlines()) <= {"hostile.log | at no time"}
    assert ("damaged" in done.stderr) == (damage in ("nonsense", "zeros without an end"))


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "other version"])
def test_what_is_no_segment_is_passed_over(directory, queuelog, left, tmp_path, kind):
    """It is neither waited for nor followed, and said once."""
    left("honest")
    spools = os.path.dirname(directory.path)
    path = Path(directory.incoming(os.geteuid()), "1-1-00000000-0")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "linked").write_bytes(segment_of(line(b"linked")))
        path.symlink_to(tmp_path / "linked")
    elif kind == "directory":
        path.mkdir()
    else:
        path.write_bytes(b"\0" * 100)
    done = queuelog("tail", spools)
    assert done.stdout == "app.log | honest\n"
    assert done.stderr.startswith("queuelog tail: 1 segment ")
    assert spools in done.stderr


# --- following


def test_following_under_load_shows_each_record_once(background, follow, spool, tmp_path):
    """Of four processes, each in its order, while files roll and the owner is killed.

    What is in the files afterwards is the same: nothing lost, nothing doubled.
    """
    owner = background("serve", 4)
    assert owner.stdout.readline() == "up\n"
    tail = follow("-q", "-n", "all", spool)
    wait_for(lambda: watches(tail), "it watches the spool")
    (tmp_path / "go").touch()
    wait_for(lambda: tail.lines() > 500, "the first records")
    for _ in range(3):
        owner.kill()
        owner.wait()
        seen = tail.lines()
        wait_for(lambda seen=seen: tail.lines() > seen + 300, "records without an owner")
        owner = background("serve_again")
        assert owner.stdout.readline() == "up\n"
        rolled = len([*tmp_path.glob("app.log.*")])
        wait_for(lambda rolled=rolled: len([*tmp_path.glob("app.log.*")]) > rolled + 2, "rollovers")
    (tmp_path / "stop").touch()
    counts = wait_for(lambda: len(found := [*tmp_path.glob("*.count")]) == 4 and found, "the end")
    total = sum(wait_for(lambda path=path: int(path.read_text() or 0), "count") for path in counts)
    wait_for(lambda: not segments_of(spool), "all is in the files, and no file is renamed any more")
    files = [path.read_text() for path in tmp_path.glob("app.log*")]
    written = [text for file in files for text in file.splitlines()]
    owner.stdin.write("\n")
    owner.stdin.flush()
    wait_for(lambda: tail.lines() >= total or unseen(tail), "all shown")
    assert not unseen(tail)
    shown = tail.shown()
    assert sorted(shown) == sorted(written)
    numbers = defaultdict(list)
    for text in shown:
        _, process, _, number = text.split()
        numbers[process].append(int(number))
    assert len(numbers) == 4
    assert all(found == [*range(len(found))] for found in numbers.values())
    assert sum(map(len, numbers.values())) == total


def test_what_short_lived_processes_log_is_shown_or_said_to_be_missing(background, follow, spool):
    """Their segments are gone as soon as they are written, in a few ms."""
    service = background("log_now_and_then")
    assert service.stdout.readline() == "up\n"
    tail = follow("-n", "all", spool)  # it watches before it has seen what is there at first
    wait_for(lambda: watches(tail), "it watches the spool")
    for number in range(40):
        service.stdin.write(f"{number}\n")
        service.stdin.flush()
        assert service.stdout.readline() == "logged\n"
    wait_for(lambda: tail.lines() + unseen(tail) == 40, "all are shown, or counted")
    numbers = [int(text.removeprefix("app.log | ")) for text in tail.shown()]
    assert numbers == sorted(set(numbers))


def test_what_was_gone_before_it_could_be_read_is_said(background, follow, spool):
    """Never silently skipped."""
    service = background("log_now_and_then")
    assert service.stdout.readline() == "up\n"
    tail = follow(spool)
    wait_for(lambda: watches(tail), "it watches the spool")
    os.kill(tail.pid, signal.SIGSTOP)
    for number in range(5):
        service.stdin.write(f"{number}\n")
        service.stdin.flush()
        assert service.stdout.readline() == "logged\n"
    wait_for(lambda: not segments_of(spool), "the owner has removed all segments")
    os.kill(tail.pid, signal.SIGCONT)
    wait_for(lambda: unseen(tail) == 5, "it says so")


def unseen(process):
    """Return how many segments it says that it has not seen."""
    return sum(map(int, re.findall(r"(\d+) segments? passed unseen", process.said())))


def watches(process):
    """Tell if a process watches directories: a spool, the one above, and that of the user."""
    for fd in Path(f"/proc/{process.pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):
            if fd.read_text().count("inotify wd:") >= 3:
                return True
    return False


def segments_of(spool):
    """Return the paths of the segments that may have records in the spools below a directory."""
    paths = glob.glob(f"{spool}/*/*/*")  # spools may go meanwhile, which pathlib takes ill
    return [path for path in paths if may_have_records(os.path.basename(path))]


def test_a_reader_who_goes_ends_it(left, follow, spools):
    """`queuelog tail -f | head`: also while nothing is logged."""
    left("text")
    process = follow(spools, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"app.log | text\n"
    process.stdout.close()
    assert process.wait(30) == 141
    assert not process.said()


def test_ctrl_c_ends_it(left, follow, spools):
    """No traceback."""
    left("text")
    process = follow(spools)
    wait_for(process.shown, "the first record")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not process.said()


@pytest.mark.parametrize("ends", [os.pipe, pty.openpty])
def test_a_reader_who_stands_still_keeps_no_room_from_the_service(background, follow, spool, ends):
    """Segments that the owner has removed are let go of: their room is free only then.

    Also on a terminal, where a write waits until all is taken: Ctrl-S, or a window that hangs.
    """
    service = background("log_now_and_then")
    assert service.stdout.readline() == "up\n"
    reads, writes = ends()
    process = follow("-n", "0", spool, stdout=writes)
    wait_for(lambda: watches(process), "it watches the spool")
    for number in range(40):
        service.stdin.write(f"{number} {'x' * 10_000}\n")
        service.stdin.flush()
        assert service.stdout.readline() == "logged\n"
    wait_for(lambda: not segments_of(spool), "the owner has removed all segments")
    wait_for(lambda: not removed(process), "it lets go of what it holds")
    os.close(reads)
    os.close(writes)


def removed(process):
    """Return the removed files that a process has open."""
    fds = Path(f"/proc/{process.pid}/fd").iterdir()
    found = []
    for fd in fds:
        with suppress(FileNotFoundError):
            found.append(os.readlink(fd))
    return [path for path in found if path.endswith("(deleted)")]


def test_a_spool_may_come_and_go(follow, spools, directory, left, tmp_path):
    """What is in a spool that vanishes is shown; those that come are followed."""
    process = follow(spools)
    wait_for(lambda: watches(process), "it watches")
    left("first")
    wait_for(lambda: process.shown() == ["app.log | first"], "the first one")
    with fresh_directory() as other:
        moved = Path(spools, "2-2")
        Path(other.path).rename(moved)
        data = segment_of(line(b"second\n", 2.0), description=file_description("/x/other.log"))
        (moved / str(os.geteuid()) / "1-1-00000000-0").write_bytes(data)
        wait_for(lambda: process.shown()[1:] == ["other.log | second"], "the second one")
        moved.rename(other.path)
    left("third")
    wait_for(lambda: process.shown()[2:] == ["app.log | third"], "the third one")
    assert process.poll() is None


@pytest.mark.parametrize("arguments", [[], ["--waiting"]])
def test_it_opens_nothing_for_writing_and_takes_no_lock(program, left, spools, arguments):
    """Nobody can be disturbed by it."""
    left("text")
    done = program(*arguments, spools, name="it_opens_nothing_for_writing_and_takes_no_lock")
    assert done.stdout == "app.log | text\n"
