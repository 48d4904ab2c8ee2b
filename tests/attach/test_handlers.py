"""Handlers as users have them: by Gunicorn's settings, with their own classes, beside each other.

What all kinds of handlers have in common is in test_handler_kinds.py.
"""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from harness import Server, children, open_files, wait_for

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()


@pytest.fixture
def program(python, spool, tmp_path):
    """Return a function that runs a program behind the prelude; it returns the file app.log."""

    def run(text, options=()):
        done = python(f"{PRELUDE}\n{text}", spool, options=options)
        run.stdout, run.stderr = done.stdout, done.stderr
        path = tmp_path / "app.log"
        return path.read_bytes() if path.exists() else b""

    return run


def read_lines(paths):
    """Return the lines of several files."""
    return [line for path in paths for line in path.read_text().splitlines()]


# --- Gunicorn's settings

INI = """
[loggers]
keys = root, gunicorn.error, gunicorn.access, load
[handlers]
keys = error, access, load
[formatters]
keys = plain
[formatter_plain]
format = [%(levelname)s] %(message)s
[logger_root]
level = INFO
handlers = error
[logger_gunicorn.error]
qualname = gunicorn.error
level = INFO
handlers = error
propagate = 0
[logger_gunicorn.access]
qualname = gunicorn.access
level = INFO
handlers = access
propagate = 0
[logger_load]
qualname = load
level = INFO
handlers = load
propagate = 0
[handler_error]
class = FileHandler
formatter = plain
args = ("logs/error.log",)
[handler_access]
class = handlers.WatchedFileHandler
formatter = plain
args = ("logs/access.log",)
[handler_load]
class = handlers.RotatingFileHandler
formatter = plain
args = ("logs/load.log", "a", 200, 99)
"""


def dictionary():
    """Return the same as INI for dictConfig."""
    file = {"formatter": "plain", "class": "logging.FileHandler"}
    load = {"class": "logging.handlers.RotatingFileHandler", "maxBytes": 200, "backupCount": 99}
    logger = {"level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "[%(levelname)s] %(message)s"}},
        "handlers": {
            "error": {**file, "filename": "logs/error.log"},
            "access": {**file, "filename": "logs/access.log"},
            "load": {**file, "filename": "logs/load.log", **load},
        },
        "root": {"level": "INFO", "handlers": ["error"]},
        "loggers": {
            "gunicorn.error": {**logger, "handlers": ["error"]},
            "gunicorn.access": {**logger, "handlers": ["access"]},
            "load": {**logger, "handlers": ["load"]},
        },
    }


class SettingsServer(Server):
    """A Gunicorn whose logging is configured by the settings given as text."""

    def write_conf(self, **settings):
        """Write the conf file."""
        self._settings |= settings
        self.conf.write_text(
            "import queuelog\nfrom queuelog.gunicorn import *\n"
            f"bind = '127.0.0.1:{self.port}'\nworkers = {self.workers}\n"
            f"control_socket_disable = True\n{self._settings['extra']}\n"
        )


@pytest.fixture
def serve(tmp_path, spool):
    """Return a function that starts a Gunicorn with these settings; ends it after the test."""
    made = []

    def start(settings):
        hook = f"def on_starting(server):\n    queuelog.start(spool={spool!r})\n"
        made.append(SettingsServer(tmp_path, workers=2, extra=hook + settings))
        return made[-1].start()

    yield start
    for server in made:
        server.kill()


CONFIGURED = {
    "accesslog and errorlog": "accesslog = 'logs/access.log'\nerrorlog = 'logs/error.log'",
    "logconfig": "logconfig = 'log.ini'",
    "logconfig_json": "logconfig_json = 'log.json'",
    "logconfig_dict": f"logconfig_dict = {dictionary()!r}",
    "logconfig_dict and chdir": f"logconfig_dict = {dictionary()!r}\nchdir = 'elsewhere'",
    "accesslog and chdir": (
        "accesslog = 'logs/access.log'\nerrorlog = 'logs/error.log'\nchdir = 'elsewhere'"
    ),
}


