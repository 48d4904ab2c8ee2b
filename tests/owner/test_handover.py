"""Lines for a file that another process owns, whom their writer did not find in time."""

import errno
import os
import signal

import pytest
from processes import open_files
from services import text_of, wait_for_lines
from spools import file_description, line, segments, writer_of

from queuelog.owner import handover as handover_module
from queuelog.owner.ledger import Cursor
from queuelog.owner.spools import OwnedSpools
from queuelog.sinks.registry import Sinks
from queuelog.sinks.targets import Targets
from queuelog.spool.directory import SpoolDirectory


class Service:
    """A process that owns files, and its worker, which does what it is told."""

    def __init__(self, background, *arguments):
        self._process = background("service", *arguments)
        self._wait_for("ready")

    @property
    def pid(self):
        """The owner's process id."""
        return self._process.pid

    def _wait_for(self, answer):
        found = self._process.stdout.readline()
        assert found == f"{answer}\n", self._process.stderr.read()

    def tell(self, *commands):
        """Let the worker do something."""
        for command in commands:
            print(command, file=self._process.stdin, flush=True)
            self._wait_for("done")

    def send(self, number):
        """Send a signal to the owner."""
        os.kill(self.pid, number)

    def end(self):
        """Stop it; return what it reported."""
        print("end", file=self._process.stdin, flush=True)
        self._wait_for("stopped")
        return self._process.communicate()[1]


@pytest.fixture
def two(background, tmp_path):
    """Return a function that makes two services whose workers have the same file.

    The second one's worker asked who owns it before anybody did.
    """

    def make(path, kind):
        found = [Service(background, tmp_path / f"{name}.log", path, kind) for name in "ab"]
        second = found[1]
        second.send(signal.SIGSTOP)
        second.tell("attach")
        found[0].tell("attach", "a 0")
        wait_for_lines(path, 1)
        second.send(signal.SIGCONT)
        return found

    return make


@pytest.mark.parametrize("kind", ["plain", "rotating"])
def test_two_services_that_add_one_file_at_the_same_time_both_write_it(two, tmp_path, kind):
    """One process has it open; the lines of the other's worker don't wait for anybody's end."""
    path = tmp_path / "app.log"
    first, second = two(path, kind)
    for number in range(1, 20):
        first.tell(f"a {number}")
        second.tell(f"b {number}")
    wait_for_lines(path, 39)
    assert [str(path) in open_files(one.pid) for one in (first, second)] == [True, False]
    second.tell("b 20")
    assert first.end() == ""
    second.tell("b 21")
    wait_for_lines(path, 41)
    assert second.end() == ""
    found = text_of(path).decode().split("\n")
    assert sorted(found) == sorted(
        ["", *(f"a {n}" for n in range(20)), *(f"b {n}" for n in range(1, 22))]
    )


def test_a_killed_owner_leaves_the_lines_that_it_was_given_to_the_other_one(two, tmp_path):
    """What the worker of the second service writes next is in its file as well."""
    path = tmp_path / "app.log"
    first, second = two(path, "plain")
    second.tell("b 1")
    wait_for_lines(path, 2)
    first.send(signal.SIGSTOP)
    second.tell("b 2")
    first.send(signal.SIGKILL)
    second.tell("b 3")
    wait_for_lines(path, 4)
    assert second.end() == ""
    assert path.read_text() == "a 0\nb 1\nb 2\nb 3\n"


# --- segments that were begun by the one, and are read to their end by the other


class BrokenOffError(BaseException):
    """The process ends here."""


@pytest.fixture
def late(spool, background, tmp_path):
    """Return a writer, and a function that makes the owner of its spool.

    It has written a line to a file that another process owns by now, and another one waits.
    """
    path, directory = tmp_path / "app.log", SpoolDirectory(os.path.join(spool, "5-5"))
    directory.create()
    made = []

    def make():
        sinks = Sinks()
        spools = OwnedSpools(directory, Targets(sinks), 1 << 20)
        made.append((sinks, spools))
        assert spools.own()
        return spools

    writer = writer_of(file_description(path), directory=directory)
    writer.put(line(b"1\n"))
    first = make()
    write_all(first)
    assert path.read_text() == "1\n"
    end(*made.pop())
    other = background("owner", path, spool=os.path.join(spool, "elsewhere"))
    assert other.stdout.readline() == "started\n"
    writer.put(line(b"2\n"))
    yield writer, make
    for one in made:
        end(*one)


