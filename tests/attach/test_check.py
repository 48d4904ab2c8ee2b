"""`python -m queuelog check`: a conf file is checked before a server is started with it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from harness import APPS, EXAMPLES, Server
from waiting import wait_for

from queuelog.rotation import Policy
from queuelog.rotation.backups import Backups

FILES = Path(__file__).parent / "confs" / "check"


def check(*arguments, cwd, **env):
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "queuelog", "check", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | env,
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


def test_what_the_application_logs_when_it_is_loaded_rolls_no_file_over(tmp_path):
    """A server may be running, whose files these are, with backups that would be removed."""
    (tmp_path / "app.log").write_text("old\n")
    os.utime(tmp_path / "app.log", (0, 0))
    (tmp_path / "loaded.py").write_text(
        "import logging\n"
        "from logging.handlers import TimedRotatingFileHandler\n"
        "logging.getLogger().addHandler(TimedRotatingFileHandler('app.log', 'D'))\n"
        "logging.error('loaded')\n"
        "app = print\n"
    )
    check("loaded:app", cwd=tmp_path)
    assert [path.name for path in tmp_path.glob("app.log*")] == ["app.log"]
    assert (tmp_path / "app.log").read_text() == "old\n"


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
    assert "PROBLEM: /none/access.log: there is no directory /none\n" in done.stdout
    assert "PROBLEM: the conf file does not set on_exit, on_reload, on_starting" in done.stdout
    assert done.stdout.endswith(
        "mend it: let its last line be queuelog.gunicorn.install(globals())\n"
    )


INSTALL = "import queuelog.gunicorn\nqueuelog.gunicorn.install(globals())\n"


@pytest.fixture
def service():
    """Return a function that checks a conf file and an application in an open directory.

    Other users can enter that, and not only this one's, as with pytest's.
    """
    directory = Path(tempfile.mkdtemp(prefix="queuelog-test-"))
    directory.chmod(0o755)
    (directory / "logs").mkdir()

    def run(conf, app=""):
        (directory / "conf.py").write_text(f"{conf}\n{INSTALL}")
        (directory / "app.py").write_text(f"import logging.handlers\n{app}\napp = print\n")
        return check("-c", "conf.py", "app:app", cwd=directory)

    run.directory = directory
    yield run
    shutil.rmtree(directory)


def mend(done, problem):
    """Assert that a check found one problem, and run the command that mends it."""
    assert done.returncode == 1, done.stderr
    ((found, line),) = re.findall(r"^PROBLEM: (.*)\n    mend it: (.*)$", done.stdout, re.MULTILINE)
    assert found == problem
    subprocess.run(shlex.split(line), check=True)


def test_a_missing_directory_is_named(service):
    """It is made as the problem says."""
    path = service.directory / "new" / "and deep"
    conf = f"accesslog = '{path}/access.log'"
    mend(service(conf), f"{path}/access.log: there is no directory {path}")
    assert service(conf).returncode == 0


APP_LOG = "logging.getLogger().addHandler(logging.FileHandler('logs/app.log'))"


@pytest.mark.root
def test_a_file_is_checked_with_the_rights_of_its_user(service):
    """Root writes what the conf file names; what the application names, only the workers' user."""
    conf, app = "user = 'nobody'\naccesslog = 'logs/access.log'", APP_LOG
    path = service.directory / "logs"
    mend(
        service(conf, app),
        f"{path}/app.log cannot be written by user nobody in its directory {path}",
    )
    assert service(conf, app).returncode == 0
    (path / "app.log").touch()
    mend(service(conf, app), f"{path}/app.log cannot be written by user nobody")
    assert service(conf, app).returncode == 0


@pytest.mark.root
def test_a_file_that_both_name_is_checked_with_the_rights_of_both(service):
    """The application's handler opens it in the worker, before anything is taken over."""
    path = service.directory / "logs" / "app.log"
    path.touch()
    conf = "user = 'nobody'\n" + APP_LOG.replace("getLogger()", "getLogger('first')")
    conf = "import logging\n" + conf.replace(".log'", ".log', delay=True")
    assert service(conf).returncode == 0
    app = APP_LOG.replace("getLogger()", "getLogger('second')")
    mend(service(conf, app), f"{path} cannot be written by user nobody")