@pytest.mark.parametrize("setting", CONFIGURED)
def test_every_way_to_configure_gunicorn_works(serve, tmp_path, setting):
    """The files are where Gunicorn would put them, and the arbiter alone has them open."""
    (tmp_path / "log.ini").write_text(INI)
    (tmp_path / "log.json").write_text(json.dumps(dictionary()))
    (tmp_path / "elsewhere" / "logs").mkdir(parents=True)
    server = serve(CONFIGURED[setting])
    logs = (tmp_path / "elsewhere" if "chdir" in setting else tmp_path) / "logs"
    server.get("/log?start=0&count=20")
    server.get("/pid?last")
    wait_for(lambda: "/pid?last" in (logs / "access.log").read_text(), "the access log")

    def held(worker):
        return [path for path in open_files(worker) if "/logs/" in path]

    for worker in children(server.pid):
        wait_for(lambda pid=worker: not held(pid), "a worker has closed what it inherited")
    assert {str(logs / "access.log"), str(logs / "error.log")} <= {*open_files(server.pid)}
    assert server.stop() == 0
    errors = (logs / "error.log").read_text()
    for text in ("Starting gunicorn", "Booting worker", "Worker exiting", "Shutting down"):
        assert text in errors
    assert "queuelog[" not in server.errors()
    if "accesslog" not in setting:
        lines = read_lines(logs.glob("load.log*"))
        numbers = sorted(int(re.search(r"number=(\d+)", line)[1]) for line in lines)
        assert numbers == list(range(20))
        assert len(list(logs.glob("load.log*"))) > 2


def test_gunicorns_reopening_signal_follows_logrotate(serve, tmp_path):
    """SIGUSR1 with `accesslog` and `errorlog`: what Gunicorn does to its handlers does no harm."""
    server = serve(CONFIGURED["accesslog and errorlog"])
    access = tmp_path / "logs" / "access.log"
    for number in range(3):
        server.get(f"/pid?{number}")
        wait_for(lambda n=number: access.exists() and f"/pid?{n}" in access.read_text(), "a line")
        access.rename(f"{access}.{number}")
        server.send(signal.SIGUSR1)
    server.get("/pid?last")
    assert server.stop() == 0
    for number in range(3):
        assert f"/pid?{number}" in Path(f"{access}.{number}").read_text()
    assert "/pid?last" in access.read_text()


def test_captured_output_joins_the_error_log(serve, tmp_path):
    """With `capture_output` the workers' stdout and stderr are the error log; both get there."""
    (tmp_path / "logs").mkdir(exist_ok=True)
    hook = "\ndef post_worker_init(worker):\n    queuelog.setup(); print('printed', flush=True)\n"
    server = serve("errorlog = 'logs/error.log'\ncapture_output = True" + hook)
    error = tmp_path / "logs" / "error.log"
    wait_for(lambda: error.read_text().count("printed\n") == 2, "what the workers print")
    assert server.stop() == 0
    lines = error.read_text().splitlines()
    assert lines.count("printed") == 2
    assert sum("Booting worker" in line for line in lines) == 2
    assert not [line for line in lines if "queuelog[" in line]


# --- two handlers, one file


def test_two_handlers_of_a_file_write_each_their_own_way(program, tmp_path):
    """Of two handlers the one that rotates decides; formats and levels stay apart."""
    written = program(
        "one = add(logging.FileHandler('app.log'), 'one %(message)s')\n"
        "two = add(logging.handlers.RotatingFileHandler('app.log', maxBytes=25, backupCount=9),"
        " 'two %(message)s')\n"
        "two.setLevel('WARNING')\n"
        "def log():\n"
        "    for i in range(3): root.info('%d', i); root.warning('%d', i)\n"
        "run(log)\n"
        "assert root.handlers == [one, two]\n"
    )
    backups = sorted(tmp_path.glob("app.log.*"), reverse=True)
    written = b"".join(path.read_bytes() for path in backups) + written
    lines = written.decode().splitlines()
    assert sorted(lines[:3]) == ["one 0", "one 0", "two 0"]  # two of them are of one record
    assert sorted(lines) == sorted(
        f"{name} {i}" for i in range(3) for name in ("one", "one", "two")
    )
    assert len(backups) == 2


