"""`get_logger`: console and server in one line, in whatever process."""

import re

import pytest
from waiting import wait_for


@pytest.fixture
def run(program, log_server, spool):
    """Return a function that runs a service beside a server; its usual place for spools is empty.

    Also the server, which has all that the service has logged when that has ended.
    """
    server = log_server()

    def run(**options):
        prefix = (
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs none /dev/shm && exec "$0" "$@"',
        )
        return program(server.address, prefix=prefix, **options)

    server.run = run
    return server


pytestmark = pytest.mark.root  # for a /dev/shm of its own


def test_one_line_is_enough(run):
    """Logger and those below, children as well; others' records are not its business."""
    run.start()
    done = run.run()
    expected = ["parent", "a logger below", "child"]
    assert sorted(run.messages()) == sorted(expected)
    assert run.records()[0]["n"] == 1
    console = re.findall(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+) +\[\d+\] ([\w.]+): (.*)$",
        done.stderr,
        re.MULTILINE,
    )
    assert console == [
        ("INFO", "app", "parent"), ("WARNING", "app.db", "a logger below"),
        ("INFO", "app", "child"),
    ]  # fmt: skip
    assert "another's\n" in done.stderr  # the standard library's last resort


def test_a_second_call_adds_nothing(run):
    """Nor does one for a logger below; each record is there once, in whatever order of calls."""
    run.start()
    done = run.run()
    assert done.stdout == "2 0\n10\n"
    assert sorted(run.messages()) == ["app", "app.db", "app.web"]
    assert len(done.stderr.splitlines()) == 3


def test_the_root_logger_has_what_libraries_log(run):
    """Without a name."""
    run.start()
    assert run.run().stderr == ""
    assert run.messages() == ["of a library"]


def test_after_start_it_is_taken_over_as_well(run, log):
    """The owner of the log files sends, and the root logger's file has the records as before."""
    run.start()
    assert run.run().stdout == "QueueHandler\n"
    assert run.messages() == ["to the server"]
    assert log.read_text() == "to the server\nto the file\n"


def test_what_is_configured_above_gets_the_records_as_well(run, log):
    """Console, file and server have each record once, also if the root logger gets one later."""
    run.start()
    assert run.run().stderr == "first\nsecond\n"
    assert log.read_text() == "first\nsecond\n"
    assert run.messages() == ["first", "second"]


def test_children_of_multiprocessing_log_on(run):
    """By each of the three start methods."""
    run.start()
    run.run()
    assert sorted(run.messages()) == ["fork", "forkserver", "parent", "spawn"]


def test_a_program_below_is_a_client_of_its_owner(run):
    """It has no thread, and loads nothing of the owner's side."""
    run.start()
    assert run.run().stdout == "Client 1 False\n"
    assert sorted(run.messages()) == ["above", "below"]


def test_threads_that_call_it_at_once_start_it_once(run):
    """One handler, one spool."""
    run.start()
    assert run.run().stdout == "1 1\n"
    assert run.messages() == ["x"] * 8


def test_in_the_server_itself_a_logger_is_just_a_logger(run):
    """What it logs is at the server already."""
    assert run.run().stdout == "here\n"


def test_a_level_that_is_none_is_refused(run):
    """And so is an address; nothing was added."""
    lines = run.run().stdout.splitlines()
    assert lines[0] == "Unknown level: 'LOUD'"
    assert "write HOST:PORT" in lines[1]
    assert lines[2] == "0"


def test_workers_of_gunicorn_log_through_the_arbiter(server, log_server, monkeypatch):
    """An application that calls it in each worker, below an arbiter with queuelog."""
    receiver = log_server()
    monkeypatch.setenv("LOG_SERVER", receiver.start())
    gunicorn = server(app="getloggerapp:app", workers=2)
    gunicorn.start()
    answers = {gunicorn.get("/hello") for _ in range(10)}
    wait_for(lambda: receiver.messages().count("/hello") == 10, "ten records")
    gunicorn.stop()
    logged = {one["process"] for one in receiver.records() if one["msg"] == "/hello"}
    assert logged == {*map(int, answers)}
