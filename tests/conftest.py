"""Fixtures: real servers that are gone when the test is over, and a spool that is nobody else's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import inside
import pytest
from disks import frozen, run
from harness import APPS, Server
from hypothesis import settings
from spools import fresh_directory

SUPPORT = Path(__file__).parent / "support"
# Linux shares a busy machine between sessions (sched(7), autogroup): all that the tests start would
# have one share together.
ITS_OWN_SHARE = {"start_new_session": True}
# Programs that tests start import what the tests share, too.
os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (SUPPORT, APPS)))

# What tests start shall end by SIGINT, also where who has started the tests ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same choices at every run, on however busy a machine; --hypothesis-profile=other makes others.
settings.register_profile("other", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.load_profile("same")


def pytest_collection_modifyitems(items):
    """Skip what needs root for everybody else."""
    if os.getuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def spool(tmp_path):
    """Return the path of a directory for spools on the memory file system, removed afterwards."""
    root = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    path = root / f"queuelog-test-{os.getpid()}-{tmp_path.name}"
    path.mkdir(mode=0o711)
    yield str(path / "spools")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def directory():
    """Return the directory of a spool that has no owner."""
    with fresh_directory() as made:
        yield made


@pytest.fixture(autouse=True)
def unreported():
    """Let each test see its own reports, whatever was reported before."""
    inside.forget_reports()


@pytest.fixture
def log(tmp_path):
    """Return the path of the log file that most programs write."""
    return tmp_path / "app.log"


@pytest.fixture
def server(request, tmp_path, spool):
    """Return a function that makes a `Server`; ends what it made after the test.

    `confs` are names of files in `confs/` beside the test, which become part of its conf file.
    """
    made = []

    def make(*, kind=Server, confs=(), **options):
        paths = [request.path.parent / "confs" / f"{name}.py" for name in confs]
        made.append(kind(tmp_path, spool=spool, confs=paths, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def python(tmp_path):
    """Return a function that runs a Python program in the test's directory."""

    def run(program, *arguments, prefix=(), options=(), check=True):
        done = subprocess.run(
            [*prefix, sys.executable, "-W", "error", *options, "-c", program, *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, check=False, **ITS_OWN_SHARE,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def program(request, python, spool):
    """Return a function that runs a program of the test, with the spool as its first argument.

    Programs are functions in `programs/<subject>.py` beside `test_<subject>.py`. Without a name it
    is the one that is called as the test is, without "test_". Options as of `python`.
    """
    subject = request.path.stem.removeprefix("test_")
    path = request.path.parent / "programs" / f"{subject}.py"
    own_name = request.function.__name__.removeprefix("test_")
    runner = (SUPPORT / "run_program.py").read_text()
    return lambda *arguments, name=own_name, **options: python(
        runner, path, name, spool, *arguments, **options
    )


@pytest.fixture
def background(request, tmp_path, spool):
    """Return a function that starts such a program and returns the process; ends it afterwards."""
    path = request.path.parent / "programs" / f"{request.path.stem.removeprefix('test_')}.py"
    started = []

    def start(name, *arguments, spool=spool, **options):
        process = subprocess.Popen(
            [sys.executable, SUPPORT / "run_program.py", path, name, spool, *map(str, arguments)],
            cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, **ITS_OWN_SHARE, **options,
        )  # fmt: skip
        started.append(process)
        return process

    start.started = started
    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def mount():
    """Return a function that mounts a file system on a directory until the test is over."""
    mounted = []

    def make(path, *arguments):
        try:
            run("mount", *arguments, path)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"cannot mount: {error.stderr!r}")
        mounted.append(path)

    yield make
    for path in mounted:
        with suppress(subprocess.CalledProcessError):
            run("fsfreeze", "-u", path)
        with suppress(subprocess.CalledProcessError):
            run("umount", "-l", path)


@pytest.fixture
def disk(mount, tmp_path):
    """Return a function that mounts a real disk on a directory, one that can be frozen."""

    def make(path, options="loop"):
        if shutil.which("mkfs.ext4") is None or shutil.which("fsfreeze") is None:
            pytest.skip("mkfs.ext4 and fsfreeze are needed")
        image = tmp_path / "image"
        if not image.exists():
            with image.open("wb") as file:
                file.truncate(64 << 20)
            run("mkfs.ext4", "-q", image)
        mount(path, "-o", options, image)
        try:
            with frozen(path):
                pass
        except subprocess.CalledProcessError as error:
            pytest.skip(f"cannot freeze a disk: {error.stderr!r}")

    return make
