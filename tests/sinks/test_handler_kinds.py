"""The handlers that users have today: each writes under one owner what it would write alone."""

import codecs
import json
import logging
import logging.handlers
import os
import re
import time
from pathlib import Path

import pytest

from queuelog._files import FileSink
from queuelog._spool import FileLock

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()


@pytest.fixture
def program(python, spool, tmp_path):
    """Return a function that runs a program behind the prelude; it returns the file app.log."""

    def run(text, check=True):
        done = python(f"{PRELUDE}\n{text}", spool, check=check)
        path = tmp_path / "app.log"
        run.stdout, run.stderr = done.stdout, done.stderr
        return path.read_bytes() if path.exists() else b""

    return run


@pytest.mark.parametrize(
    "handler",
    [
        "logging.FileHandler('app.log')",
        "logging.handlers.WatchedFileHandler('app.log')",
        "logging.handlers.RotatingFileHandler('app.log', maxBytes=1000, backupCount=1)",
        "logging.handlers.TimedRotatingFileHandler('app.log', when='midnight')",
        "logging.FileHandler('app.log', delay=True)",
        "type('Mine', (logging.FileHandler,), {})('app.log')",
    ],
)
def test_worker_and_arbiter_write_into_one_file(program, handler):
    """Both processes' lines are there, in order, also those after stop()."""
    written = program(
        f"handler = add({handler})\n"
        "root.info('before')\n"
        "run(lambda: root.info('worker'))\n"
        "assert root.handlers == [handler]\n"
        "root.info('after')\n"
    )
    assert written == b"INFO before\nINFO worker\nINFO after\n"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "utf-8-sig", "utf-32"])
def test_each_file_has_the_handlers_encoding_and_one_byte_order_mark(program, tmp_path, encoding):
    """A line is encoded in the worker; the mark stands once, at the start of each file."""
    program(
        "add(logging.handlers.RotatingFileHandler('app.log', maxBytes=100, backupCount=9,"
        f" encoding={encoding!r}), 'n\\xe4ml %(message)s')\n"
        "def log():\n"
        "    for i in range(20): root.info('%02d', i)\n"
        "run(log)\n"
    )
    lines = []
    files = sorted(tmp_path.glob("app.log*"), key=lambda path: (len(path.name), path.name))
    for path in [*reversed(files[1:]), files[0]]:
        text = path.read_bytes().decode(encoding)
        assert codecs.BOM_UTF8.decode() not in text
        lines += text.splitlines()
    assert len(files) > 1
    assert lines == [f"näml {i:02d}" for i in range(20)]


def test_characters_that_cannot_be_encoded_do_not_cost_the_line(program):
    """`errors` is used; where it is strict, the stdlib loses the line, and an escape is written."""
    written = program(
        "add(logging.FileHandler('app.log', encoding='ascii'), 'strict %(message)s')\n"
        "add(logging.FileHandler('app.log', encoding='ascii', errors='replace'), '%(message)s')\n"
        "run(lambda: root.info('\\u20ac \\ud800'))\n"
    )
    assert written == b"strict \\u20ac \\ud800\n? ?\n"


def test_mode_w_empties_the_file_once(program, tmp_path):
    """What is logged before, under and after queuelog stays; what was there before does not."""
    (tmp_path / "app.log").write_text("old\n")
    (tmp_path / "late.log").write_text("old\n")
    written = program(
        "add(logging.FileHandler('app.log', mode='w'))\n"
        "add(logging.FileHandler('late.log', mode='w', delay=True))\n"
        "run(lambda: root.info('worker'))\n"
        "root.info('after')\n"
    )
    assert written == b"INFO worker\nINFO after\n"
    assert (tmp_path / "late.log").read_bytes() == written


def test_styles_terminators_levels_and_filters_are_the_handlers(program):
    """Routing and formatting happen in the worker, by what the user configured."""
    written = program(
        "class Ids(logging.Filter):\n"
        "    def filter(self, record):\n"
        "        record.request = 'r1'\n"
        "        return 'secret' not in record.getMessage()\n"
        "one = add(logging.FileHandler('app.log'), '{request} {message}', style='{')\n"
        "one.terminator = '|\\n'\n"
        "one.addFilter(Ids())\n"
        "two = add(logging.FileHandler('app.log'), '$levelname:$message', style='$')\n"
        "two.setLevel('ERROR')\n"
        "def log():\n"
        "    root.info('first %s', 1)\n"
        "    root.info('a secret')\n"
        "    root.debug('not this')\n"
        "    root.error('second')\n"
        "run(log)\n"
    )
    assert written.splitlines() == [b"r1 first 1|", b"r1 second|", b"ERROR:second"]


