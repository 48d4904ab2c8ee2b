"""The edges of start(), setup() and stop(): what fails, who else is running, and what is left."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

import queuelog
import queuelog.gunicorn

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()
FILE = "file = add(logging.FileHandler('app.log'), '%(message)s')\n"
START = "queuelog.start(spool=sys.argv[1])\n"
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run as two users")


@pytest.fixture
def program(python, spool):
    """Return a function that runs a program behind the prelude; argument 1 is the spool."""

    def run(text, *arguments, check=True, options=()):
        return python(f"{PRELUDE}\n{text}", spool, *arguments, check=check, options=options)

    return run


@pytest.fixture
def lines(tmp_path):
    """Return a function that returns the lines of app.log."""
    return lambda: (tmp_path / "app.log").read_text().splitlines()


# --- the package


def test_the_public_names_are_these():
    """Whoever adds one adds it here, too, and documents it."""
    assert queuelog.__all__ == sorted(queuelog.__all__)
    assert set(queuelog.__all__) == {
        "ConfigurationError", "FileInUseError", "NotStartedError", "Plan", "QueuelogError",
        "SpoolError", "WrongProcessError", "describe", "setup", "start", "stop",
    }  # fmt: skip
    for module in (queuelog, queuelog.gunicorn):
        assert all(getattr(module, name).__doc__ for name in module.__all__)


def test_an_import_does_nothing(python):
    """No thread, no descriptor, no hook, no handler, no other package."""
    python(
        "import atexit, logging, logging.config, os, sys, threading\n"
        "before = os.listdir('/proc/self/fd'), atexit._ncallbacks(), set(logging._handlers)\n"
        "import queuelog, queuelog.gunicorn\n"
        "from queuelog import _fork\n"
        "after = os.listdir('/proc/self/fd'), atexit._ncallbacks(), set(logging._handlers)\n"
        "assert before == after, (before, after)\n"
        "assert threading.active_count() == 1 and not _fork._registered\n"
        "assert logging.config.dictConfigClass is logging.config.DictConfigurator\n"
        "assert not {'gunicorn', 'gevent', 'multiprocessing'} & set(sys.modules)\n"
    )


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (queuelog.ConfigurationError("text"), ValueError),
        (queuelog.FileInUseError("/log", "process 1"), RuntimeError),
        (queuelog.NotStartedError("text"), RuntimeError),
        (queuelog.SpoolError("text"), OSError),
        (queuelog.WrongProcessError("text"), RuntimeError),
    ],
)
def test_errors_fit_builtins_and_can_be_pickled(error, builtin):
    """A process pool hands them on."""
    assert isinstance(error, builtin)
    assert isinstance(error, queuelog.QueuelogError)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


# --- what is refused


@pytest.mark.parametrize(
    "options",
    [
        {"spool": 5}, {"spool": ""}, {"spool": "/tmp/x\0y"}, {"backlog": None}, {"backlog": 1e9},
        {"full": None}, {"wait": "1"}, {"wait": None}, {"wait": float("nan")}, {"own": 5},
        {"own": [None]}, {"adopt": 5}, {"adopt": [5]}, {"adopt": ""}, {"user": []},
        {"user": -1}, {"user": ""}, {"queue": "object()"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_named(program, options):
    """Not only a wrong value: it may come from an environment variable, or be forgotten."""
    (name,) = options
    value = options[name] if name == "queue" else repr(options[name]).replace("nan", "float('nan')")
    options = ({} if name == "spool" else {"spool": "sys.argv[1]"}) | {name: value}
    arguments = ", ".join(f"{key}={text}" for key, text in options.items())
    program(
        f"try: queuelog.start({arguments})\n"
        f"except queuelog.ConfigurationError as error: assert {name!r} in str(error), error\n"
        "else: os._exit(1)\n"
    )


def test_a_file_as_parent_of_the_spool_is_refused(program, spool):
    """The message names what is in the way."""
    Path(spool).touch()
    done = program("queuelog.start(spool=sys.argv[1] + '/below')", check=False)
    assert "SpoolError" in done.stderr
    assert spool in done.stderr


@as_root
def test_a_stranger_in_the_workers_part_of_the_spool_is_refused(program, spool):
    """Each user's directory in it belongs to that user."""
    Path(spool).mkdir(mode=0o700)
    Path(spool, "0").mkdir()
    os.chown(Path(spool, "0"), NOBODY, NOBODY)
    done = program(START, check=False)
    assert "SpoolError" in done.stderr
    assert f"belongs to user {NOBODY}" in done.stderr