@pytest.mark.root
def test_a_check_gives_no_file_to_another_user(service):
    """Gunicorn does so where it opens `accesslog` and `errorlog`."""
    path = service.directory / "logs" / "access.log"
    path.touch()
    assert service("user = 'nobody'\naccesslog = 'logs/access.log'").returncode == 0
    assert path.stat().st_uid == 0


@pytest.mark.root
def test_what_is_said_of_rights_is_what_happens(service, spool):
    """A file that the command complains about is not written, and is when the problem is mended."""
    Path(spool).parent.chmod(0o711)
    # Another user may not be able to read the module: the arbiter imports it.
    running = Server(service.directory, spool=spool, app="rightsapp:create()", workers=1,
                     top="import rightsapp", extra="user = 'nobody'\n")  # fmt: skip
    running.acks.chmod(0o666)
    path = service.directory / "logs" / "app.log"
    env = {"PYTHONPATH": str(APPS)}
    complaint = check("-c", running.conf, "rightsapp:create()", cwd=service.directory, **env)
    try:
        running.start()
        running.wait_for_report(str(path))
        assert not path.exists()
        mend(complaint, f"{path} cannot be written by user nobody in its directory {path.parent}")
        wait_for(path.exists, "the file")
        assert running.stop() == 0
    finally:
        running.kill()
    assert path.read_text() == "here\n"
    done = check("-c", running.conf, "rightsapp:create()", cwd=service.directory, **env)
    assert done.returncode == 0, done.stdout


@pytest.mark.root
def test_a_file_that_rolls_over_needs_its_directory(service):
    """To write it is not enough: backups are made there."""
    path = service.directory / "logs"
    (path / "app.log").touch()
    shutil.chown(path / "app.log", "nobody")
    assert service("user = 'nobody'", APP_LOG).returncode == 0
    app = APP_LOG.replace("FileHandler", "handlers.TimedRotatingFileHandler")
    mend(
        service("user = 'nobody'", app),
        f"{path}/app.log cannot roll over: user nobody may not rename files in its directory "
        f"{path}",
    )
    assert service("user = 'nobody'", app).returncode == 0


@pytest.mark.root
def test_a_check_by_another_user_than_the_servers_says_so(program, service):
    """It could not know what the workers may do."""
    service("user = 'root'")
    done = program(service.directory)
    assert "PROBLEM: this is user nobody, who can neither start workers that are user root" in (
        done.stdout
    )


def test_the_options_of_the_conf_file_are_known(service):
    """`own` names a handler of the conf file, or one that nobody has."""
    mail = {"class": "logging.handlers.SMTPHandler", "mailhost": "", "fromaddr": "", "toaddrs": "",
            "subject": ""}  # fmt: skip
    root = {"handlers": ["mail"]}
    configured = {"version": 1, "loggers": {}, "root": root, "handlers": {"mail": mail}}
    conf = f"logconfig_dict = {configured}\n"
    assert "own=['mail'] would let the arbiter own it" in service(conf).stdout
    for name, fate in (("mail", "owned by the arbiter"), ("mial", "no handler has this name")):
        text = f"{conf}queuelog.gunicorn.install(globals(), own=['{name}'])\n"
        (service.directory / "own.py").write_text(f"import queuelog.gunicorn\n{text}")
        assert fate in check("-c", "own.py", cwd=service.directory).stdout


def test_no_handler_of_the_application_is_said_to_be_one_for_own(service):
    """The arbiter has none of that name, and could not build it."""
    app = "logging.getLogger().addHandler(logging.handlers.HTTPHandler('h', '/'))\n"
    done = service("", app + "logging.getLogger().handlers[0].name = 'http'")
    assert "(root): http: kept in each process: it is no file\n" in done.stdout


OTHERS = {
    "import concurrent_log_handler as c\n"
    "handler = c.ConcurrentRotatingFileHandler('logs/app.log', maxBytes=9, backupCount=9)\n"
    "logging.getLogger().addHandler(handler)": "rolled over by each process, behind a lock",
    "import loguru\n"
    "loguru.logger.add('logs/app.log', rotation='1 day')": "written by loguru in each process",
}