def test_propagation_and_shared_handlers_write_each_line_once_a_handler(program):
    """One handler on two loggers, and a child that propagates: as many lines as ever."""
    written = program(
        "shared = add(logging.FileHandler('app.log'), '%(name)s %(message)s')\n"
        "child = logging.getLogger('child')\n"
        "other = logging.getLogger('other')\n"
        "other.addHandler(shared); other.propagate = False\n"
        "queue_handlers = lambda: {id(h) for l in (root, other) for h in l.handlers}\n"
        "def log():\n"
        "    assert len(queue_handlers()) == 1\n"
        "    child.info('x'); other.info('y'); root.info('z')\n"
        "run(log)\n"
        "assert root.handlers == other.handlers == [shared]\n"
    )
    assert written == b"child x\nother y\nroot z\n"


def test_odd_records_arrive_as_they_are(program, tmp_path):
    """Tracebacks, stacks, newlines, NULs, nothing at all, ten megabytes, non-ASCII file names."""
    written = program(
        "add(logging.FileHandler('app.log'), '%(message)s')\n"
        "add(logging.FileHandler('\\u00fcber \\u65e5.log'), '%(message)s')\n"
        "def log():\n"
        "    try: raise ValueError('no')\n"
        "    except ValueError: root.exception('failed')\n"
        "    root.info('stack', stack_info=True)\n"
        "    root.info('')\n"
        "    root.info('a\\nb\\0c')\n"
        "    root.info('x' * 10_000_000)\n"
        "    root.info('last')\n"
        "run(log)\n"
    )
    text = written.decode()
    assert re.match(
        r"failed\nTraceback \(most recent call last\):\n(  .*\n)+ValueError: no\n", text
    )
    assert re.search(r"\nstack\nStack \(most recent call last\):\n(  .*\n)+\na\nb\0c\nx", text)
    assert text.endswith(f"\n{'x' * 10_000_000}\nlast\n")
    assert (tmp_path / "über 日.log").read_bytes() == written


def test_a_memory_handlers_target_is_taken_over(program):
    """The buffer stays in the worker, the file does not."""
    written = program(
        "target = logging.FileHandler('app.log')\n"
        "memory = logging.handlers.MemoryHandler(9, target=target)\n"
        "root.addHandler(memory)\n"
        "def log():\n"
        "    root.info('kept'); root.error('now')\n"
        "    assert memory.target is not target\n"
        "run(log)\n"
        "assert memory.target is target\n"
    )
    assert written == b"kept\nnow\n"


def test_consoles_and_devices_stay_where_they_are(program):
    """/dev/null, /dev/stdout and StreamHandlers are no log files."""
    program(
        "console = add(logging.StreamHandler(sys.stdout), 'console %(message)s')\n"
        "device = add(logging.FileHandler('/dev/stdout'), 'device %(message)s')\n"
        "null = add(logging.FileHandler('/dev/null'))\n"
        "def log():\n"
        "    assert root.handlers == [console, device, null]\n"
        "    root.info('x')\n"
        "run(log)\n"
    )
    assert sorted(program.stdout.splitlines()) == ["console x", "device x"]


def test_a_record_is_not_changed_for_other_handlers(program):
    """Formatting leaves no text in the record: each handler formats a traceback its own way."""
    program(
        "class Short(logging.Formatter):\n"
        "    def formatException(self, info): return 'short'\n"
        "file = logging.FileHandler('app.log'); file.setFormatter(Short('%(message)s'))\n"
        "root.addHandler(file)\n"
        "seen = []\n"
        "class Look(logging.Handler):\n"
        "    def emit(self, record): seen.append(dict(vars(record)))\n"
        "root.addHandler(Look())\n"
        "def log():\n"
        "    try: 1 / 0\n"
        "    except ZeroDivisionError: root.exception('x %s', 1)\n"
        "    assert 'message' not in seen[0] and seen[0]['exc_text'] is None\n"
        "    assert seen[0]['args'] == (1,)\n"
        "run(log)\n"
    )


