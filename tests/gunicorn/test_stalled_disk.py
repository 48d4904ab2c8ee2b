"""A server's life goes on while its log disk stands still: reloads, upgrades, ends and starts.

Before `on_starting` Gunicorn itself opens the log files, unless they have `delay`, and writes its
line "Starting gunicorn": a new arbiter waits for the disk there. So here that line goes elsewhere.
"""

import signal
from contextlib import contextmanager

import pytest
from admin import reload
from disks import frozen
from harness import Load, logconfig
from processes import children, wait_for_end, workers
from waiting import wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def stalling(server, disk):
    """Return a server that logs to a disk of its own, which can be frozen."""
    running = server(extra="graceful_timeout = 2\n")
    disk(running.log_dir)
    config = logconfig(running.log_dir)
    for handler in config["handlers"].values():
        handler["delay"] = True
    config["handlers"]["error"]["filename"] = f"{running.directory}/error.log"
    running.config = config
    running.write_conf()
    return running.start()


@contextmanager
def stalled(server, load):
    """Let the disk stand still under load for a while; requests are answered all the time."""
    load.wait_for_requests(20)
    with frozen(server.log_dir):
        load.wait_for_requests(50)
        yield
        load.wait_for_requests(50)


def test_new_workers_come_while_the_disk_stands_still(stalling):
    """A fork must not wait for a thread that the disk has stalled."""
    with Load(stalling) as load:
        with stalled(stalling, load):
            stalling.send(signal.SIGTTIN)
            workers(stalling, 3)
            load.wait_for_requests(50)
            reload(stalling, before=3)
        load.wait_for_requests(20)
    assert stalling.stop() == 0
    stalling.count().check(at_least=3_800)


def test_an_upgrade_while_the_disk_stands_still(stalling):
    """The new arbiter logs through the spool of the old one, and takes over when that can end."""
    old = stalling.process
    with Load(stalling) as load:
        with stalled(stalling, load):
            before = workers(stalling)
            stalling.send(signal.SIGUSR2)

            def upgraded():
                return [pid for pid in children(old.pid) if pid not in before]

            (new,) = wait_for(upgraded, "a new arbiter")
            workers(stalling, arbiter=new)
            stalling.send(signal.SIGTERM)
            wait_for_end(before)
        assert old.wait(30) == 0
        load.wait_for_requests(50)
    stalling.end_process(new)
    stalling.count().check(at_least=3_400)


def test_a_server_that_was_ended_is_started_again_while_the_disk_stands_still(stalling):
    """The kernel keeps what hangs in a write, but neither the port nor the spool wait for it."""
    old = stalling.process
    with Load(stalling) as load:
        with stalled(stalling, load):
            before = workers(stalling)
            stalling.send(signal.SIGTERM)
            wait_for_end(before)
            stalling.start()
        assert old.wait(30) == 0
        load.wait_for_requests(50)
    assert stalling.stop() == 0
    stalling.count().check(at_least=3_000)