def test_a_plain_and_an_own_handler_of_a_file_keep_their_formats(program):
    """The class with an `emit` of its own gets records, the other's lines are ready."""
    written = program(
        "class Mine(logging.FileHandler):\n"
        "    def emit(self, record): super().emit(record)\n"
        "add(logging.FileHandler('app.log'), 'plain %(levelname)s %(message)s')\n"
        "add(Mine('app.log'), 'mine %(levelname)s %(message)s')\n"
        "run(lambda: root.info('x'))\n"
    )
    assert sorted(written.splitlines()) == [b"mine INFO x", b"plain INFO x"]


@pytest.mark.parametrize("delay", [False, True])
def test_a_second_handler_of_a_file_works_after_stop_and_empties_nothing(program, delay):
    """It was idle meanwhile: the other one's descriptor was used."""
    written = program(
        "add(logging.FileHandler('app.log'), 'one %(message)s')\n"
        f"add(logging.FileHandler('app.log', mode='w', delay={delay}), 'two %(message)s')\n"
        "run(lambda: root.info('worker'))\n"
        "root.info('after')\n"
    )
    assert written.splitlines() == [b"one worker", b"two worker", b"one after", b"two after"]


def test_the_same_file_through_two_paths_is_one_file(program, tmp_path):
    """A link to a directory must not make two owners, who rotate under each other."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    program(
        "for place in ('real', 'link', 'real/../link/.'):\n"
        "    add(logging.handlers.RotatingFileHandler(f'{place}/app.log', maxBytes=100,"
        " backupCount=99), '%(message)s')\n"
        "def log():\n"
        "    for i in range(50): root.info('%03d', i)\n"
        "run(log)\n"
    )
    lines = read_lines((tmp_path / "real").iterdir())
    assert sorted(lines) == sorted(f"{i:03d}" for i in range(50) for _ in range(3))
    assert all(path.stat().st_size <= 100 for path in (tmp_path / "real").iterdir())


def test_a_file_name_that_is_no_utf_8_is_as_good_as_any(program, tmp_path):
    """A path is bytes."""
    program(
        "for name in ('app.\\udcff.log', 'a b\\n%s{}.log'):\n"
        "    add(logging.handlers.RotatingFileHandler(name, maxBytes=9, backupCount=5))\n"
        "def log():\n"
        "    for i in range(3): root.info('%d', i)\n"
        "run(log)\n"
    )
    for name in (b"app.\xff.log", b"a b\n%s{}.log"):
        path = os.fsencode(tmp_path) + b"/" + name
        texts = [Path(os.fsdecode(path + end)).read_text() for end in (b".2", b".1", b"")]
        assert texts == ["INFO 0\n", "INFO 1\n", "INFO 2\n"]


# --- formatting and routing in the worker


def test_a_filter_may_change_the_record_for_all(program):
    """As ever: what a filter writes into the record, later handlers see."""
    written = program(
        "def anonymous(record): record.msg = record.msg.replace('secret', '***'); return True\n"
        "root.addFilter(anonymous)\n"
        "handler = add(logging.FileHandler('app.log'), '%(message)s %(user)s')\n"
        "handler.addFilter(lambda record: setattr(record, 'user', 'u7') or True)\n"
        "run(lambda: root.info('the secret'))\n"
    )
    assert written == b"the *** u7\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters replace records since 3.12")
def test_a_filter_may_replace_the_record(program):
    """The handler writes the new one, the others the old one."""
    written = program(
        "def replace(record): return logging.makeLogRecord({**vars(record), 'msg': 'new'})\n"
        "add(logging.FileHandler('app.log'), 'first %(message)s').addFilter(replace)\n"
        "add(logging.FileHandler('app.log'), 'second %(message)s')\n"
        "run(lambda: root.info('old'))\n"
    )
    assert written == b"first new\nsecond old\n"


def test_what_is_set_on_the_handler_later_counts(program):
    """Applications find the handler in the tree, and change its level, filters and format."""
    written = program(
        "add(logging.FileHandler('app.log'))\n"
        "def log():\n"
        "    (handler,) = root.handlers\n"
        "    handler.setFormatter(logging.Formatter('later %(message)s'))\n"
        "    handler.setLevel('ERROR')\n"
        "    handler.addFilter(lambda record: 'no' not in record.msg)\n"
        "    root.info('x'); root.error('no'); root.error('yes')\n"
        "run(log)\n"
    )
    assert written == b"later yes\n"


def test_extras_defaults_adapters_and_warnings_are_formatted(program):
    """Whatever the formatter asks for is there."""
    written = program(
        "import warnings\n"
        "handler = add(logging.FileHandler('app.log'))\n"
        "handler.setFormatter(logging.Formatter('%(name)s %(ip)s %(message)s',"
        " defaults={'ip': '-'}))\n"
        "def log():\n"
        "    root.info('a', extra={'ip': '::1'})\n"
        "    logging.LoggerAdapter(logging.getLogger('x'), {'ip': '::2'}).warning('b')\n"
        "    logging.captureWarnings(True); warnings.warn('c', stacklevel=1)\n"
        "run(log)\n",
        options=["-W", "default"],
    )
    lines = written.decode().splitlines()
    assert lines[:2] == ["root ::1 a", "x ::2 b"]
    assert re.fullmatch(r"py\.warnings - .*UserWarning: c", lines[2])


def test_a_formatter_that_raises_costs_its_own_line_only(program):
    """It is reported as the standard library does, and nothing is raised."""
    written = program(
        "add(logging.FileHandler('app.log'), '%(message)s')\n"
        "class Broken:\n"
        "    def __str__(self): raise RuntimeError('unprintable')\n"
        "run(lambda: (root.info('a'), root.info('%s', Broken()), root.info('%d', 'x'),"
        " root.info('b')))\n"
    )
    assert written == b"a\nb\n"
    assert program.stderr.count("--- Logging error ---") == 2
    assert "unprintable" in program.stderr


def test_lone_surrogates_are_escaped_in_utf_8(program):
    """File names from the network hold such; the standard library loses the line."""
    written = program(
        "add(logging.FileHandler('app.log', encoding='utf-8'), '\\u00e9 %(message)s')\n"
        "run(lambda: root.info('\\udcff.txt'))\n"
    )
    assert written == b"\xc3\xa9 \\udcff.txt\n"


def test_other_handlers_stay_in_the_worker(program):
    """Only files, and what `own` names, are the arbiter's."""
    program(
        "import io\n"
        "class Mine(logging.Handler):\n"
        "    def emit(self, record): seen.append(os.getpid())\n"
        "seen = []; stream = io.StringIO()\n"
        "kept = [add(Mine()), add(logging.StreamHandler(stream)), add(logging.NullHandler())]\n"
        "def log():\n"
        "    assert root.handlers == kept\n"
        "    root.info('x'); assert seen == [os.getpid()] and stream.getvalue() == 'INFO x\\n'\n"
        "run(log)\n"
    )


