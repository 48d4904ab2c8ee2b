"""describe() and `python -m queuelog check`: what will happen to each handler, said beforehand."""

import logging
import logging.handlers
import queue
import subprocess
import sys

import pytest
from harness import EXAMPLES

import queuelog


@pytest.fixture
def tree(tmp_path):
    """Return a logger of this test's own, and its directory; clean up."""
    logger = logging.getLogger("described")
    logger.propagate = False
    yield logger, tmp_path
    for handler in logger.handlers:
        handler.close()
    logger.handlers.clear()


def described(logger, **options):
    """Return the entries of one logger, without those of pytest's handlers, and the problems."""
    plan = queuelog.describe(**options)
    entries = [entry for entry in plan.entries if entry.logger == logger.name]
    return [entry for entry in entries if "pytest" not in entry.handler], plan.problems


HANDLERS = logging.handlers
ON = "it hands its records on; files behind it are known only by its attribute `listener`"
POLICIES = {
    "never rolls over; follows logrotate": logging.FileHandler,
    "rolls over at 1,000,000 bytes, keeps 5 backups": lambda path: HANDLERS.RotatingFileHandler(
        path, maxBytes=1_000_000, backupCount=5
    ),
    "never rolls over: backupCount is 0": lambda path: HANDLERS.RotatingFileHandler(
        path, maxBytes=1_000_000
    ),
    "rolls over at midnight, keeps 30 backups": lambda path: HANDLERS.TimedRotatingFileHandler(
        path, when="midnight", backupCount=30
    ),
    "rolls over at midnight UTC, keeps all backups": lambda path: HANDLERS.TimedRotatingFileHandler(
        path, when="midnight", utc=True
    ),
    "rolls over every 7,200 seconds, keeps all backups": lambda path: (
        HANDLERS.TimedRotatingFileHandler(path, when="H", interval=2)
    ),
    "rolls over on Tuesday at midnight, keeps 4 backups": lambda path: (
        HANDLERS.TimedRotatingFileHandler(path, when="W1", backupCount=4)
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_rotation_and_retention_are_said(tree, policy):
    """Whoever reads it need not know the arguments of the handler classes."""
    logger, path = tree
    handler = POLICIES[policy](path / "a.log")
    handler.name = "a"
    logger.addHandler(handler)
    ((entry,), problems) = described(logger)
    assert (entry.kept, entry.policy, entry.path) == ("", policy, str(path / "a.log"))
    assert str(entry) == f"described: a {path / 'a.log'}: owned by the arbiter; {policy}"
    assert not problems


def test_what_stays_in_each_process_is_said_with_the_reason(tree):
    """Consoles, devices, and handlers that the arbiter would own if it were told."""
    logger, _ = tree
    logger.addHandler(logging.StreamHandler())
    logger.addHandler(logging.FileHandler("/dev/null"))
    mail = HANDLERS.SMTPHandler("localhost", "a@b", ["c@d"], "subject")
    mail.name = "mail"
    logger.addHandler(mail)
    entries, _ = described(logger)
    assert [entry.kept for entry in entries] == [
        "it writes to a stream",
        "its path is no regular file",
        "it is no file; start(own=[…]) with its name would let the arbiter own it",
    ]
    assert described(logger, own=["mail"])[0][2].kept == ""


def test_files_behind_other_handlers_are_described(tree):
    """The arbiter owns them, too; but the queue of an application hides what is behind it."""
    logger, path = tree
    memory = HANDLERS.MemoryHandler(9, target=logging.FileHandler(path / "a.log", delay=True))
    seen, hidden = (HANDLERS.QueueHandler(queue.Queue()) for _ in range(2))
    seen.listener = HANDLERS.QueueListener(seen.queue, logging.FileHandler(path / "b.log"))
    for handler in (memory, seen, hidden):
        logger.addHandler(handler)
    entries, problems = described(logger)
    assert [(entry.kept, entry.path) for entry in entries] == [
        ("it hands its records on to its target", ""),
        ("", str(path / "a.log")),
        (ON, ""),
        ("", str(path / "b.log")),
        (ON, ""),
    ]
    assert not problems
    seen.listener.handlers[0].close()


def test_a_directory_in_the_place_of_a_file_and_a_wrong_name_are_problems(tree):
    """The server would not start, and the arbiter would own no such handler, without a word."""
    logger, path = tree
    logger.addHandler(logging.FileHandler(path, delay=True))
    _, problems = described(logger, own=["mial"])
    assert problems == [
        f"{path} is a directory, not a file",
        "own='mial': no handler has this name",
    ]


def test_two_policies_on_one_path_are_a_problem(tree):
    """One of them will be followed: nobody may find that out by a full disk."""
    logger, path = tree
    logger.addHandler(HANDLERS.RotatingFileHandler(path / "a.log", maxBytes=9, backupCount=1))
    logger.addHandler(HANDLERS.TimedRotatingFileHandler(path / "a.log"))
    _, (problem,) = described(logger)
    assert "a.log has two policies" in problem
    assert "at 9 bytes" in problem
    assert "every 3,600 seconds" in problem


def test_two_encodings_and_a_directory_without_permission_are_problems(tree, monkeypatch):
    """What the arbiter would run into later is said before."""
    logger, path = tree
    logger.addHandler(logging.FileHandler(path / "a.log", encoding="utf-8", delay=True))
    logger.addHandler(logging.FileHandler(path / "a.log", encoding="utf-16", delay=True))
    logger.addHandler(logging.FileHandler(path / "none" / "b.log", delay=True))
    _, problems = described(logger)
    assert problems[0].endswith("would have lines in utf-16 and utf-8")
    assert "b.log cannot be written" in problems[1]


def test_after_start_it_says_the_same_as_before(python, spool):
    """Queue handlers stand for what they replace."""
    python(
        "import logging, sys, queuelog\n"
        "logging.getLogger().addHandler(logging.FileHandler('a.log'))\n"
        "before = str(queuelog.describe())\n"
        "queuelog.start(spool=sys.argv[1])\n"
        "assert str(queuelog.describe()) == before\n"
        "queuelog.stop()\n"
        "assert str(queuelog.describe()) == before\n"
        "assert 'a.log: owned by the arbiter; never rolls over' in before\n",
        spool,
    )


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


APP = """
import logging, logging.handlers
class Own(logging.FileHandler):
    def emit(self, record): pass
logging.getLogger("app").addHandler(logging.FileHandler("app.log"))
logging.getLogger("app").addHandler(Own("own.log", "w"))
def app(environ, start_response): pass
"""


def test_the_command_says_what_becomes_of_the_applications_own_handlers(tmp_path):
    """They are configured in the worker: one that the arbiter cannot build stays there."""
    (tmp_path / "app.py").write_text(APP)
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


def test_the_command_loads_the_application_that_the_conf_file_names(tmp_path):
    """`wsgi_app`, with the environment of `raw_env`: its handlers were not mentioned."""
    (tmp_path / "app.py").write_text(f"import os\n{APP}".replace('"app.log"', 'os.environ["FILE"]'))
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


HELPERS = "import queuelog\ndef begin(): queuelog.start()\ndef other(): return other\n"
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
    """A hook below the import silently replaces it: the check was content, the server ended."""
    (tmp_path / "helpers.py").write_text(HELPERS)
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