def end(sinks, spools):
    """Let an owner of spools end."""
    sinks.close()
    spools.release()


def write_all(spools):
    """Let an owner do all that is to do now."""
    while (batch := spools.next()) is not None:
        spools.deliver(batch)
    while spools.retry(at_once=True):
        pass


def test_the_new_owner_reads_on_where_the_first_has_stopped(late, tmp_path, spool):
    """Also what is written after that, in the same segment."""
    writer, make = late
    write_all(make())
    writer.put(line(b"3\n"))
    path = tmp_path / "app.log"
    wait_for_lines(path, 3)
    assert path.read_text() == "1\n2\n3\n"
    assert not segments(SpoolDirectory(os.path.join(spool, "5-5")))


def break_off(make, monkeypatch, moment):
    """Let an owner be killed before or after it hands its first segment over."""
    hand_over = handover_module.hand_over

    def broken_off(*arguments):
        if moment == "after":
            assert hand_over(*arguments)
        raise BrokenOffError

    with monkeypatch.context() as patch:
        patch.setattr(handover_module, "hand_over", broken_off)
        killed = make()
        with pytest.raises(BrokenOffError):
            write_all(killed)
    killed.release()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_who_is_killed_while_it_hands_over_loses_and_doubles_nothing(
    late, monkeypatch, tmp_path, moment
):
    """The next owner of the spool goes on."""
    writer, make = late
    break_off(make, monkeypatch, moment)
    writer.put(line(b"3\n"))
    write_all(make())
    path = tmp_path / "app.log"
    wait_for_lines(path, 3)
    assert path.read_text() == "1\n2\n3\n"


def test_what_cannot_be_handed_over_waits_and_is_reported(late, monkeypatch, tmp_path, capfd):
    """The other's spool is on another file system."""
    _, make = late

    def fail(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    spools = make()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        write_all(spools)
        spools.tidy()
    path = tmp_path / "app.log"
    assert path.read_text() == "1\n"
    assert f"what waits for {path} cannot be given to its owner" in capfd.readouterr().err
    write_all(spools)
    wait_for_lines(path, 2)
    assert path.read_text() == "1\n2\n"


def test_what_cannot_be_opened_now_is_handed_over_later(late, monkeypatch, tmp_path, spool):
    """No descriptor is left: what may be in that segment is not forgotten."""
    writer, make = late
    break_off(make, monkeypatch, "before")
    (path,) = segments(writer.directory)
    other = writer_of(file_description(tmp_path / "app.log"), directory=writer.directory)
    other.put(line(b"3\n"))
    spools, open_ = make(), os.open

    def open_others(name, *arguments, **options):
        if name == str(path):
            raise OSError(errno.EMFILE, "no descriptor is left")
        return open_(name, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_others)
        write_all(spools)
    write_all(spools)
    wait_for_lines(tmp_path / "app.log", 3)


def test_what_fails_after_its_owner_has_gone_is_not_handed_over_to_that(
    late, tmp_path, spool, background
):
    """It would wait in the spool that it has left."""
    writer, make = late
    spools = make()
    spools.deliver(spools.next())
    background.started[-1].kill()
    background.started[-1].wait()
    write_all(spools)
    assert (tmp_path / "app.log").read_text() == "1\n2\n"
    (tmp_path / "app.log").unlink()
    (tmp_path / "app.log").mkdir()
    writer.put(line(b"3\n"))
    write_all(spools)
    assert segments(writer.directory)


def test_half_a_batch_waits_for_the_owner_of_its_file_and_is_reported(
    late, monkeypatch, tmp_path, capfd
):
    """No other one can know how far it is written: who owns the file now must end first."""
    writer, make = late
    spools = make()
    with monkeypatch.context() as patch:
        patch.setattr(Cursor, "give_up", lambda _: False)
        write_all(spools)
        spools.tidy()
    assert f"what waits for {tmp_path / 'app.log'} cannot be given" in capfd.readouterr().err
    assert segments(writer.directory)
