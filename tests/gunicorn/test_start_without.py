"""When queuelog cannot work: a server starts without it, unless lines would be lost then."""

import sys

import pytest
from harness import Server
from processes import workers
from rotating import by_size
from waiting import wait_for

ROTATING = by_size(20_000)
NO_START = "def on_starting(server):\n    pass\n"
BROKEN_HANDLER = """
import logging
class Broken(logging.Handler):
    @property
    def level(self):
        raise RuntimeError("on purpose")
    level = level.setter(lambda self, value: None)
broken = Broken()
broken.name = "broken"
logging.getLogger("broken").addHandler(broken)
"""


def install(**options):
    """Return the last lines of a conf file."""
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"import queuelog.gunicorn\nqueuelog.gunicorn.install(globals(){given})\n"


@pytest.fixture
def no_spool(tmp_path):
    """Return the path of a directory that cannot be: above it is a file."""
    path = tmp_path / "file"
    path.write_text("no directory\n")
    return str(path / "spools")


@pytest.fixture
def causes(no_spool, spool):
    """Return ends of conf files with which queuelog cannot work, and what it says then."""
    return {
        "spool": (f"del on_starting\n{install(spool=no_spool)}", "SpoolError: "),
        "hook": (NO_START, "NotStartedError: queuelog.start() was called neither"),
        "bug": (
            f"del on_starting\n{BROKEN_HANDLER}{install(spool=spool, own=['broken'])}",
            "RuntimeError: on purpose",
        ),
    }


CAUSES = ["spool", "hook", "bug"]


@pytest.mark.parametrize("cause", CAUSES)
def test_a_server_whose_files_only_grow_starts_without_queuelog(server, causes, cause):
    """It is said on stderr and in the error log, and each process writes the files itself."""
    extra, message = causes[cause]
    running = server(extra=extra).start()
    running.wait_for_report(message)
    running.logged(b"without queuelog: " + message.encode().partition(b"(")[0])
    running.get("/log?start=0&count=100")
    assert any("load.log" in running.held_by(pid) for pid in workers(running))
    assert running.stop() == 0
    running.count().check(at_least=100)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_server_that_would_lose_lines_does_not_start(server, causes, cause):
    """Its processes would roll one file over, each by itself: it ends, and says which."""
    extra, message = causes[cause]
    running = server(handler=ROTATING, extra=extra).start(wait=False)
    assert running.process.wait(30) != 0
    (report, *_) = running.reports()
    assert f"would roll {running.log_dir}/load.log over, and lose lines" in report
    assert message in report
    assert message.encode() in running.text("error.log")


def test_a_file_that_rolls_over_in_the_application_ends_the_server_as_well(server, causes):
    """The arbiter knew of none, and has started without queuelog; the worker sees it."""
    extra, message = causes["spool"]
    env = {"HOW": "code", "WHEN": "load"}
    running = server(app="configapp:app", env=env, config={"version": 1}, extra=extra)
    running.start(wait=False)
    assert running.process.wait(30) != 0
    (report, *_) = [report for report in running.reports() if "lose lines" in report]
    assert "load.log over, and" in report
    assert message in report


def test_a_file_of_another_service_ends_the_server(server, background, spool, tmp_path):
    """Its owner, whose spool cannot be seen, in another container, may rotate it at any time."""
    path = tmp_path / "logs" / "load.log"
    path.parent.mkdir()
    assert background("own_the_file", path).stdout.readline() == "up\n"
    extra = f"del on_starting\n{install(spool=spool)}"
    running = server(handler=ROTATING, extra=extra).start(wait=False)
    assert running.process.wait(30) != 0
    (report,) = running.reports()
    assert "another process rotates one of its log files" in report
    assert "FileInUseError" in report


BAD = """
import logging
logging.getLogger("bad").addHandler(logging.FileHandler("bad.log", encoding="no-such", delay=True))
"""


@pytest.mark.parametrize("where", ["arbiter", "worker"])
def test_a_handler_that_cannot_work_ends_no_server(server, spool, tmp_path, where):
    """It is named; the other handlers lose nothing."""
    (tmp_path / "badapp.py").write_text(f"{BAD}\nfrom loadapp import app\n")
    if where == "arbiter":
        running = server(extra=f"del on_starting\n{BAD}\n{install(spool=spool)}")
    else:
        running = server(app="badapp:app", handler=ROTATING, extra=install(spool=spool))
    running.start()
    running.wait_for_report("no-such")
    running.get("/log?start=0&count=100")
    assert running.stop() == 0
    running.count().check(at_least=100)


def test_a_server_below_a_process_with_queuelog_logs_through_that(tmp_path, spool):
    """It cannot own what its parent owns, and nothing is lost."""
    prefix = [sys.executable, "-c", FORKS_A_SERVER, spool, str(tmp_path / "logs" / "load.log")]
    running = Server(tmp_path, extra=install(), handler=ROTATING, workers=1, prefix=prefix)
    try:
        running.start(wait=False)
        wait_for(running.answers, "the server answers")
        running.get("/log?start=0&count=100")
        assert running.stop() == 0
    finally:
        running.kill()
    running.count().check(at_least=100)


FORKS_A_SERVER = """
import logging, os, runpy, signal, sys
import queuelog
spool, path, _, script, *arguments = sys.argv[1:]
logging.getLogger("load").addHandler(logging.FileHandler(path))
queuelog.start(spool=spool)
pid = os.fork()
if pid == 0:
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
status = os.waitpid(pid, 0)[1]
queuelog.stop()
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_daemon_says_it_in_its_error_log(daemon, no_spool):
    """It has no stderr. Gunicorn's own logging gives the root logger no handler."""
    extra = "del on_starting\nlogconfig_dict = {}\nerrorlog = 'logs/own.log'\n"
    running = daemon(workers=1, extra=extra + install(spool=no_spool)).start()
    said = wait_for(lambda: running.text("own.log").count(b"queuelog: the log files stay"), "it")
    assert said >= 1