def test_the_spool_is_for_its_user_only(program, spool):
    """Log lines hold secrets: nobody else may read them, nor add any."""
    os.umask(0)
    try:
        program(FILE + START + "root.info('x'); os.kill(os.getpid(), 9)", check=False)
    finally:
        os.umask(0o022)
    assert os.stat(spool).st_mode & 0o777 == 0o700
    paths = [*Path(spool).rglob("*")]
    assert len(paths) >= 4
    for path in paths:
        assert not path.stat().st_mode & 0o077, path


def test_a_start_that_is_refused_for_a_file_leaves_the_tree_as_it_was(program, spool, tmp_path):
    """The caller may go on without queuelog: names, filters, targets, and what is logged."""
    os.mkdir(f"{spool}-2", 0o700)
    text = FILE + (
        "file.set_name('main'); file.addFilter(lambda record: True)\n"
        "other = logging.FileHandler('other.log')\n"
        "memory = logging.handlers.MemoryHandler(9, target=other); root.addHandler(memory)\n"
        "class Mail(logging.Handler):\n"
        "    def emit(self, record): print('mail', record.getMessage())\n"
        "mail = Mail(); mail.set_name('mail'); mail.addFilter(lambda record: True)\n"
        "root.addHandler(mail)\n"
        "before = os.listdir('/proc/self/fd')\n"
        "try: queuelog.start(spool=sys.argv[1] + '-2/x', own=['mail'])\n"
        "except queuelog.FileInUseError as error: print(error.owner)\n"
        "assert root.handlers == [file, memory, mail] and memory.target is other\n"
        "assert [len(h.filters) for h in (file, mail)] == [1, 1]\n"
        "assert logging._handlers['main'] is file and logging._handlers['mail'] is mail\n"
        "assert logging.config.dictConfigClass is logging.config.DictConfigurator\n"
        "assert len(os.listdir('/proc/self/fd')) <= len(before)\n"
        "root.error('goes on')\n"
    )
    (tmp_path / "second.py").write_text(f"{PRELUDE}\n{text}")
    done = program(
        FILE + START + "import subprocess\n"
        "print(subprocess.run([sys.executable, 'second.py', sys.argv[1]], check=True, text=True,"
        " stdout=subprocess.PIPE).stdout)\n"
    )
    assert spool in done.stdout
    assert "mail goes on" in done.stdout
    assert (tmp_path / "app.log").read_text() == "goes on\n"
    assert (tmp_path / "other.log").read_text() == "goes on\n"


def test_a_start_that_is_refused_for_a_handler_keeps_its_name(program):
    """It can be found by its name, and be put right."""
    program(
        "bad = add(logging.FileHandler('app.log', delay=True, encoding='no-such'))\n"
        "bad.set_name('bad')\n"
        "try: queuelog.start(spool=sys.argv[1])\n"
        "except queuelog.ConfigurationError: pass\n"
        "assert logging._handlers.get('bad') is bad\n"
        "bad.encoding = 'utf-8'; root.info('x')\n" + START
    )


