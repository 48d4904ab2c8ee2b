"""What a service has left in its spool when it ended, and who writes it then."""

import os
import signal

import pytest
from counting import account
from services import NOBODY, WWW_DATA, account_of, line_config, wait_for_lines
from waiting import wait_for

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(machine, log_dir):
    """Return the machine, with a small disk for the log files."""
    machine.mount(log_dir, "-t", "tmpfs", "-o", "size=16m,mode=755", "none")
    return machine


def with_file(config, path):
    """Return a configuration that has a further file, of the logger `other`."""
    more = line_config(path)
    handlers = {**config["handlers"], "other": more["handlers"]["load"]}
    loggers = {**config["loggers"], "other": {**more["loggers"]["load"], "handlers": ["other"]}}
    return {**config, "handlers": handlers, "loggers": loggers}


def killed_with_lines_left(service, machine, log_dir, **options):
    """Kill a service while its disk is full, then make room; return the service.

    Its owner is killed first, so that most of the worker's segments were never read.
    """
    first = service(machine, line_config(log_dir / "a.log"), **options).start()
    first.log(500)
    machine.fill(log_dir / "filler")
    first.log(500)
    wait_for(lambda: "cannot write" in first.errors(), "the owner meets the full disk")
    first.begin_to_log(6_000, padding=1_000)
    wait_for(lambda: first.acknowledged() > 1_000, "a worker logs")
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: first.acknowledged() == 7_000, "the worker has logged all")
    first.kill()
    machine.run("rm", log_dir / "filler")
    return first


def elsewhere(config, place):
    """A file in another directory is added."""
    return with_file(config, place / "elsewhere.log"), {}


def other_user(config, place):
    """The workers run as another user."""
    return config, {"worker": WWW_DATA}


def no_user(config, place):
    """The workers run as root."""
    return config, {"worker": None}


@pytest.mark.parametrize("change", [elsewhere, other_user, no_user])
def test_what_waits_is_written_after_the_configuration_has_changed(
    small_disk, service, log_dir, place, change
):
    """The disk was full, all was killed, and the next start is another one."""
    first = killed_with_lines_left(service, small_disk, log_dir, worker=NOBODY)
    config, options = change(line_config(log_dir / "a.log"), place)
    second = service(small_disk, config, first=50_000, **{"worker": NOBODY, **options}).start()
    second.log(500)
    second.stop()
    path = small_disk.path(log_dir / "a.log")
    account_of("a.log", path, first, second).check(at_least=7_500)


@pytest.mark.parametrize("order", ["before", "after"])
def test_another_service_of_the_user_writes_what_a_killed_one_has_left(
    small_disk, service, log_dir, place, order
):
    """It has other files, and runs already, or is started afterwards."""
    (place / "elsewhere").mkdir()
    other = service(small_disk, line_config(place / "elsewhere" / "b.log"), first=50_000)
    if order == "before":
        other.start()
    first = killed_with_lines_left(service, small_disk, log_dir)
    if order == "after":
        other.start()
    other.log(500)
    path = small_disk.path(log_dir / "a.log")
    try:
        wait_for_lines(path, 7_000)
    finally:
        other.stop()
        accounts = [
            account_of("a.log", path, first),
            account_of("b.log", place / "elsewhere" / "b.log", other),
        ]
    for one in accounts:
        one.check(at_least=500)


def test_a_log_directory_for_each_release_leaves_nothing_in_memory(
    machines, program, place, monkeypatch
):
    """Eighty releases in a container with Docker's 64 MiB of shared memory."""
    acks = place / "acks"
    acks.write_bytes(bytes(10_000))
    monkeypatch.setenv("ACKS", str(acks))
    machine = machines("64m")
    done = program(place, 80, prefix=machine.prefix, name="releases", check=False)
    paths = place.glob("release-*/a.log")
    counted = account("release-*/a.log", acks.read_bytes(), paths)
    print(f"{len(machine.spools())} files are left in memory")
    assert done.returncode == 0, done.stderr
    counted.check(at_least=800)
    assert machine.spools() == []


def test_killed_releases_leave_nothing_in_memory(machine, service, place):
    """The next one takes over what they have left, and a clean stop removes it all."""
    releases = []
    for number in range(4):
        path = place / f"release-{number}" / "a.log"
        path.parent.mkdir()
        one = service(machine, line_config(path), first=1_000 * number).start()
        one.log(500)
        wait_for_lines(path, 500)
        releases.append((path, one))
        one.stop() if number == 3 else one.kill()
    accounts = [account_of(str(path), path, one) for path, one in releases]
    print(f"{len(machine.spools())} files are left in memory")
    for one in accounts:
        one.check(at_least=500)
    assert machine.spools() == []