# --- classes of the user's own

MOVED = {
    "FileHandler": "logging.FileHandler",
    "WatchedFileHandler": "logging.handlers.WatchedFileHandler",
    "own emit": (
        "type('Mine', (logging.FileHandler,),"
        " {'emit': lambda self, record: logging.FileHandler.emit(self, record)})"
    ),
}


@pytest.mark.parametrize("kind", MOVED)
def test_a_moved_file_is_left_alone(program, tmp_path, kind):
    """Nobody else could reopen it: Gunicorn's SIGUSR1 does not reach the handler any more."""
    written = program(
        f"add({MOVED[kind]}('app.log'), '%(message)s')\n"
        "queuelog.start(spool=sys.argv[1])\n"
        "listener = queuelog._bridge._bridge._listener\n"
        "in_worker(lambda: root.info('1')); listener.pause(); listener.drain(9)\n"
        "os.rename('app.log', 'moved.log'); listener.resume()\n"
        "in_worker(lambda: root.info('2')); queuelog.stop()\n"
    )
    assert written == b"2\n"
    assert (tmp_path / "moved.log").read_bytes() == b"1\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_class_with_its_own_emit_rotates_by_itself(program, tmp_path, encoding):
    """It gets whole records, and writes in its own encoding."""
    program(
        "class Mine(logging.handlers.RotatingFileHandler):\n"
        "    def emit(self, record): super().emit(record)\n"
        f"add(Mine('app.log', maxBytes=100, backupCount=99, encoding={encoding!r}), '\\u00e9"
        " %(message)s %(extra)s')\n"
        "def log():\n"
        "    for i in range(40): root.info('%02d', i, extra={'extra': 'e'})\n"
        "run(log)\n"
    )
    paths = [*tmp_path.glob("app.log*")]
    lines = [line for path in paths for line in path.read_text(encoding).splitlines()]
    assert sorted(lines) == [f"é {i:02d} e" for i in range(40)]
    assert len(paths) > 2