@as_root
def test_the_first_start_of_a_user_ever():
    """With a spool of his own choice, nothing of ours is there yet."""
    uid = 54321
    text = (
        f"os.setgroups([]); os.setgid({uid}); os.setuid({uid})\n{FILE}{START}root.info('x')\n"
        "import shutil; queuelog.stop(); shutil.rmtree(f'/dev/shm/queuelog-{os.getuid()}')\n"
    )
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:  # where strangers may go
        os.chown(home, uid, uid)
        done = subprocess.run(
            [sys.executable, "-c", f"{PRELUDE}\n{text}", f"{home}/parent/spool"],
            cwd=home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert Path(home, "app.log").read_text() == "x\n"


# --- other processes and threads


def test_children_of_every_kind_need_no_setup(program, lines):
    """A plain program forks by itself, or by multiprocessing, and its children fork again."""
    program(
        FILE + START + "import multiprocessing\n"
        "def fork(function):\n"
        "    pid = os.fork()\n"
        "    if pid == 0: function(); os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n"
        "fork(lambda: (root.info('child'), fork(lambda: root.info('grandchild'))))\n"
        "process = multiprocessing.get_context('fork').Process(target=root.info, args=['mp'])\n"
        "process.start(); process.join(); assert process.exitcode == 0\n"
        "if os.fork() == 0: root.info('exits'); sys.exit(0)\n"
        "assert os.wait()[1] == 0\n"
        "root.info('parent')\n"
    )
    assert sorted(lines()) == ["child", "exits", "grandchild", "mp", "parent"]


def test_after_stop_a_configuration_is_nobodys_business(program, lines):
    """The hook into dictConfig is out again, and so are those into a fork."""
    program(
        FILE + START + "assert logging.config.dictConfigClass is not"
        " logging.config.DictConfigurator\n"
        "queuelog.stop()\n"
        "assert logging.config.dictConfigClass is logging.config.DictConfigurator\n"
        "from queuelog import _fork; assert not _fork._taking_part\n"
        "logging.config.dictConfig({'version': 1, 'handlers': {'f': {'class':"
        " 'logging.FileHandler', 'filename': 'app.log'}}, 'root': {'handlers': ['f']}})\n"
        "assert type(root.handlers[0]) is logging.FileHandler; root.info('x')\n"
    )
    assert lines() == ["x"]


def test_a_child_outlives_its_parent(program, lines):
    """What it logs after stop() waits for the next start."""
    program(
        FILE + START + "read, write = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.close(write); os.read(read, 1); root.info('orphan'); os._exit(0)\n"
        "root.info('parent'); queuelog.stop(); os.close(write); assert os.wait()[1] == 0\n"
    )
    assert lines() == ["parent"]
    program(FILE + START)
    assert lines() == ["parent", "orphan"]


def test_an_exception_and_exit_hooks_lose_nothing(program, lines):
    """Those that were registered before start() run after stop(), the others before."""
    done = program(
        "import atexit\natexit.register(lambda: root.info('earlier hook'))\n"
        + FILE + START + "atexit.register(lambda: root.info('later hook'))\n"
        "root.info('x'); raise SystemExit(3)", check=False
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert lines() == ["x", "later hook", "earlier hook"]


def test_threads_may_log_while_it_starts_and_stops(program, lines):
    """Every line is written once, whatever handler a thread has just in its hand."""
    done = program(
        FILE + "import threading, time\n"
        "over = threading.Event(); sent = [0] * 3\n"
        "def log(number):\n"
        "    while not over.is_set():\n"
        "        root.info('%d %d', number, sent[number]); sent[number] += 1\n"
        "threads = [threading.Thread(target=log, args=[n]) for n in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "for _ in range(8):\n"
        "    goal = sum(sent) + 300\n"
        "    while sum(sent) < goal: time.sleep(0.001)\n"
        "    queuelog.start(spool=sys.argv[1])\n"
        "    goal = sum(sent) + 300\n"
        "    while sum(sent) < goal: time.sleep(0.001)\n"
        "    queuelog.stop()\n"
        "over.set()\n"
        "for thread in threads: thread.join()\n"
        "queuelog.start(spool=sys.argv[1]); queuelog.stop()\n"
        "print(sent)\n"
    )
    expected = Counter(
        f"{n} {i}" for n, count in enumerate(json.loads(done.stdout)) for i in range(count)
    )
    found = Counter(lines())
    assert (expected - found, found - expected) == (Counter(), Counter())
    assert "Logging error" not in done.stderr


def test_a_fork_while_other_threads_log(program, lines):
    """No deadlock in the child, and no line lost, doubled or torn in either."""
    done = program(
        FILE + START + "import threading\n"
        "over = threading.Event(); sent = [0] * 3\n"
        "def log(number):\n"
        "    while not over.is_set():\n"
        "        root.info('%d %d', number, sent[number]); sent[number] += 1\n"
        "threads = [threading.Thread(target=log, args=[n]) for n in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "for child in range(20):\n"
        "    in_worker(lambda: [root.info('child %d %d', child, i) for i in range(10)])\n"
        "over.set()\n"
        "for thread in threads: thread.join()\n"
        "print(sent)\n",
        options=["-W", "ignore::DeprecationWarning"],  # of the program's own threads
    )
    expected = [f"{n} {i}" for n, count in enumerate(json.loads(done.stdout)) for i in range(count)]
    expected += [f"child {n} {i}" for n in range(20) for i in range(10)]
    assert Counter(lines()) == Counter(expected)


# --- adoption


def test_a_handler_that_a_worker_adds_by_itself_is_taken_over_by_setup(program, tmp_path):
    """By code, on a logger of its own, again and again: one file, each line once."""
    program(
        START + "def log():\n"
        "    logger = logging.getLogger('mine'); logger.propagate = False\n"
        "    for number in range(5):\n"
        "        add(logging.FileHandler('new.log', delay=True), f'{number} %(message)s', logger)\n"
        "        queuelog.setup()\n"
        "    logger.info('x')\n"
        "in_worker(log)\nqueuelog.stop()\n"
    )
    assert (tmp_path / "new.log").read_text() == "".join(f"{number} x\n" for number in range(5))


@pytest.mark.parametrize("kind", ["subclass", "namer"])
def test_what_the_arbiter_cannot_build_stays_in_the_worker(program, tmp_path, kind):
    """The worker writes it itself, and says what to do about it."""
    made = {
        "subclass": "type('Mine', (logging.FileHandler,), {})('mine.log')",
        "namer": "logging.handlers.RotatingFileHandler('mine.log')",
    }[kind]
    done = program(
        START + "def log():\n"
        f"    handler = add({made}, '%(message)s'); handler.namer = str\n"
        "    queuelog.setup(); assert root.handlers == [handler]\n"
        "    root.info('x')\n"
        "in_worker(log)\n"
    )
    assert (tmp_path / "mine.log").read_text().splitlines()[-1] == "x"
    assert "Configure it before queuelog.start()" in done.stderr


def test_a_reload_in_the_arbiter_leaks_nothing(program, tmp_path):
    """Each SIGHUP configures anew: handlers change, descriptors and threads do not add up."""
    program(
        "def configure(size):\n"
        "    logging.config.dictConfig({'version': 1, 'handlers': {'f': {'class':"
        " 'logging.handlers.RotatingFileHandler', 'filename': 'app.log', 'maxBytes': size,"
        " 'backupCount': 9}}, 'root': {'level': 'INFO', 'handlers': ['f']}})\n"
        "def count(): return len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task'))\n"
        "configure(0)\n" + START + "seen = []\n"
        "for _ in range(10):\n"
        "    configure(0); queuelog.setup()\n"
        "    in_worker(lambda: root.info('12345678')); queuelog._bridge._bridge._listener.pause()\n"
        "    queuelog._bridge._bridge._listener.drain(9); seen.append(count())\n"
        "    queuelog._bridge._bridge._listener.resume()\n"
        "assert max(seen)[0] <= min(seen)[0] + 2, seen\n"
        "configure(10); in_worker(lambda: root.info('after'))\n"
    )
    assert (tmp_path / "app.log").read_text() == "after\n"
    assert (tmp_path / "app.log.1").read_text() == "12345678\n" * 10


@as_root
def test_a_link_in_an_allowed_directory_is_not_followed(program, tmp_path):
    """A worker owns that directory: it must not lead a root arbiter anywhere else."""
    victim = tmp_path / "victim"
    victim.write_text("secret\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    os.chown(inside, NOBODY, NOBODY)
    (inside / "link.log").symlink_to(victim)
    (inside / "link").symlink_to(tmp_path)
    done = program(
        f"queuelog.start(spool=sys.argv[1], user='nobody', adopt=[{str(inside)!r}])\n"
        "os.chmod(os.path.dirname(sys.argv[1]), 0o711)\n"
        "def log():\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "    for path in ('link.log', 'link/victim', '../victim', 'link/../victim'):\n"
        f"        add(logging.FileHandler({str(inside)!r} + '/' + path, delay=True))\n"
        "    queuelog.setup(); root.info('attack')\n"
        "in_worker(log); queuelog.stop()\n"
    )
    assert victim.read_text() == "secret\n"
    assert "start(adopt=[" in done.stderr


@as_root
def test_a_worker_of_another_user_cannot_send_to_the_spool_of_the_arbiter(program, spool):
    """It reaches its own directory only."""
    program(
        FILE + "queuelog.start(spool=sys.argv[1], user='nobody')\n"
        "os.chmod(os.path.dirname(sys.argv[1]), 0o711)\n"
        "def attack():\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "    root.info('allowed')\n"
        "    for name in ('0', 'ledger', 'lock', '0/1-1-1', ''):\n"
        "        for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT):\n"
        "            if name or flags:\n"
        "                try: os.open(os.path.join(sys.argv[1], name), flags)\n"
        "                except OSError: continue\n"
        "                raise AssertionError(name)\n"
        "in_worker(attack)\n"
    )


# --- reports of drops


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_count_of_dropped_records_is_in_the_log_in_its_encoding(program, tmp_path, encoding):
    """A file in two encodings could not be read any more."""
    program(
        f"add(logging.FileHandler('app.log', encoding={encoding!r}), '%(message)s')\n"
        "queuelog.start(spool=sys.argv[1], backlog=65536, full='drop')\n"
        "queuelog._bridge._bridge._listener.pause()\n"
        "for i in range(3000): root.info('%040d', i)\n"
        "queuelog.stop()\n"
    )
    written = (tmp_path / "app.log").read_bytes().decode(encoding).splitlines()
    numbers = [int(line) for line in written if line.isdigit()]
    assert numbers == list(range(len(numbers)))
    others = [line for line in written if not line.isdigit()]
    assert others
    assert all(f"{3000 - len(numbers)} records were dropped" in line for line in others)
