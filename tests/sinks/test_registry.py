"""All sinks of the owner: what fails in one is its own affair."""

import errno
import logging
import os

import inside
import pytest
from filesinks import contents, sized, timed, write
from waiting import wait_for

from queuelog.base import place_of
from queuelog.errors import FileInUseError
from queuelog.handlers import RollingFileHandler
from queuelog.sinks.configured import Configured
from queuelog.sinks.registry import Sinks
from queuelog.sinks.targets import Targets
from queuelog.spool import Target


@pytest.fixture
def sinks(monkeypatch, tmp_path):
    """Return the sinks of an owner, of which the first one's file cannot be closed properly."""
    made = Sinks()
    for name in ("bad.log", "good.log"):
        Configured(made).add(logging.FileHandler(tmp_path / name, delay=True))
    for sink_id in made.ids():
        write(made[sink_id], "line\n")
    bad, real = inside.descriptor(made[made.ids()[0]]), os.close

    def close(fd):
        real(fd)
        if fd == bad:  # a network file system could not write what it had taken
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", close)
    return made


def test_an_idle_timed_file_of_a_worker_is_let_go_and_its_period_goes_on(path, clock):
    """Written every 50 minutes it rolls over each hour, though its handler is made anew each time.

    A new one counts from the last write, and would never get to the end of its hour.
    """
    sinks = Sinks()
    targets = Targets(sinks)
    target = Target(inside.description_of(timed(path, when="H")), None)
    with inside.closing_files(idle=-1.0):
        for number in range(6):
            write(sinks[targets.resolve(target)], f"{number}\n")
            os.utime(path, (clock[0], clock[0]))
            sinks.let_go_of_idle()
            assert not sinks.ids()
            clock[0] += 50 * 60
    assert sorted(contents(path).values()) == ["0\n1\n", "2\n3\n", "4\n5\n"]


def test_midnight_comes_for_a_file_that_no_worker_writes_any_more(path, clock):
    """It is let go when it has rolled over and its backup is an archive."""
    clock[0] -= clock[0] % 3600
    handler = RollingFileHandler(path, when="H", compression="gzip", delay=True)
    sinks = Sinks()
    target = Target(inside.description_of(handler), None)
    write(sinks[Targets(sinks).resolve(target)], "line\n")
    Configured(sinks).keep_only([])  # at a reload, the arbiter's own are
    with inside.closing_files(idle=-1.0):
        sinks.let_go_of_idle()
        clock[0] += 3600
        sinks.rotate(but=())
        assert path.read_text() == ""
        clock[0] += 10
        sinks.rotate(but=())

        def is_let_go():
            sinks.let_go_of_idle()
            sinks.rotate(but=())
            return not sinks.ids()

        wait_for(is_let_go, "the file is let go")
    assert [*path.parent.glob("*.gz")]


@pytest.mark.parametrize("how", ["close", "close_inherited"])
def test_a_file_that_fails_when_it_is_closed_keeps_no_lock(sinks, tmp_path, how):
    """Nor does it keep the other files open, in the owner or in a child."""
    getattr(sinks, how)()
    held = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert not [path for path in held if path.startswith(str(tmp_path))]


def test_a_file_that_no_configuration_names_any_more_may_be_owned_by_others(tmp_path):
    """A reload has moved the lines elsewhere; the file that is named still stays locked."""
    kept, dropped = (sized(tmp_path / name, size=1000) for name in ("kept.log", "dropped.log"))
    sinks, others = Sinks(), Sinks()
    for handler in (kept, dropped):
        Configured(sinks).add(handler)
        write(sinks[str(handler.baseFilename)], "line\n")
    Configured(sinks).keep_only([kept])
    with inside.closing_files(idle=-1.0):
        sinks.let_go_of_idle()
        sinks.tick()
    Configured(others).add(sized(tmp_path / "dropped.log", size=1000))
    with pytest.raises(FileInUseError):
        Configured(others).add(sized(tmp_path / "kept.log", size=1000))
    for one in (sinks, others):
        one.close()


def test_a_directory_that_was_made_anew_is_where_the_file_is_now(tmp_path):
    """Others find the owner of a file by the inode of its directory."""
    log = tmp_path / "logs" / "a.log"
    log.parent.mkdir()
    sinks = Sinks()
    Configured(sinks).add(logging.FileHandler(log))
    log.parent.rename(tmp_path / "old")
    log.parent.mkdir()
    assert sinks.places() == [place_of(log)]
    sinks.close()
