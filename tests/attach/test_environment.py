"""Processes below a worker: what they find in the environment, and that their records arrive."""

import json
import os
import re
from urllib.parse import quote

import inside
import pytest
from belowapp import WAYS
from waiting import wait_for

from queuelog.attach.writers import Writers
from queuelog.spool.frame import FORMAT

COUNT = 20


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


def test_a_formatter_of_the_users_own_formats_in_the_owner(program, tmp_path):
    """What cannot be described in the environment is done by the owner, who has it."""
    program()
    assert (tmp_path / "a.log").read_text() == "A HELLO YOU\n"


LINES = {
    "percent": "INFO ü", "brace": r"2\d\d\d ü", "dollar": "a/ü", "defaults": "ü 1", "none": "ü",
}  # fmt: skip


@pytest.mark.parametrize("formatter", LINES)
def test_a_formatter_of_the_standard_library_formats_in_the_child(program, tmp_path, formatter):
    """Every style, the date format, and defaults are the same below."""
    program(formatter)
    text = (tmp_path / "a.log").read_text()
    assert re.fullmatch(LINES[formatter] + "\n", text), text


def test_levels_and_propagation_are_those_of_the_process_above(program, tmp_path):
    """A logger below logs what it logs above, and no more; a handler on two loggers is one."""
    program()
    assert (tmp_path / "a.log").read_text() == "a\nb\n"
    assert (tmp_path / "root.log").read_text() == "root only\na\nc\nc\n"


def test_a_handler_that_writes_itself_gets_the_records_of_a_program_below(program, tmp_path):
    """A file handler with an `emit` of its own exists in the owner only."""
    program()
    assert (tmp_path / "a.log").read_text() == "1 x\n2 y\n"


READ = [
    "'%(h)s' {'h': '::1'} ::1", "{'event': 'in', 'n': 1} () {'event': 'in', 'n': 1}",
    "'%s by %d' ('a', 2) a by 2",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["lines", "own emit", "named"])
def test_formatters_in_the_owner_read_what_a_program_below_has_logged(program, tmp_path, kind):
    """Dictionaries, numbers, and args as they were: JSON access logs are made of them."""
    program(kind)
    assert (tmp_path / "a.log").read_text().splitlines() == READ


@pytest.mark.parametrize("kind", ["function", "method"])
def test_filters_are_asked_in_the_owner(program, tmp_path, kind):
    """A program below does not have them; what they hide is in no file."""
    program(kind)
    assert (tmp_path / "a.log").read_text() == "5 ***\n"


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


@pytest.mark.parametrize("version", [None, 0, 99, "1"])
def test_a_variable_of_another_version_is_refused(python, spool, monkeypatch, version):
    """Installed apart, a server and the programs below it may differ: the message says what to do.

    Without a version it is that of a server from before there were any.
    """
    fields = {name: value for name, value in connection(spool).items() if name != "format"}
    if version is not None:
        fields["format"] = version
    monkeypatch.setenv("QUEUELOG", json.dumps(fields | {"something": "new"}))
    done = python("import queuelog; queuelog.setup()", check=False)
    assert "ConfigurationError" in done.stderr
    for part in ("QUEUELOG", "another version of queuelog", "Install the same one for both"):
        assert part in done.stderr
    assert not os.path.exists(spool)


def connection(spool):
    """Return what a server with this spool, and this user, would put into the variable."""
    return {
        "spool": spool, "owner": 1, "owner_uid": os.geteuid(), "parent": None,
        "backlog": 1 << 20, "full": "wait", "wait": 1.0, "own": [], "known": [],
        "format": FORMAT,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["own", "known", "loggers"])
@pytest.mark.parametrize("value", [None, 5])
def test_a_variable_with_values_of_other_types_is_refused(python, spool, monkeypatch, name, value):
    """As any other that somebody has changed."""
    monkeypatch.setenv("QUEUELOG", json.dumps(connection(spool) | {name: value}))
    done = python("import queuelog; queuelog.setup()", check=False)
    assert "ConfigurationError" in done.stderr
    assert "Leave it alone, or remove it" in done.stderr


def test_a_spool_that_is_gone_is_said(python, spool, monkeypatch):
    """A program that outlives the server's spool learns it at `setup()`, not by lines lost."""
    monkeypatch.setenv("QUEUELOG", json.dumps(connection(spool)))
    done = python("import queuelog; queuelog.setup()", check=False)
    assert "SpoolError" in done.stderr
    assert "has ended" in done.stderr


def test_a_program_below_owns_nothing(program):
    """stop() after setup() says that the files belong to the process above."""
    assert "WrongProcessError" in program("stop", check=False).stderr
    program("start")


def test_too_many_loggers_for_the_environment_are_said(program, tmp_path):
    """execve() refuses long variables: then a program below must configure logging itself."""
    assert "too many loggers" in program().stderr
    assert (tmp_path / "a.log").read_text() == "here\n"


def test_more_files_than_the_environment_can_name_keep_no_program_from_its_start(program, tmp_path):
    """Not only loggers make it too long: with "Argument list too long" nothing could be run."""
    assert "too many loggers" in program().stderr
    assert (tmp_path / "a.log").read_text() == "here\n"


def test_a_server_below_a_server_leaves_what_was_there(program, spool, monkeypatch):
    """What it starts after its stop() finds the outer one again."""
    monkeypatch.setenv("QUEUELOG", json.dumps(connection(f"{spool}-above")))
    program()


def test_what_went_to_an_owner_that_is_gone_goes_to_that_of_the_service(directory):
    """Its spool was removed before a program below a worker started."""
    own = inside.spool_writer(directory)
    assert Writers(own, None).to(f"{directory.path}-gone") is own
