"""Settings that change who runs what: preloading, other users, sockets; and what cannot start."""

import os
import re
import shutil
import signal
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from admin import reload
from harness import APPS, Load, Server, start_hook
from processes import alive, children, descriptors, threads, workers
from rotating import by_size
from versions import HAS_DIRTY, LEAKS_THREADS
from waiting import wait_for

NUMBERS = 2_000
DIRTY = 900_000  # the first number that dirty workers log
NOBODY = 65534
SIZE = by_size(20_000)
ACTIVATE = Path(__file__).parent / "programs" / "activate.py"


def owner_alone(running):
    """Assert that no process of the server but the arbiter has a log file open."""

    def below(pid):
        return [pid, *(deeper for child in children(pid) for deeper in below(child))]

    for pid in below(running.pid)[1:]:
        wait_for(lambda pid=pid: not running.held_by(pid), f"{pid} lets go of the log files")
    assert running.held_by(running.pid)


def live(running, *, count=NUMBERS):
    """Log numbers under load, and end the server; nothing is missing, and all said goodbye."""
    with Load(running, limit=count) as load:
        load.join()
    owner_alone(running)
    pids = workers(running)
    assert running.stop() == 0
    running.count().check(at_least=count)
    error = running.text("error.log")
    for pid in pids:
        assert b"Worker exiting (pid: %d)" % pid in error
    assert b"Shutting down: Master" in error


def test_preloaded_applications_configure_logging_before_the_server_starts(server, tmp_path):
    """With `preload_app` the arbiter has the application's handlers before `on_starting`."""
    early = tmp_path / "logs" / "early.log"
    running = server(app="lifeapp:app", env={"EARLY": str(early)}, extra="preload_app = True\n")
    running.start()
    later = tmp_path / "logs" / "later.log"
    running.get(f"/configure?path={later}")
    live(running)
    assert early.read_text() == f"imported by {running.pid}\n"
    assert re.fullmatch(r"by \d+\n", later.read_text())


def test_a_changed_module_reloads_the_workers(server, tmp_path):
    """With `reload` each worker watches its files in a thread, and ends when one changes."""
    module = tmp_path / "changing.py"
    module.write_text("from loadapp import app\n")
    running = server(app="changing:app", extra="reload = True\nreload_engine = 'poll'\n").start()
    old = workers(running)

    def reloaded():
        # Again and again: what changed before a worker's first look, it does not see.
        module.touch()
        return not old & set(children(running.pid))

    with Load(running) as load:
        load.wait_for_requests(20)
        wait_for(reloaded, "new workers")
        load.wait_for_requests(20)
    pids = workers(running)
    owner_alone(running)
    assert running.stop() == 0
    running.count().check(at_least=800)
    error = running.text("error.log")
    assert error.count(b"Worker reloading: ") >= 1
    assert all(b"Worker exiting (pid: %d)" % pid in error for pid in pids)


def test_workers_that_end_after_a_random_number_of_requests(server):
    """Failures B10f, with `max_requests_jitter`: each end, and each start, loses nothing."""
    extra = "max_requests = 20\nmax_requests_jitter = 20\n"
    running = server(handler=SIZE, extra=extra).start()
    with Load(running, per_request=2, limit=NUMBERS, pause=0.002) as load:
        load.join()
    workers(running)
    assert running.stop() == 0
    running.count().check(at_least=NUMBERS - 100)  # a sync worker that ends drops a connection
    assert running.text("error.log").count(b"Autorestarting worker after current request") > 10


@pytest.fixture
def unprivileged(spool):
    """Return a function that makes a server whose workers run as nobody; ends it after the test."""
    # Not below pytest's directory, which is for one user only.
    directory = Path(tempfile.mkdtemp(prefix="queuelog-test-"))
    directory.chmod(0o755)
    Path(spool).parent.chmod(0o711)
    shutil.copytree(APPS, directory / "apps")
    made = []

    def make(**options):
        # Another user may not be able to read this Python, so the application is preloaded.
        extra = f"user = group = {NOBODY}\npreload_app = True\n{start_hook(spool, **options)}"
        env = {"PYTHONPATH": str(directory / "apps")}
        made.append(Server(directory, handler=SIZE, app="lifeapp:app", env=env, extra=extra))
        made[-1].acks.chmod(0o666)
        return made[-1]

    yield make
    for one in made:
        one.kill()
    shutil.rmtree(directory)


