"""However an application configures logging in its workers: one owner a file, and no leaks."""

import re

import pytest
from harness import Load, logconfig
from processes import children, descriptors, open_files
from waiting import wait_for


def without_load(log_dir):
    """Return Gunicorn's own configuration: the application's log is not in it."""
    config = logconfig(log_dir)
    del config["handlers"]["load"], config["loggers"]["load"]
    return config


@pytest.mark.parametrize("when", ["load", "request"])
@pytest.mark.parametrize("how", ["dictConfig", "fileConfig", "basicConfig", "code"])
def test_every_way_of_configuration_is_taken_over(server, tmp_path, how, when):
    """Failures B9b: what the application configures itself silently removes the bridge."""
    running = server(
        app="configapp:app", workers=2, config=without_load(tmp_path / "logs"),
        env={"HOW": how, "WHEN": when},
    ).start()  # fmt: skip
    with Load(running) as load:
        load.wait_for_requests(100)

        def held():
            pids = children(running.pid)
            return [path for pid in pids for path in open_files(pid) if path.endswith(".log")]

        wait_for(lambda: not held(), "no worker has a log file open")
        load.wait_for_requests(100)
        assert not held()
    assert running.stop() == 0
    running.count().check(at_least=4000)
    assert len(list(running.log_dir.glob("load.log*"))) == 1 or how != "basicConfig"
    assert len(list(running.log_dir.glob("load.log*"))) > 1 or how == "basicConfig"
    assert running.text("access.log").count(b"GET /log?start=") >= load.answered
    assert "queuelog[" not in running.errors()


def test_loggers_that_were_disabled_are_named(server, tmp_path):
    """Without disable_existing_loggers=False the access log ends, with and without queuelog.

    It is what the application asked for, but hardly what it wanted: each worker says so once.
    """
    running = server(
        app="configapp:app", workers=2, config=without_load(tmp_path / "logs"),
        env={"HOW": "default", "WHEN": "load"},
    ).start()  # fmt: skip
    running.get("/pid")
    for pid in children(running.pid):
        pattern = rf"queuelog\[{pid}\]: .*gunicorn\.access.*disable_existing_loggers.*\n"
        wait_for(lambda p=pattern: re.search(p, running.errors()), "a report")
        assert len(re.findall(pattern, running.errors())) == 1
    running.stop()
    assert b"GET" not in running.text("access.log")
    assert running.text("load.log").count(b"gunicorn.access") == 2, "and in the application's log"


def test_an_incremental_configuration_changes_levels(program, log):
    """It finds handlers by name: the one that stands in the file handler's place has it."""
    program()
    assert log.read_text().splitlines() == ["INFO 1", "ERROR 4", "DEBUG 5"]


def test_a_handler_that_cannot_work_is_left_to_the_standard_library_in_a_worker(program):
    """What it says and raises is what it says and raises without queuelog, and no more."""
    stderr = program().stderr
    assert stderr.count("LookupError: unknown encoding: no-such") == 1
    assert stderr.count("stays in the worker") == 1


def test_more_files_than_a_process_can_describe_stay_in_the_worker(program, tmp_path):
    """A file for each job, for weeks: the handlers work as they do without queuelog."""
    stderr = program().stderr
    for name in "abcd":
        assert (tmp_path / f"{name}.log").read_text() == f"{name}\n"
    assert stderr.count("stays in the worker") == 2, "one for each file"
    assert stderr.count("too many log files") == 2


@pytest.mark.parametrize("where", ["worker", "arbiter"])
def test_repeated_configuration_leaks_nothing(program, log, where):
    """Failures B10c: descriptors and threads of every reload, handlers, sinks, descriptions."""
    program(where)
    assert log.read_text().splitlines() == [f"INFO {number:03d}" for number in range(110)]


def test_a_reload_in_the_arbiter_leaks_nothing(program, log, tmp_path):
    """Each SIGHUP configures anew: handlers change, descriptors and threads do not add up."""
    program()
    assert log.read_text() == "after\n"
    assert (tmp_path / "app.log.1").read_text() == "12345678\n" * 10


def test_a_server_whose_workers_configure_again_and_again_leaks_nothing(server, tmp_path):
    """In the arbiter, too: sinks and descriptors are one for each file, not one for each time."""
    running = server(
        app="configapp:app", workers=2, config=without_load(tmp_path / "logs"),
        env={"HOW": "dictConfig", "WHEN": "load"},
    ).start()  # fmt: skip
    pids = [running.pid, *children(running.pid)]
    seen = []
    with Load(running) as load:
        for _ in range(4):
            for _ in range(50):
                running.get("/configure")
            load.wait_for_requests(20)
            seen.append(descriptors(running.pid))
    assert [running.pid, *children(running.pid)] == pids
    wait_for(lambda: descriptors(running.pid) <= min(seen) + 1, "no descriptor is left")
    running.stop()
    running.count().check(at_least=1600)