def test_names_and_marker_attributes_stay(program):
    """Gunicorn finds its handler by `_gunicorn`, dictConfig by the name."""
    program(
        "file = add(logging.FileHandler('app.log'))\n"
        "file._gunicorn = True; file.set_name('main')\n"
        "def log():\n"
        "    (handler,) = root.handlers\n"
        "    assert handler is not file and handler._gunicorn and handler.name == 'main'\n"
        "    assert logging._handlers['main'] is handler\n"
        "    assert not hasattr(handler, 'stream')\n"
        "run(log)\n"
        "assert logging._handlers['main'] is file\n"
    )


SUBCLASSES = {
    "emit": (
        (
            "class Mine(logging.FileHandler):\n"
            "    def emit(self, record):\n"
            "        record.msg = f'{os.getpid() == arbiter} {record.msg}'\n"
            "        super().emit(record)\n"
            "arbiter = os.getpid()\n"
            "add(Mine('app.log'), '%(message)s')\n"
        ),
        b"True one\nTrue two\n",
    ),
    "format": (
        (
            "class Mine(logging.FileHandler):\n"
            "    def format(self, record): return 'mine ' + super().format(record)\n"
            "add(Mine('app.log'), '%(message)s')\n"
        ),
        b"mine one\nmine two\n",
    ),
    "_open": (
        (
            "class Mine(logging.FileHandler):\n"
            "    def _open(self):\n"
            "        stream = super()._open(); stream.write('opened\\n'); return stream\n"
            "add(Mine('app.log', delay=True), '%(message)s')\n"
        ),
        b"opened\none\ntwo\n",
    ),
    "shouldRollover": (
        (
            "class Mine(logging.handlers.RotatingFileHandler):\n"
            "    def shouldRollover(self, record): return 'two' in record.getMessage()\n"
            "add(Mine('app.log', backupCount=1), '%(message)s')\n"
        ),
        b"two\n",
    ),
    "doRollover": (
        (
            "class Mine(logging.handlers.RotatingFileHandler):\n"
            "    def doRollover(self):\n"
            "        super().doRollover(); self.stream.write('header\\n')\n"
            "add(Mine('app.log', maxBytes=5, backupCount=1), '%(message)s')\n"
        ),
        b"header\ntwo\n",
    ),
}


@pytest.mark.parametrize("method", SUBCLASSES)
def test_a_subclass_keeps_its_own_ways(program, method):
    """What a user overrides is called, in the worker or in the arbiter, wherever it belongs."""
    setup, expected = SUBCLASSES[method]
    log = "def log():\n    root.info('one')\n    root.info('two')\nrun(log)\n"
    assert program(setup + log) == expected


def test_namer_and_rotator_are_used(program, tmp_path):
    """Backups get the user's names and compression."""
    program(
        "import gzip\n"
        "def rotator(source, dest):\n"
        "    with open(source, 'rb') as f, gzip.open(dest, 'wb') as g: g.write(f.read())\n"
        "    os.remove(source)\n"
        "h = add(logging.handlers.RotatingFileHandler('app.log', maxBytes=50, backupCount=9))\n"
        "h.namer, h.rotator = lambda name: name + '.gz', rotator\n"
        "def log():\n"
        "    for i in range(20): root.info('number %d', i)\n"
        "run(log)\n"
    )
    assert len(list(tmp_path.glob("app.log.*.gz"))) > 3


def test_a_rotator_that_fails_loses_no_line(program):
    """The file grows too long, and the failure is reported; every line is in it."""
    written = program(
        "def rotator(source, dest): raise RuntimeError('broken rotator')\n"
        "h = add(logging.handlers.RotatingFileHandler('app.log', maxBytes=50, backupCount=9))\n"
        "h.rotator = rotator\n"
        "def log():\n"
        "    for i in range(20): root.info('number %d', i)\n"
        "run(log)\n"
    )
    lines = [line for line in written.splitlines() if b"number" in line]
    assert lines == [b"INFO number %d" % i for i in range(20)]
    assert "broken rotator" in program.stderr