@pytest.mark.root
def test_workers_of_another_user_log_into_files_that_they_cannot_open(unprivileged):
    """Started as root with `user`: the files and their directory belong to root."""
    running = unprivileged().start()
    for pid in workers(running):
        assert os.stat(f"/proc/{pid}").st_uid == NOBODY
    live(running)
    for path in running.log_dir.iterdir():
        assert path.stat().st_uid == 0
    assert stat.S_IMODE(running.log_dir.stat().st_mode) == 0o755


@pytest.mark.root
def test_workers_of_another_user_add_files_where_they_are_allowed_to(unprivileged):
    """Where they could write themselves: the file is theirs, and root writes nothing elsewhere."""
    running = unprivileged()
    allowed = running.directory / "allowed"
    allowed.mkdir()
    os.chown(allowed, NOBODY, NOBODY)
    outside = running.log_dir / "outside.log"
    running.start()
    running.get(f"/configure?path={allowed}/inside.log")
    running.get(f"/configure?path={outside}")
    running.wait_for_report(f"cannot write {outside}: ")
    wait_for((allowed / "inside.log").exists, "the allowed file")
    live(running)
    assert re.fullmatch(r"by \d+\n(by \d+\n)?", (allowed / "inside.log").read_text())
    assert (allowed / "inside.log").stat().st_uid == NOBODY
    assert not outside.exists()


def test_captured_output_is_in_the_error_log(server, tmp_path):
    """`capture_output`: Gunicorn gives the workers the file itself as stdout, beside the owner.

    After the file was moved, SIGUSR1 gives them the new one.
    """
    error = tmp_path / "logs" / "captured.log"
    extra = f"capture_output = True\nerrorlog = {str(error)!r}\nlogconfig_dict = {{}}\n"
    extra += f"accesslog = {str(tmp_path / 'logs' / 'access.log')!r}\n"
    running = server(app="lifeapp:app", extra=extra, workers=1).start()
    running.get("/print")

    def printed():
        # Not side by side: the owner may write a line of its own between the two.
        lines = error.read_bytes().splitlines()
        return b"printed by the worker" in lines and b"printed below it" in lines

    wait_for(printed, "what was printed")
    wait_for(lambda: b"Booting worker with pid" in error.read_bytes(), "Gunicorn's own lines")
    error.rename(f"{error}.1")
    running.send(signal.SIGUSR1)
    wait_for(error.exists, "a new file")

    def follows():
        running.get("/print")
        return printed()

    wait_for(follows, "the output goes to the new file")
    assert running.stop() == 0
    text = error.read_bytes()
    assert b"Shutting down: Master" in text
    assert b"Worker exiting" in text


@pytest.mark.skipif(not HAS_DIRTY, reason="this Gunicorn has no dirty workers")
def test_dirty_workers_log_through_the_same_owner(server):
    """They are forked by an arbiter of their own, below ours; their hooks need not be set."""
    running = server(
        app="lifeapp:app", extra="dirty_apps = ['lifeapp:Dirty']\ndirty_workers = 2\n"
    ).start()  # fmt: skip
    wait_for(lambda: running.text("error.log").count(b"Spawned dirty worker") == 2, "dirty workers")
    for number in range(20):
        running.get(f"/dirty?start={DIRTY + 50 * number}&count=50")
    with Load(running, limit=NUMBERS) as load:
        load.join()
    owner_alone(running)
    assert running.stop() == 0
    # Gunicorn refuses requests to a dirty worker that it has spawned, but that does not listen yet.
    running.count().check(at_least=NUMBERS + 500)
    assert any(running.acks.read_bytes()[DIRTY : DIRTY + 1_000])
    # Its last line is not asked for: a busy machine's arbiter kills it before it has said it.
    assert b"Dirty arbiter listening" in running.text("error.log")


