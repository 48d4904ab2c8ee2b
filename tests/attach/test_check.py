"""`python -m queuelog check`: a conf file is checked before a server is started with it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import EXAMPLES

FILES = Path(__file__).parent / "confs" / "check"


def check(*arguments, cwd):
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "queuelog", "check", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_says_it_of_a_conf_file_and_opens_no_log_file(tmp_path):
    """The example: five files that the arbiter owns, a console, and nothing in the directory."""
    done = check("-c", EXAMPLES / "gunicorn.conf.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    policy = "owned by the arbiter; rolls over at midnight, keeps 30 backups"
    assert done.stdout.count(policy) == 5
    assert "gunicorn.error: console: kept in each process: it writes to a stream" in done.stdout
    assert not list((tmp_path / "logs").iterdir())


@pytest.fixture
def app(tmp_path):
    """Put an application with handlers of its own into the directory of the command."""
    shutil.copy(FILES / "app.py", tmp_path)


@pytest.mark.usefixtures("app")
def test_the_command_says_what_becomes_of_the_applications_own_handlers(tmp_path):
    """They are configured in the worker: one that the arbiter cannot build stays there."""
    (tmp_path / "own.log").write_text("not to be emptied\n")
    conf = tmp_path / "conf.py"
    conf.write_text("from queuelog.gunicorn import *\naccesslog = 'access.log'\n")
    done = check("-c", conf, "app:app", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/app.log: owned by the arbiter; never" in done.stdout
    own = f"{tmp_path}/own.log: kept in each process: it has a method emit() of its own\n"
    assert own in done.stdout
    assert (tmp_path / "own.log").read_text() == "not to be emptied\n"
    assert not (tmp_path / "app.log").exists()
    assert not (tmp_path / "access.log").exists()
    conf.write_text(conf.read_text() + "preload_app = True\n")  # then the arbiter has it
    done = check("-c", conf, "app:app", cwd=tmp_path)
    assert "own.log: owned by the arbiter; app.Own writes it and decides" in done.stdout


@pytest.mark.usefixtures("app")
def test_the_command_loads_the_application_that_the_conf_file_names(tmp_path):
    """`wsgi_app`, with the environment of `raw_env`: its handlers are mentioned, too."""
    (tmp_path / "conf.py").write_text(
        "from queuelog.gunicorn import *\nwsgi_app = 'app:app'\nraw_env = ['FILE=named.log']\n"
    )
    done = check("-c", "conf.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/named.log: owned by the arbiter" in done.stdout


def test_the_command_fails_with_the_problems(tmp_path):
    """Exit code 1, so that a deployment stops; the hooks that were forgotten are named."""
    (tmp_path / "conf.py").write_text("accesslog = '/none/access.log'\n")
    done = check("-c", tmp_path / "conf.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "PROBLEM: /none/access.log cannot be written" in done.stdout
    assert "PROBLEM: the conf file does not set on_exit, on_reload, on_starting" in done.stdout


HOOKS = {
    "": True,
    "def on_starting(server): server.log.info('mine')\n": False,
    "import helpers\ndef on_starting(server): helpers.other()\n": False,
    "import helpers\ndef on_starting(server): helpers.begin()\n": True,
    "from helpers import begin as on_start\ndef on_starting(server): on_start()\n": True,
    "def on_starting(server):\n    import queuelog; queuelog.start()\n": True,
    "import queuelog as logs\ndef on_starting(server): logs.start()\n": True,
    "from queuelog import start\ndef on_starting(server): (lambda: start())()\n": True,
}


@pytest.mark.parametrize("hook", HOOKS)
def test_the_command_names_hooks_that_replace_those_of_queuelog(tmp_path, hook):
    """A hook below the import silently replaces it: the server would start, and end at once."""
    shutil.copy(FILES / "helpers.py", tmp_path)
    (tmp_path / "conf.py").write_text(f"from queuelog.gunicorn import *\n{hook}")
    done = check("-c", "conf.py", cwd=tmp_path)
    assert done.returncode == (0 if HOOKS[hook] else 1), done.stderr
    assert ("PROBLEM: the conf file's own on_starting never call" in done.stdout) != HOOKS[hook]


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ("this is no Python\n", "SyntaxError"),
        ("no_such_setting_of_gunicorns = 1\nworkers = -1\n", "-1"),
        ("logconfig_dict = {'version': 1, 'root': {'handlers': ['nobody']}}\n", "nobody"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_conf_file(tmp_path, conf, message):
    """In Gunicorn's own words."""
    (tmp_path / "conf.py").write_text(conf)
    done = check("-c", tmp_path / "conf.py", cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