def test_a_handler_owned_by_name_gets_the_record_in_the_arbiter(program):
    """`own=`: message, traceback and extras arrive as plain values; no object crosses."""
    written = program(
        "import json\n"
        "arbiter = os.getpid()\n"
        "class Mail(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        with open('app.log', 'a') as f:\n"
        "            print(json.dumps([os.getpid() == arbiter, record.getMessage(),"
        " record.exc_text, record.extra, record.number]), file=f)\n"
        "mail = Mail(); mail.set_name('mail'); root.addHandler(mail)\n"
        "class Odd:\n"
        "    def __str__(self): raise RuntimeError('unprintable')\n"
        "def log():\n"
        "    try: 1 / 0\n"
        "    except ZeroDivisionError: root.exception('%s!', 'no',"
        " extra={'extra': Odd(), 'number': 7})\n"
        "run(log, own=['mail'])\n"
    )
    in_arbiter, message, traceback, extra, number = json.loads(written)
    assert in_arbiter
    assert (message, number) == ("no!", 7)
    assert traceback.endswith("ZeroDivisionError: division by zero")
    assert extra.startswith("<Odd:")


def sink(handler):
    """Return a FileSink for `handler`, and its ledger: a list."""
    lock = FileLock(handler.baseFilename + ".lock")
    return FileSink(handler.baseFilename, handler, lock), []


def test_a_late_record_goes_to_the_backup_of_its_second(tmp_path):
    """Also when it is written after the rollover."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", when="S", utc=True)
    file, marks = sink(handler)
    now = int(time.time()) - 10
    handler.rolloverAt = now + 1
    file.write([(now + 0.1, b"0\n"), (now + 1.2, b"1\n"), (now + 2.5, b"2\n")], marks.append)
    file.write(
        [(now + 0.9, b"late 0\n"), (now + 1.9, b"late 1\n"), (now + 3, b"3\n")], marks.append
    )
    file.close()
    stamp = [time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(now + i)) for i in range(3)]
    contents = [(tmp_path / f"t.{text}").read_bytes() for text in stamp]
    assert contents == [b"0\nlate 0\n", b"1\nlate 1\n", b"2\n"]
    assert (tmp_path / "t").read_bytes() == b"3\n"


def test_a_clock_that_steps_back_replaces_no_backup(tmp_path):
    """The stdlib removes a backup whose name comes a second time (before 3.12)."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", when="S", utc=True)
    file, marks = sink(handler)
    now = int(time.time()) - 10
    for text in (b"first\n", b"second\n"):
        handler.rolloverAt = now + 1
        file._begin = 0.0
        file.write([(now + 0.5, text), (now + 1.5, b"next\n")], marks.append)
    file.close()
    written = b"".join(path.read_bytes() for path in tmp_path.glob("t.*") if path.suffix != ".lock")
    assert b"first\n" in written
    assert b"second\n" in written


def test_a_record_of_the_future_does_not_roll_the_file_over(tmp_path):
    """A worker with a wrong clock, or a hostile one, cannot rotate the logs away."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", when="H", utc=True)
    file, marks = sink(handler)
    file.write([(time.time() + 1e9, b"x\n"), (9e10, b"y\n")], marks.append)
    file.close()
    assert (tmp_path / "t").read_bytes() == b"x\ny\n"


def test_an_interruption_at_any_byte_is_completed(tmp_path):
    """After a short write, `resume` writes the rest, neither more nor less."""
    lines = [(float(i), b"line %d\n" % i) for i in range(4)]
    whole = b"".join(line for _, line in lines)
    for size in range(len(whole) + 1):
        path = tmp_path / f"{size}.log"
        file, marks = sink(logging.FileHandler(path, encoding="utf-8-sig"))
        file.write(lines[:0], marks.append)
        file._reopen_if_moved()
        os.write(file._fd, b"earlier\n")
        file.write(lines, marks.append)
        path.write_bytes((b"earlier\n" + whole)[: 8 + size])
        file.resume(lines, marks[-1], marks.append)
        file.close()
        assert path.read_bytes() == b"earlier\n" + whole


def test_what_somebody_else_wrote_makes_a_batch_double_rather_than_lost(tmp_path, capfd):
    """The bytes differ: all is written again, and reported."""
    path = tmp_path / "x.log"
    file, marks = sink(logging.FileHandler(path))
    file.write([(1.0, b"one\n")], marks.append)
    path.write_bytes(b"foreign\n")
    file.resume([(1.0, b"one\n")], marks[-1], marks.append)
    file.close()
    assert path.read_bytes() == b"foreign\none\n"
    assert "may now be in it twice" in capfd.readouterr().err
