"""start(), setup() and stop(): order, options, ownership, adoption, and without Gunicorn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import wait_for

import queuelog

PRELUDE = (Path(__file__).parents[1] / "support" / "prelude.py").read_text()
FILE = "add(logging.FileHandler('app.log'), '%(message)s')\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run as two users")


@pytest.fixture
def program(python, spool):
    """Return a function that runs a program behind the prelude; argument 1 is the spool."""
    return lambda text, check=True: python(f"{PRELUDE}\n{text}", spool, check=check)


@pytest.fixture
def background(tmp_path, spool):
    """Return a function that starts such a program and returns the process; ends it afterwards."""
    started = []

    def start(text, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", f"{PRELUDE}\n{text}", *(arguments or [spool])],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_setup_without_start_shows_the_lines_to_add(program):
    """The error is a recipe."""
    done = program("queuelog.setup()", check=False)
    assert done.returncode == 1
    assert "NotStartedError" in done.stderr
    assert "def on_starting(server):\n        queuelog.start()" in done.stderr


def test_every_call_may_be_repeated(program, tmp_path):
    """start, setup and stop are idempotent, and start works again after stop."""
    program(
        FILE + "queuelog.stop()\n"
        "for i in range(2):\n"
        "    for _ in range(2): queuelog.start(spool=sys.argv[1]); queuelog.setup()\n"
        "    in_worker(lambda: (queuelog.setup(), root.info('x')))\n"
        "    queuelog.stop(); queuelog.stop()\n"
    )
    assert (tmp_path / "app.log").read_text() == "x\nx\n"


@pytest.mark.parametrize("function", ["start", "stop"])
def test_the_arbiters_functions_refuse_to_run_in_a_worker(program, function):
    """They say what to call instead, and where."""
    program(
        FILE + "queuelog.start(spool=sys.argv[1])\n"
        "def log():\n"
        f"    try: queuelog.{function}()\n"
        "    except queuelog.WrongProcessError as error:\n"
        "        assert str(os.getppid()) in str(error), error\n"
        "    else: raise AssertionError\n"
        "in_worker(log)\n"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"spool": "relative"}, {"backlog": 1}, {"backlog": "1 GB"}, {"full": "explode"},
        {"wait": -1}, {"own": [1]}, {"adopt": ["relative"]}, {"user": "nobody-of-that-name"},
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_at_the_start(options):
    """The message names the option."""
    with pytest.raises(queuelog.ConfigurationError, match=next(iter(options))):
        queuelog.start(**options)


def test_a_start_that_fails_leaves_everything_as_it_was(program):
    """A handler whose encoding does not exist is refused; the others are in place again."""
    program(
        "one = add(logging.FileHandler('app.log'))\n"
        "two = add(logging.FileHandler('two.log', delay=True, encoding='no-such'))\n"
        "try: queuelog.start(spool=sys.argv[1])\n"
        "except queuelog.ConfigurationError as error: assert 'no-such' in str(error)\n"
        "else: raise AssertionError\n"
        "assert root.handlers == [one, two]\n"
        "root.removeHandler(two); root.info('x'); run(lambda: root.info('y'))\n"
    )


def test_two_owners_with_different_spools_are_found(background, spool, tmp_path):
    """The second is refused at its start, and told who owns the file, and what to do."""
    first = background(FILE + "queuelog.start(spool=sys.argv[1]); print('up', flush=True); input()")
    assert first.stdout.readline() == "up\n"
    second = background(FILE + "queuelog.start(spool=sys.argv[1])", f"{spool}-2/x")
    os.mkdir(f"{spool}-2", 0o700)
    _, stderr = second.communicate(timeout=30)
    assert "FileInUseError" in stderr
    for part in (f"process {first.pid}", spool, "start(spool=", str(tmp_path / "app.log")):
        assert part in stderr


def test_a_second_service_with_the_same_spool_waits_and_takes_over(background, tmp_path):
    """Its lines are written by the first, and by itself when the first has ended."""
    text = FILE + (
        "queuelog.start(spool=sys.argv[1]); print('up', flush=True)\n"
        "for line in sys.stdin: in_worker(lambda: root.info(line.strip()))\n"
    )
    first, second = background(text), background(text)
    log = tmp_path / "app.log"
    for process, line in ((first, "1 by first"), (second, "2 by first")):
        assert process.stdout.readline() == "up\n"
        print(line, file=process.stdin, flush=True)
        wait_for(lambda line=line: line in log.read_text(), line)
    assert not first.communicate(timeout=30)[1]
    print("3 by second", file=second.stdin, flush=True)
    wait_for(lambda: "3 by second" in log.read_text(), "the second takes over")
    assert not second.communicate(timeout=30)[1]
    assert log.read_text() == "1 by first\n2 by first\n3 by second\n"


@pytest.mark.parametrize("kind", ["link", "file", "foreign"])
def test_an_unsafe_spool_is_refused(program, spool, tmp_path, kind):
    """Somebody else may have put something where the spool should be."""
    path = Path(spool)
    if kind == "link":
        path.symlink_to(tmp_path)
    elif kind == "file":
        path.touch()
    elif os.geteuid() == 0:
        path.mkdir()
        os.chown(path, 65534, 65534)
    else:
        pytest.skip("needs root to make what belongs to another user")
    done = program("queuelog.start(spool=sys.argv[1])", check=False)
    assert "SpoolError" in done.stderr
    assert "start(spool=" in done.stderr


def test_the_interpreters_exit_writes_everything(program, tmp_path):
    """A plain program needs no stop()."""
    program(FILE + "queuelog.start(spool=sys.argv[1])\nfor i in range(1000): root.info('%d', i)\n")
    assert (tmp_path / "app.log").read_text().splitlines() == [str(i) for i in range(1000)]


def test_a_record_outlives_every_process(program, tmp_path):
    """SIGKILL of all right after the log call: the next start writes the line."""
    killed = FILE + (
        "import signal\n"
        "queuelog.start(spool=sys.argv[1])\n"
        "def log(): root.info('kept'); os.killpg(0, signal.SIGKILL)\n"
        "os.setpgid(0, 0); in_worker(log)\n"
    )
    assert program(killed, check=False).returncode == -9
    program(FILE + "queuelog.start(spool=sys.argv[1])")
    assert (tmp_path / "app.log").read_text() == "kept\n"


def test_a_multiprocessing_queue_does_for_comparison(program, tmp_path):
    """`queue=`: the records of several workers arrive, with a rollover among them."""
    program(
        "import multiprocessing\n"
        "size = logging.handlers.RotatingFileHandler('app.log', maxBytes=500, backupCount=99)\n"
        "add(size, '%(message)s')\n"
        "def log():\n"
        "    for i in range(100): root.info('%03d', i)\n"
        "    handler.queue.foreign.close(); handler.queue.foreign.join_thread()\n"
        "queuelog.start(queue=multiprocessing.Queue())\n"
        "(handler,) = root.handlers\n"
        "root.info('arbiter')\n"
        "in_worker(log); in_worker(log)\n"
        "queuelog.stop()\n"
    )
    lines = [line for path in tmp_path.glob("app.log*") for line in path.read_text().split()]
    assert sorted(lines) == sorted(
        [*(f"{i:03d}" for i in range(100)), "arbiter"] + [f"{i:03d}" for i in range(100)]
    )
    assert len(list(tmp_path.glob("app.log*"))) > 1


CONFIGURATIONS = {
    "dictConfig": (
        "logging.config.dictConfig({'version': 1, 'handlers': {'f': {'class':"
        " 'logging.handlers.RotatingFileHandler', 'filename': 'app.log', 'maxBytes': 300,"
        " 'backupCount': 99}}, 'root': {'level': 'INFO', 'handlers': ['f']}})"
    ),
    "fileConfig": "logging.config.fileConfig('log.ini'); queuelog.setup()",
    "basicConfig": (
        "logging.basicConfig(filename='app.log', level='INFO', force=True, format='%(message)s');"
        " queuelog.setup()"
    ),
}
INI = """
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys =
[logger_root]
level = INFO
handlers = file
[handler_file]
class = handlers.RotatingFileHandler
args = ("app.log", "a", 300, 99)
"""


@pytest.mark.parametrize("how", CONFIGURATIONS)
def test_what_a_worker_configures_is_taken_over(program, tmp_path, how):
    """Failures B9b: the application's own configuration silently removes the bridge."""
    (tmp_path / "log.ini").write_text(INI)
    program(
        "def log():\n"
        f"    {CONFIGURATIONS[how]}\n"
        "    assert type(root.handlers[0]).__name__ == 'QueueHandler', root.handlers\n"
        "    assert not [f for f in map(os.readlink, (f'/proc/self/fd/{n}' for n in"
        " range(3, 50) if os.path.exists(f'/proc/self/fd/{n}'))) if f.endswith('app.log')]\n"
        "    for i in range(100): root.info('%03d', i)\n"
        "queuelog.start(spool=sys.argv[1])\n"
        "in_worker(log); in_worker(log)\n"
        "queuelog.stop()\n"
    )
    files = list(tmp_path.glob("app.log*"))
    lines = sorted(line for path in files for line in path.read_text().split())
    assert lines == sorted([f"{i:03d}" for i in range(100)] * 2)
    assert (len(files) > 2) == (how != "basicConfig")


@as_root
@pytest.mark.parametrize("allowed", [True, False])
def test_workers_of_another_user_add_files_only_where_they_may(program, tmp_path, spool, allowed):
    """A root arbiter opens what its own configuration names, and what is below `adopt`."""
    inside = Path(spool).parent / "inside"  # pytest's own directories are root's alone
    inside.mkdir()
    os.chown(inside, 65534, 65534)
    adopt = [str(inside)] if allowed else []
    done = program(
        FILE + f"queuelog.start(spool=sys.argv[1], user='nobody', adopt={adopt!r})\n"
        "def log():\n"
        "    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "    root.info('to a known file')\n"
        f"    logging.basicConfig(filename={str(inside / 'new.log')!r}, level='INFO', force=True,"
        " format='%(message)s')\n"
        "    queuelog.setup(); root.info('to a new file')\n"
        "os.chmod(os.path.dirname(sys.argv[1]), 0o711)\n"
        "in_worker(log); queuelog.stop()\n"
    )
    assert "to a known file" in (tmp_path / "app.log").read_text().splitlines()
    written = (inside / "new.log").read_text()
    assert written == ("to a new file\n" if allowed else "")
    assert ("start(adopt=[" in done.stderr) == (not allowed)
