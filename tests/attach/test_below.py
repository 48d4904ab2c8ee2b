"""Processes below a worker: their records arrive, too."""

import json
import os
import re
import sys
from urllib.parse import quote

import pytest
from harness import APPS, wait_for

sys.path.insert(0, str(APPS))
from belowapp import WAYS

COUNT = 20
SERVER = """
import logging, os, subprocess, sys
import queuelog
logging.getLogger("a").addHandler(logging.FileHandler("a.log"))
logging.getLogger("a").setLevel("INFO")
{configure}
queuelog.start(spool=sys.argv[1])
done = subprocess.run(
    [sys.executable, "-W", "error", "-c", sys.argv[2]], capture_output=True, text=True
)
queuelog.stop()
assert "QUEUELOG" not in os.environ
print(done.stderr, file=sys.stderr)
sys.exit(done.returncode)
"""
CHILD = "import logging, queuelog; queuelog.setup(); "


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_every_way_to_start_a_process_below_a_worker_logs_into_the_same_file(
    server, tmp_path, worker_class
):
    """Records of `subprocess`, `multiprocessing` and pools arrive; spawned ones need `setup()`."""
    child_log = tmp_path / "logs" / "child.log"
    running = server(
        workers=2, app="belowapp:app", worker_class=worker_class, env={"CHILD_LOG": str(child_log)},
        extra="timeout = 120\n",
    ).start()  # fmt: skip
    for index, how in enumerate(WAYS):
        path = f"/below?how={quote(how)}&start={index * COUNT}&count={COUNT}"
        assert running.get(path, timeout=60) == b"ok", (how, running.text("error.log").decode())
    # A program that configured logging itself keeps that, and the arbiter writes its file.
    wait_for(lambda: child_log.exists() and b"configured here" in child_log.read_bytes(), "a line")
    assert running.stop() == 0
    counted = running.count()
    counted.check(at_least=len(WAYS) * COUNT - 1)
    assert counted.found == len(WAYS) * COUNT
    lines = running.text("load.log").splitlines()
    assert len({line.split()[1] for line in lines}) > len(WAYS)


def run(python, spool, child, configure="", **options):
    """Start queuelog in a program, and another one below it."""
    return python(SERVER.format(configure=configure), spool, CHILD + child, **options)


def test_a_formatter_of_the_users_own_formats_in_the_owner(python, spool, tmp_path):
    """What cannot be described in the environment is done by the owner, who has it."""
    configure = """
class Loud(logging.Formatter):
    def format(self, record):
        return super().format(record).upper()
logging.getLogger("a").handlers[0].setFormatter(Loud("%(name)s %(message)s"))
"""
    run(python, spool, "logging.getLogger('a').info('hello %s', 'you')", configure)
    assert (tmp_path / "a.log").read_text() == "A HELLO YOU\n"


@pytest.mark.parametrize(
    ("formatter", "line"),
    [
        ("logging.Formatter('%(levelname)s %(message)s')", "INFO ü"),
        ("logging.Formatter('{asctime} {message}', '%Y', style='{')", r"2\d\d\d ü"),
        ("logging.Formatter('$name/$message', style='$')", "a/ü"),
        ("logging.Formatter('%(message)s %(x)s', defaults={'x': 1})", "ü 1"),
        ("None", "ü"),
    ],
)
def test_a_formatter_of_the_standard_library_formats_in_the_child(
    python, spool, tmp_path, formatter, line
):
    """Every style, the date format, and defaults are the same below."""
    configure = f"logging.getLogger('a').handlers[0].setFormatter({formatter})"
    run(python, spool, "logging.getLogger('a').info('ü')", configure)
    text = (tmp_path / "a.log").read_text()
    assert re.fullmatch(line + "\n", text), text


def test_levels_and_propagation_are_those_of_the_process_above(python, spool, tmp_path):
    """A logger below logs what it logs above, and no more; a handler on two loggers is one."""
    configure = """
logging.getLogger("b").addHandler(logging.getLogger("a").handlers[0])
logging.getLogger("b").propagate = False
logging.getLogger("a").handlers[0].setLevel("WARNING")
logging.getLogger().addHandler(logging.FileHandler("root.log"))
logging.getLogger().setLevel("ERROR")
"""
    child = """
logging.getLogger("a").info("root only")
logging.getLogger("a").debug("not at all")
logging.getLogger("a").warning("a")
logging.getLogger("b").error("b")
logging.getLogger("c").warning("not at all")
logging.getLogger("c").error("c")
queuelog.setup()
logging.getLogger("c").error("c")
"""
    run(python, spool, child, configure)
    assert (tmp_path / "a.log").read_text() == "a\nb\n"
    assert (tmp_path / "root.log").read_text() == "root only\na\nc\nc\n"


def test_a_handler_that_writes_itself_gets_the_records_of_a_program_below(python, spool, tmp_path):
    """A file handler with an `emit` of its own exists in the owner only."""
    configure = """
class Counting(logging.FileHandler):
    number = 0
    def emit(self, record):
        self.number += 1
        record.msg = f"{self.number} {record.msg}"
        super().emit(record)
logging.getLogger("a").handlers = [Counting("a.log")]
"""
    run(python, spool, "log = logging.getLogger('a'); log.info('x'); log.info('y')", configure)
    assert (tmp_path / "a.log").read_text() == "1 x\n2 y\n"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("nonsense", "ConfigurationError: the environment variable QUEUELOG is not what"),
        ("{}", "ConfigurationError"),
        ("[1]", "ConfigurationError"),
        ("", "NotStartedError: queuelog.start"),
    ],
)
def test_a_variable_that_was_changed_is_refused(python, monkeypatch, value, error):
    """`setup()` says what is wrong with the environment."""
    monkeypatch.setenv("QUEUELOG", value)
    done = python("import queuelog; queuelog.setup()", check=False)
    assert error in done.stderr


def test_a_spool_that_is_gone_is_said(python, spool, monkeypatch):
    """A program that outlives the server's spool learns it at `setup()`, not by lines lost."""
    fields = {
        "spool": spool, "owner": 1, "owner_uid": os.geteuid(), "worker_uid": os.geteuid(),
        "backlog": 1 << 20, "full": "wait", "wait": 1.0, "own": [], "known": [],
    }  # fmt: skip
    monkeypatch.setenv("QUEUELOG", json.dumps(fields))
    done = python("import queuelog; queuelog.setup()", check=False)
    assert "SpoolError" in done.stderr
    assert "has ended" in done.stderr


@pytest.mark.parametrize("call", ["start()", "stop()"])
def test_a_program_below_owns_nothing(python, spool, call):
    """start() and stop() after setup() say that the files belong to the process above."""
    done = run(python, spool, f"queuelog.{call}", check=False)
    assert "WrongProcessError" in done.stderr


def test_too_many_loggers_for_the_environment_are_said(python, spool, tmp_path):
    """execve() refuses long variables: then a program below must configure logging itself."""
    configure = """
for number in range(3000):
    logging.getLogger(f"logger{number}").setLevel("INFO")
"""
    child = """
assert not logging.getLogger("a").handlers
logging.getLogger("a").addHandler(logging.FileHandler("a.log"))
queuelog.setup()
logging.getLogger("a").error("here")
"""
    done = run(python, spool, child, configure)
    assert "too many loggers" in done.stderr
    assert (tmp_path / "a.log").read_text() == "here\n"