@pytest.mark.parametrize("method", ["computeRollover", "when"])
def test_a_timed_subclass_may_have_periods_of_its_own(program, method):
    """The standard library's names for periods are not the only ones."""
    written = program(
        "class Quarters(logging.handlers.TimedRotatingFileHandler):\n"
        "    def computeRollover(self, now): return now // 900 * 900 + 900\n"
        "handler = Quarters('app.log'); add(handler, '%(message)s')\n"
        + ("handler.when = 'QUARTER'\n" if method == "when" else "")
        + "run(lambda: root.info('x'))\n"
    )
    assert written == b"x\n"


def test_retention_with_a_namer_removes_the_oldest(program, tmp_path):
    """`backupCount` counts what the namer has named."""
    program(
        "h = add(logging.handlers.RotatingFileHandler('app.log', maxBytes=10, backupCount=2),"
        " '%(message)s')\n"
        "h.namer = lambda name: name.replace('app.log', 'app') + '.log'\n"
        "def log():\n"
        "    for i in range(6): root.info('%06d', i)\n"
        "run(log)\n"
    )
    files = {path.name: path.read_text() for path in tmp_path.glob("app*")}
    assert files == {"app.log": "000005\n", "app.1.log": "000004\n", "app.2.log": "000003\n"}


@pytest.mark.parametrize(
    "handler",
    [
        "logging.handlers.RotatingFileHandler('app.log', maxBytes=30, backupCount=99)",
        "logging.handlers.TimedRotatingFileHandler('app.log', 'S', utc=True)",
        "logging.handlers.WatchedFileHandler('app.log')",
    ],
)
def test_after_stop_the_handler_is_what_it_was(program, tmp_path, handler):
    """It rolls over by itself again, and can be closed; nothing is lost on the way."""
    program(
        f"handler = add({handler}, '%(message)s')\n"
        "before = {k: v for k, v in vars(handler).items() if k not in ('stream', 'rolloverAt',"
        " 'dev', 'ino')}\n"
        "run(lambda: root.info('worker 00'))\n"
        "assert {k: vars(handler).get(k) for k in before} == before\n"
        "assert vars(handler).keys() - before.keys() <= {'stream', 'rolloverAt', 'dev', 'ino'}\n"
        "for i in range(9): root.info('after %02d', i)\n"
        "handler.close()\n"
    )
    lines = read_lines(tmp_path.glob("app.log*"))
    assert sorted(lines) == [f"after {i:02d}" for i in range(9)] + ["worker 00"]
    if "Rotating" in handler and "maxBytes" in handler:
        assert all(path.stat().st_size <= 30 for path in tmp_path.glob("app.log*"))


