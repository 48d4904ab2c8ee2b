"""`queuelog top`: rates, what waits and why, on a terminal."""

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from pathlib import Path

import pytest
from waiting import DEADLINE, wait_for

pytest.importorskip("rich")

from rich.console import Console

from queuelog.commands import frames, rates

COMMAND = str(Path(sys.executable).with_name("queuelog"))


@pytest.fixture
def service(background):
    """Return a service that logs to a file that works, and to one that fails."""
    process = background("serve")
    assert process.stdout.readline() == "up\n"
    yield process
    process.stdin.close()
    process.stdin = None  # it has ended when its last line is written
    assert process.wait(DEADLINE) == 0


class Terminal:
    """A command on a terminal of its own; `seen` is all that it has shown."""

    def __init__(self, *command, rows=24, columns=80):
        self.fd, inside = pty.openpty()
        self.before = termios.tcgetattr(inside)
        self._inside = inside
        self.resize(rows, columns)
        env = {name: os.environ[name] for name in os.environ.keys() - {"COLUMNS", "LINES"}}
        env |= {"TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, env=env
        )
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, pattern):
        """Read until something is shown, and return what is behind it."""
        deadline = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, self.seen, re.DOTALL)):
            assert time.monotonic() < deadline, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 1 << 16)
        self.seen = self.seen[found.end() :]

    def end(self):
        """Wait for the end; return the exit code. The terminal is as it was."""
        deadline = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 1 << 16)
        assert termios.tcgetattr(self._inside) == self.before
        return self.process.returncode

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._inside)
        os.close(self.fd)


@pytest.fixture
def terminal():
    """Return a function that starts the command on a terminal."""
    made = []

    def make(*arguments, **options):
        made.append(Terminal(COMMAND, "top", *map(str, arguments), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_one_frame_tells_rates_and_what_fails(service, spool, queuelog):
    """Of the spool, each file, and each process; nothing in it controls a terminal."""
    wait_for(lambda: "FAILS" in queuelog("status", spool, code=None).stdout, "one file fails")
    row = rf"^{service.pid} run_program.py \(\S+\) +([1-9]\d*) .*"

    def frame():
        text = queuelog("top", "--once", spool, env=os.environ | {"COLUMNS": "200"}).stdout
        return re.search(row, text, re.MULTILINE)

    found = wait_for(frame, "the owner has said twice how much it has written")
    owner, text = found[1], found.string
    assert max(map(len, text.splitlines())) <= 200
    (works,) = re.findall(
        r"^\S+/works.log +(\d+) +([\d.]+) (?:Ki)?B/s +[\d.]+ [KM]iB", text, re.MULTILINE
    )
    assert int(works[0]) == int(owner)
    assert float(works[1]) > 0
    (fails,) = re.findall(r"^\S+/fails(\S+)\.log +0 +0 B/s +(.*)$", text, re.MULTILINE)
    assert fails[0] == r"\x1b[2J"
    assert fails[1].endswith("No such file or directory: " + fails[1].rpartition(": ")[2])
    assert re.search(r"^ *\d+ +run_program.py +[\d.]+ (Ki)?B/s", text, re.MULTILINE)


def test_it_follows_the_size_of_the_terminal_and_q_ends_it(service, spool, terminal):
    """What there was no room for appears; in the end the terminal is as it was before."""
    shown = terminal(spool, rows=10, columns=40)
    shown.wait_for("queuelog top[^\n]*…".encode())
    shown.resize(24, 100)
    shown.process.send_signal(signal.SIGWINCH)
    shown.wait_for(rb"queuelog top[^\n]* 0 dropped")
    shown.wait_for(rb"works\.log")
    os.write(shown.fd, b"q")
    assert shown.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(service, spool, terminal, number):
    """Ctrl-C, or kill: without a traceback, and the terminal is as it was before."""
    shown = terminal(spool)
    shown.wait_for(rb"works\.log")
    shown.process.send_signal(number)
    assert shown.end() == 128 + number
    assert b"Traceback" not in shown.seen


class Many(frames.Look):
    """A look at more than any terminal has room for."""

    def spools(self):
        return [
            frames.Row(n == 1, n, (f"{n}", "9", "9 KiB/s", "", "", "0", f"/dev/shm/{n}" * 9))
            for n in range(30)
        ]

    def files(self):
        return [
            frames.Row(False, n, (f"/logs/{n}/app.log" * 5, "1", "1", "1", "", "", "why" * 50))
            for n in range(30)
        ]

    def processes(self):
        return [frames.Row(False, n, (f"{n}", "gunicorn", "1 B/s", "")) for n in range(30)]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 13), (200, 70), (120, 100)])
def test_a_frame_fits_its_terminal(columns, rows):
    """Trouble comes first, then what is quick; how much is left out is said."""
    console = Console(width=columns, height=rows, file=io.StringIO())
    lines = console.render_lines(frames.Frame(Many()), console.options, pad=False)
    texts = ["".join(segment.text for segment in line) for line in lines]
    assert len(texts) <= rows
    assert max(map(len, texts)) <= columns
    headings = [n for n, text in enumerate(texts) if text.startswith(("OWNER", "FILE", "PID"))]
    assert len(headings) == 3
    assert texts[headings[0] + 1].startswith("1 ")
    assert texts[headings[2] + 1].lstrip().startswith("29 ")
    assert sum("more" in text for text in texts) == (3 if rows < 100 else 0)


def test_what_it_needs_is_said(queuelog, program, spool):
    """A terminal, a spool, and the package rich."""
    assert "--once" in queuelog("top", code=2).stderr
    assert "no-such" in queuelog("top", "--once", "no-such", code=2).stderr
    done = program("--once", name="without_rich", check=False)
    assert done.returncode == 2
    assert "pip install 'queuelog[cli]'" in done.stderr


def test_a_rate_is_that_of_the_last_seconds(monkeypatch):
    """What has begun anew has none for a while, and never a negative one."""
    now = 0.0
    monkeypatch.setattr(rates.time, "monotonic", lambda: now)
    measured, seen = rates.Rates(), []
    for now in range(20):
        measured.count(Counter({"slow": now, "quick": now**2} | ({"new": 9} if now > 18 else {})))
        seen.append(measured.of("slow"))
    assert seen == [0, *[1] * 19]
    assert 30 < measured.of("quick") < 36
    assert (measured.of("new"), measured.of("none")) == (0, 0)
    now += 1
    measured.count(Counter({"slow": 0}))
    assert measured.of("slow") == 0


@pytest.mark.parametrize(
    ("height", "wanted", "given"),
    [
        (17, [1, 2, 3], [1, 2, 3]),
        (9, [9, 9, 9], [3, 3, 3]),
        (9, [1, 9, 2], [1, 6, 2]),
        (2, [9, 9, 9], [1, 1, 0]),
        (9, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_rows_are_shared_among_the_tables(height, wanted, given):
    """What one does not need, the others have."""
    assert frames._shares(height, wanted) == given