@pytest.mark.parametrize("app", OTHERS, ids=["concurrent-log-handler", "loguru"])
def test_files_of_other_packages_in_the_application_are_problems(service, app):
    """Each process writes and rotates them by itself."""
    done = service("", app)
    assert done.returncode == 1, done.stderr
    assert f"PROBLEM: {service.directory}/logs/app.log is {OTHERS[app]}" in done.stdout


def test_processes_that_write_a_file_are_named(service, background):
    """A server without queuelog, say; but no reader, and no owner, with which all is well."""
    path = service.directory / "logs" / "app.log"
    app = APP_LOG
    with path.open("a"):
        pid = os.getpid()
        problem = f"PROBLEM: {path} is written without an owner by other processes: {pid} ("
        assert problem in service("", app).stdout
    with path.open():
        assert service("", app).returncode == 0
    assert background("own_the_file", path).stdout.readline() == "up\n"
    assert service("", app).returncode == 0


def test_a_file_of_the_arbiter_and_of_each_process_is_a_problem(service):
    """The conf file names it, and so does a handler that the arbiter cannot build."""
    app = "class Own(logging.FileHandler):\n    def emit(self, record): pass\n"
    app += "logging.getLogger().addHandler(Own('logs/access.log'))"
    done = service("accesslog = 'logs/access.log'", app)
    assert done.returncode == 1, done.stderr
    assert (
        "access.log would be written by the arbiter and by each process: of app.Own, it has a"
        in (done.stdout)
    )


def test_hooks_above_the_import_are_named(tmp_path):
    """It replaces them without a word."""
    (tmp_path / "conf.py").write_text(
        "def post_fork(server, worker): pass\npost_worker_init = print\nworkers = 1\n"
        "from queuelog.gunicorn import *\ndef on_exit(server): import queuelog\n"
    )
    done = check("-c", "conf.py", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "PROBLEM: the conf file's own post_fork, post_worker_init are replaced by" in done.stdout


def test_a_conf_file_that_is_not_read_is_named(tmp_path):
    """Gunicorn reads one conf file, and ./gunicorn.conf.py only without -c."""
    (tmp_path / "gunicorn.conf.py").write_text("from queuelog.gunicorn import *\n")
    assert check(cwd=tmp_path).returncode == 0
    done = check("-c", "python:queuelog.gunicorn", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "PROBLEM: gunicorn.conf.py in this directory is not read, since -c names python:" in (
        done.stdout
    )


HOOKS = {
    "": True,
    INSTALL: True,
    f"def on_starting(server): server.log.info('mine')\n{INSTALL}": True,
    f"{INSTALL}def on_starting(server): server.log.info('mine')\n": False,
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


def test_it_says_which_backups_would_be_removed_and_removes_none(tmp_path):
    """Those that were made by that handler, by the same rules."""
    policy = Policy.checked(when="midnight", keep=2, utc=True)
    log = tmp_path / "app.log"
    backups = Backups(str(log), policy)
    for day in range(1, 6):
        log.write_text(f"{day}\n")
        backups.roll_over(backups.schedule.period(day * 86400.0), day * 86400.0)
    (tmp_path / "app.log.1970-01-01").write_text("another's\n")
    (tmp_path / "gunicorn.conf.py").write_text(
        "import queuelog.gunicorn\nerrorlog = 'app.log'\n"
        "queuelog.gunicorn.install(globals(), rotation={'when': 'midnight', 'keep': 3})\n"
    )
    before = sorted(tmp_path.glob("*app.log*"))
    done = check("-c", "gunicorn.conf.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rolls over at midnight, keeps 3 backups" in done.stdout
    assert re.findall(r"(app\.log\.\S+): would be removed \((\d+) bytes\): (.*)", done.stdout) == [
        ("app.log.1970-01-02", "2", "more than 3 backups"),
        ("app.log.1970-01-03", "2", "more than 3 backups"),
    ]
    assert sorted(tmp_path.glob("*app.log*")) == before