# --- own=


def test_an_owned_handler_is_asked_again_when_its_server_was_away(program):
    """An OSError means later, in order; anything else means never, for this record only."""
    written = program(
        "class Http(logging.Handler):\n"
        "    failures = 2\n"
        "    def emit(self, record):\n"
        "        try:\n"
        "            if record.msg == 'bad': raise ValueError('not for me')\n"
        "            if record.msg == 'two' and self.failures:\n"
        "                self.failures -= 1; raise ConnectionError('away')\n"
        "            with open('app.log', 'a') as file: print(record.msg, file=file, flush=True)\n"
        "        except Exception: self.handleError(record)\n"
        "handler = Http(); handler.set_name('http')\n"
        "logger = logging.getLogger('app'); logger.addHandler(handler)\n"
        "import pathlib, time\n"
        "def log():\n"
        "    for text in ('one', 'two', 'bad', 'three'): logger.info(text)\n"
        "    end = time.monotonic() + 30\n"
        "    while 'three' not in pathlib.Path('app.log').read_text() and time.monotonic() < end:\n"
        "        time.sleep(0.01)\n"
        "open('app.log', 'w').close()\n"
        "run(log, own='http')\n"
        "assert 'handleError' not in vars(handler)\n"
    )
    assert written == b"one\ntwo\nthree\n"
    assert "not for me" in program.stderr
    assert "away" in program.stderr


def test_an_owned_handlers_filters_and_level_work_in_the_worker(program):
    """They run once, where the request is."""
    written = program(
        "class Here(logging.Filter):\n"
        "    def filter(self, record):\n"
        "        record.pid = os.getpid(); return record.msg != 'no'\n"
        "class Mail(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        with open('app.log', 'a') as file: print(self.format(record), file=file)\n"
        "mail = add(Mail('ERROR'), '%(message)s %(pid)d'); mail.set_name('mail')\n"
        "mail.addFilter(Here())\n"
        "run(lambda: (print(os.getpid(), flush=True), root.info('low'), root.error('no'),"
        " root.error('yes')), own=['mail'])\n"
        "assert len(mail.filters) == 1\n"
    )
    assert written == b"yes %d\n" % int(program.stdout)


def test_records_cross_as_plain_values(program):
    """Containers stay, sets and objects become text, loops do not hang."""
    written = program(
        "import json\n"
        "class Show(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        with open('app.log', 'w') as file:\n"
        "            json.dump([record.plain, record.object[:4], record.levelno, record.lineno > 0,"
        " record.exc_info, record.args, record.process], file)\n"
        "show = Show(); show.set_name('show'); root.addHandler(show)\n"
        "class App: pass\n"
        "def log():\n"
        "    print(os.getpid(), flush=True)\n"
        "    root.info('%s', 'x', extra={'plain': [1, {'a': None}], 'object': App.__doc__ or"
        " repr(App)})\n"
        "run(log, own=['show'])\n"
    )
    pid = int(program.stdout)
    assert json.loads(written) == [[1, {"a": None}], "<cla", 20, True, None, None, pid]


def test_an_extra_that_contains_itself_does_not_cost_the_record(program):
    """JSON cannot hold it: text does."""
    written = program(
        "class Show(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        with open('app.log', 'w') as file: file.write(f'{record.msg} {record.loop}')\n"
        "show = Show(); show.set_name('show'); root.addHandler(show)\n"
        "loop = {}; loop['loop'] = loop\n"
        "run(lambda: root.info('kept', extra={'loop': loop}), own=['show'])\n"
    )
    assert written == b"kept {'loop': {...}}"
