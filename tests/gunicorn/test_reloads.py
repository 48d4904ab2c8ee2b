"""SIGHUP with another configuration, a broken one, or none that Python can read."""

import copy
import os
import re
import signal
from collections import Counter

import pytest
from admin import reload
from harness import Load
from one_owner import OneOwner
from processes import open_files, wait_for_end, workers
from rotating import by_second, by_size
from versions import RELOADS_LOGGING
from waiting import wait_for

PLAIN = {"class": "logging.FileHandler"}
LATE = {"delay": True}  # what OneOwner needs


def test_a_reload_with_another_configuration_moves_the_lines_there(server):
    """SIGHUP with a new path, a new format, a removed and an added handler.

    Old workers log as they did until they end, new ones as it says now. Gunicorn before 26.1 does
    not configure logging anew: all stays as it was.
    """
    running = server()
    config = running.config
    config["formatters"]["access"]["format"] = "%(created).9f %(process)d %(message)s"
    running.write_conf()
    running.start()
    with Load(running) as load:
        load.wait_for_requests(40)
        config["formatters"]["line"]["format"] = "%(created).3f %(process)d %(message)s"
        config["handlers"]["load"]["filename"] += "-new"
        config["handlers"]["also"] = {
            **config["handlers"]["load"], "filename": f"{running.log_dir}/also.log"
        }  # fmt: skip
        config["loggers"]["load"]["handlers"] = ["load", "also"]
        config["loggers"]["gunicorn.access"]["handlers"] = []
        del config["handlers"]["access"]
        running.write_conf()
        _, new = reload(running)
        load.wait_for_requests(40)
    assert running.stop() == 0
    running.count().check(at_least=1_500)
    names = "load.log", "load.log-new", "also.log", "access.log"
    paths = [running.log_dir / name for name in names]
    lines = [path.read_bytes().splitlines() if path.exists() else [] for path in paths]
    before, after, also, access = lines
    pids = [{int(line.split()[1]) for line in one} for one in lines]
    if RELOADS_LOGGING:
        assert pids[1] == pids[2] == new
        assert not (pids[0] | pids[3]) & new
        assert not [line for line in before if not re.match(rb"\d+\.\d{9} ", line)]
        assert not [line for line in after if not re.match(rb"\d+\.\d{3} ", line)]
        assert sorted(also) == sorted(after)
    else:
        assert not after
        assert not also
        assert pids[0] & pids[3] & new
    assert access


@pytest.mark.skipif(not RELOADS_LOGGING, reason="this Gunicorn configures logging only once")
def test_a_reload_may_change_when_the_file_rolls_over(server):
    """SIGHUP with a new policy for the same file: it holds from then on, and no line is lost."""
    running = server(handler=PLAIN).start()

    def backups():
        return {path.name for path in running.log_dir.glob("load.log.*")}

    def change(**handler):
        load.wait_for_requests(20)
        before = running.config["handlers"]["load"]
        kept = {name: before[name] for name in ("formatter", "filename")}
        running.config["handlers"]["load"] = {**kept, **handler}
        running.write_conf()
        reload(running)

    with Load(running, pause=0.01) as load:
        load.wait_for_requests(20)
        assert not backups()
        change(**by_size(50_000))
        wait_for(lambda: "load.log.2" in backups(), "rollovers by size")
        change(**by_second())
        numbered = {name for name in backups() if re.fullmatch(r"load\.log\.\d+", name)}
        wait_for(lambda: len(backups() - numbered) > 1, "rollovers by time")
        change(**PLAIN)
        plain = backups()
        load.wait_for_requests(150)
    assert running.stop() == 0
    assert backups() == plain
    assert (running.log_dir / "load.log").stat().st_size > 50_000
    running.count().check(at_least=2_000)


BROKEN = {
    "class": {"class": "logging.NoSuchHandler"},
    "directory": {"filename": "/dev/null/load.log", "delay": False},
    "encoding": {"encoding": "no-such", "delay": True},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_reload_with_a_broken_configuration_changes_nothing(server, spool, change):
    """Gunicorn keeps the previous one, and so do the owner and its files; the next one works.

    Gunicorn before 26.1 does not even look at it.
    """
    running = server(handler=LATE).start()
    right = copy.deepcopy(running.config)
    with OneOwner(running, spool) as owner, Load(running) as load:
        load.wait_for_requests(20)
        running.config["handlers"]["load"] |= change
        running.write_conf()
        reload(running)
        load.wait_for_requests(20)
        if RELOADS_LOGGING:
            running.logged(b"reloading the logger configuration failed")
        running.config["handlers"]["load"] = right["handlers"]["load"]
        running.write_conf()
        reload(running)
        load.wait_for_requests(20)
    files = Counter(open_files(running.pid, below=running.log_dir))
    assert set(files.values()) == {1}
    assert running.stop() == 0
    assert owner.owners == [running.pid]
    running.count().check(at_least=1_000)
    assert set(os.listdir(running.log_dir)) == {"access.log", "error.log", "load.log"}


def test_a_reload_with_a_syntax_error_ends_the_server_but_loses_nothing(server):
    """Gunicorn's arbiter exits, and its workers go on until they notice: the next start has all."""
    running = server(extra="timeout = 2\n").start()
    right = running.conf.read_text()
    with Load(running) as load:
        load.wait_for_requests(20)
        orphans = workers(running)
        running.conf.write_text(f"{right}\nthis is no Python\n")
        running.send(signal.SIGHUP)
        assert running.process.wait(30) == 1
        load.go_on(0.1)
    wait_for_end(orphans)
    running.conf.write_text(right)
    running.start()
    assert running.stop() == 0
    running.count().check(at_least=400)
    for pid in orphans:
        assert running.text("error.log").count(b"Worker exiting (pid: %d)\n" % pid) == 1