@pytest.mark.skipif(not HAS_DIRTY, reason="this Gunicorn has no control socket")
@pytest.mark.parametrize("action", ["error", "always"])
def test_the_thread_of_the_control_socket_does_no_harm(server, tmp_path, action):
    """It runs beside the listener, over reloads; nothing leaks, and none of our forks warns."""
    extra = f"control_socket_disable = False\ncontrol_socket = {str(tmp_path / 'ctl')!r}\n"
    running = server(options=("-W", action), extra=extra).start()
    wait_for((tmp_path / "ctl").exists, "the control socket")
    counts = []
    with Load(running) as load:
        for _ in range(3):
            load.wait_for_requests(10)
            reload(running)
            load.wait_for_requests(10)
            counts.append(threads(running.pid))
    assert LEAKS_THREADS or max(counts) <= 4, counts  # two of ours, and at most two of Gunicorn's
    assert descriptors(running.pid) < 60
    owner_alone(running)
    assert running.stop() == 0
    running.count().check(at_least=1_000)
    assert "queuelog" not in running.errors()


def test_a_socket_of_systemd_is_served(server):
    """Socket activation: descriptor 3 is the listening socket, and stays it."""
    running = server()
    running._command = [sys.executable, ACTIVATE, str(running.port), *running._command]
    live(running.start())  # which could not have bound this port itself


def test_a_socket_for_each_worker_changes_nothing(server):
    """`reuse_port` binds before the fork as ever."""
    live(server(extra="reuse_port = True\n").start())


FAILURES = {
    "import": ("failing:app", "", 3, b"RuntimeError: on purpose"),
    "no module": ("nowhere:app", "", 3, b"ModuleNotFoundError: No module named 'nowhere'"),
    "no callable": ("loadapp:nothing", "", 4, b"Failed to find attribute 'nothing' in 'loadapp'"),
    "post_fork": (
        "loadapp:app", "def post_fork(server, worker):\n    raise RuntimeError('in post_fork')\n",
        3, b"RuntimeError: in post_fork",
    ),
    "post_worker_init": (
        "loadapp:app", "def post_worker_init(worker):\n    raise RuntimeError('in init')\n",
        3, b"RuntimeError: in init",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
def test_the_error_of_a_worker_that_cannot_boot_is_in_the_error_log(server, tmp_path, spool, what):
    """With its traceback, whole, and Gunicorn's exit code; nothing is left running or unwritten.

    Of a callable that is missing, Gunicorn itself says so on stderr, and in the log if that has the
    level debug. If several workers fail at once, it may end with 1, with queuelog or without.
    """
    app, extra, code, message = FAILURES[what]
    (tmp_path / "failing.py").write_text("raise RuntimeError('on purpose')\n")
    running = server(app=app, extra=extra, workers=1).start(wait=False)
    assert running.process.wait(30) == code
    error = running.text("error.log")
    if code == 4:
        assert message in running.errors().encode()
    else:
        whole = rb"Exception in worker process\nTraceback \(most recent call last\):\n(  .*\n)+\S*"
        assert re.search(whole + re.escape(message), error), error.decode()
    assert b"Shutting down: Master" in error
    assert os.listdir(spool) == []


def test_a_preloaded_application_that_fails_says_so_on_stderr(server, tmp_path):
    """The arbiter loads it before its hooks run: Gunicorn prints the traceback, and ends."""
    (tmp_path / "failing.py").write_text("raise RuntimeError('on purpose')\n")
    running = server(app="failing:app", extra="preload_app = True\n").start(wait=False)
    assert running.process.wait(30) == 1
    assert "Error: on purpose" in running.errors()


MISTAKES = {
    "syntax": ("this is no Python\n", "SyntaxError"),
    "on_starting": ("def on_starting(server):\n    raise RuntimeError('oh')\n", "Error: oh"),
    "option": ("def on_starting(server):\n    queuelog.start(full='maybe')\n",
               "full='maybe' must be 'wait' or 'drop'"),
    "no directory": ("accesslog = '/none/access.log'\n", "/none/access.log"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_the_conf_file_is_said_and_does_no_harm(server, what):
    """No process is left, and no lock: put right, the server starts."""
    extra, message = MISTAKES[what]
    running = server()
    running.write_conf(extra=extra)
    running.start(wait=False)
    pid = running.pid
    assert running.process.wait(30) != 0
    assert message in running.errors() + running.text("error.log").decode()
    assert not alive(pid)
    running.write_conf(extra="")
    live(running.start())
