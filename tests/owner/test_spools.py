"""The spools that an owner takes over: what is in them, and when it lets them go."""

import logging
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import inside
import pytest
from filesinks import sized
from spools import LIMIT, line, writer_of
from waiting import wait_for

from queuelog.base import place_of
from queuelog.owner.ledger import Ledger
from queuelog.owner.spools import OwnedSpools
from queuelog.sinks.configured import Configured
from queuelog.sinks.protocol import Mark
from queuelog.sinks.registry import Sinks
from queuelog.sinks.targets import Targets
from queuelog.spool import RecordPayload, frame, registry
from queuelog.spool.directory import SpoolDirectory
from queuelog.spool.registry import Registry

GONE = 1 << 22  # a process id that nobody has
NOBODY = 65534
MINUTE = 60_000_000_000  # ns


@pytest.fixture
def owner(spool):
    """Return a context manager that makes an owner with handlers, and lets it end."""

    @contextmanager
    def make(*handlers, name="5-5"):
        sinks = Sinks()
        directory = SpoolDirectory(os.path.join(spool, name))
        directory.create()
        spools = OwnedSpools(directory, Targets(sinks), LIMIT)
        for handler in handlers:
            Configured(sinks).add(handler)
        spools.own()
        spools.publish()
        try:
            yield spools
        finally:
            sinks.close()
            spools.release()

    return make


def left(spool, name, *frames, description, files=(), alive=False):
    """Make a spool that an owner of these files has left, with frames; return its writer."""
    directory = SpoolDirectory(os.path.join(spool, name))
    directory.create()
    os.close(Registry(GONE, LIMIT, [place_of(path) for path in files], []).write(directory))
    writer = writer_of(description, directory=directory)
    for one in frames:
        writer.put(one)
    if not alive:
        writer.close()
    return writer


def write_all(spools):
    """Let an owner do all that is to do now."""
    spools.tidy()
    while (batch := spools.next()) is not None:
        spools.deliver(batch)
    while spools.retry(at_once=True):
        pass
    spools.tidy()


def handler(path):
    """Return a handler for a file."""
    return logging.FileHandler(path, delay=True)


def described(path):
    """Return what describes the handler for a file."""
    return inside.description_of(handler(path))


def mail(name="mail"):
    """Return a handler that is known by its name, and the messages that it got."""
    got = []

    class Mail(logging.Handler):
        def emit(self, record):
            got.append(record.getMessage())

    made = Mail()
    made.name = name
    return made, got


def record(message):
    """Return a frame with a record."""
    return frame.encode(frame.RECORD, 0, 1.0, RecordPayload({"msg": message}, message).encode())


def test_what_was_left_is_written_before_what_is_new(owner, spool, log):
    """The oldest spool first, however the times of its records are: clocks step."""
    left(spool, "1-2", line(b"second\n", 8.0), description=described(log))
    left(spool, "2-1", line(b"first\n", 9.0), description=described(log))
    with owner(handler(log)) as spools:
        own = writer_of(described(log), directory=SpoolDirectory(os.path.join(spool, "5-5")))
        own.put(line(b"third\n", 7.0))
        own.close()
        write_all(spools)
    assert log.read_text() == "first\nsecond\nthird\n"


def test_a_spool_is_removed_when_nothing_waits_in_it(owner, spool, log):
    """Each would keep a ledger of 1 MiB in memory."""
    left(spool, "1-1", line(b"x\n"), description=described(log))
    with owner(handler(log)) as spools:
        write_all(spools)
        assert os.listdir(spool) == ["5-5"]
    assert os.listdir(spool) == []


@pytest.mark.parametrize("gone", [[], ["registry", "ledger"], ["registry", "bell"]])
def test_a_spool_whose_removal_was_cut_short_is_removed(owner, spool, log, gone):
    """The owner was killed in the middle of it, or while it wrote a registry."""
    left(spool, "1-1", description=described(log))
    path = Path(spool, "1-1")
    (path / "registry.new").touch()
    (path / str(os.geteuid())).rmdir()
    for name in gone:
        (path / name).unlink(missing_ok=True)
    with owner(handler(log)) as spools:
        write_all(spools)
        assert os.listdir(spool) == ["5-5"]


def test_a_spool_that_is_just_being_made_is_left_to_who_makes_it(owner, spool, log):
    """Four processes start at once: none takes another's spool, before that has said its name."""
    made = [SpoolDirectory(os.path.join(spool, f"1-{time.time_ns() - age}")) for age in (0, MINUTE)]
    for directory in made:
        directory.create()
    with owner(handler(log)) as spools:
        spools.take_over()
        spools.tidy()
        assert [directory.is_there() for directory in made] == [True, False]


def test_a_spool_of_any_name_may_end_to_which_others_have_written(owner, spool, log):
    """It was found by a link."""
    left(spool, "elsewhere", line(b"x\n"), description=described(log), files=[log])
    with owner(handler(log)) as spools:
        spools.leftovers.elsewhere.add(os.path.join(spool, "elsewhere"))
        spools.take_over()
        write_all(spools)
    assert log.read_text() == "x\n"


def test_an_owner_whose_spool_was_removed_before_he_had_it_makes_it_again(owner, spool, log):
    """He stood still for so long that it seemed to be nobody's."""
    with owner(handler(log)) as spools:
        own = SpoolDirectory(os.path.join(spool, "5-5"))
        spools.release()
        assert not own.is_there()
        assert spools.own()
        assert own.is_complete()


def test_what_waits_is_written_though_nobody_can_be_told_who_writes_it(owner, spool, log):
    """The registry needs room in the spool, which is full of what waits."""
    left(spool, "1-1", line(b"x\n"), description=described(log), files=[log])
    Path(spool, "1-1", "registry.new").mkdir()
    with owner(handler(log)) as spools:
        write_all(spools)
        assert log.read_text() == "x\n"


def test_a_spool_that_cannot_be_taken_over_now_is_tried_again(owner, spool, log):
    """There was no descriptor left, say."""
    left(spool, "1-1", line(b"x\n"), description=described(log))
    lock = Path(spool, "1-1", "lock")
    lock.mkdir()
    with owner(handler(log)) as spools:
        write_all(spools)
        assert not log.exists()
        lock.rmdir()
        inside.let_pass(spools, seconds=60)
        write_all(spools)
        assert log.read_text() == "x\n"


def test_a_spool_that_is_gone_when_it_is_to_be_taken_over_is_no_reason_to_worry(
    owner, spool, log, monkeypatch, capfd
):
    """Another owner was faster, and has removed it."""
    left(spool, "1-1", description=described(log))
    with owner(handler(log)) as spools:

        def remove(directory):
            shutil.rmtree(directory.path)
            return False

        monkeypatch.setattr(registry, "is_owned", remove)
        spools.take_over()
        monkeypatch.undo()
        assert os.listdir(spool) == ["5-5"]
    assert "queuelog[" not in capfd.readouterr().err


def test_a_spool_in_which_somebody_still_writes_is_kept(owner, spool, log):
    """A worker outlives its arbiter; its lines are written, also those to come."""
    writer = left(spool, "1-1", line(b"1\n"), description=described(log), alive=True)
    with owner(handler(log)) as spools:
        write_all(spools)
        writer.put(line(b"2\n"))
        write_all(spools)
        assert log.read_text() == "1\n2\n"
        assert sorted(os.listdir(spool)) == ["1-1", "5-5"]
        writer.close()
        write_all(spools)
        assert os.listdir(spool) == ["5-5"]


def test_a_writer_that_goes_on_does_not_silence_the_owners_own_spool(owner, spool, log, tmp_path):
    """It always has a further line, as a busy worker that outlives its arbiter."""
    other = left(spool, "1-1", line(b"1\n"), description=described(log), alive=True)
    with owner(handler(log), handler(tmp_path / "own.log")) as spools:
        spools.tidy()
        directory = SpoolDirectory(os.path.join(spool, "5-5"))
        own = writer_of(described(tmp_path / "own.log"), directory=directory)
        own.put(line(b"x\n"))
        for _ in range(3):
            spools.deliver(spools.next())
            other.put(line(b"2\n"))
        assert (tmp_path / "own.log").read_text() == "x\n"
        own.close()
        other.close()
        write_all(spools)


def test_a_spool_with_a_living_owner_is_left_alone(owner, spool, log, tmp_path):
    """Two owners would write everything twice."""
    with owner(handler(log), name="1-1") as first:
        own = writer_of(described(log), directory=SpoolDirectory(os.path.join(spool, "1-1")))
        own.put(line(b"x\n"))
        with owner(handler(tmp_path / "other.log")) as second:
            write_all(second)
            assert not log.exists()
            write_all(first)
        assert log.read_text() == "x\n"
        own.close()


def test_mails_of_another_service_wait_for_it(owner, spool, log, tmp_path):
    """A handler of the same name is somebody else's, unless a log file is the same, too."""
    description = b'{"name": "mail", "class": "x"}'
    left(spool, "1-1", record("hello"), description=description, files=[log])
    stranger, got = mail()
    with owner(stranger, handler(tmp_path / "other.log")) as spools:
        write_all(spools)
        assert got == []
    assert os.listdir(spool) == ["1-1"]
    itself, got = mail()
    with owner(itself, handler(log)) as spools:
        write_all(spools)
        assert got == ["hello"]
    assert os.listdir(spool) == []


def test_mails_of_the_service_whose_files_are_taken_over_are_sent(owner, spool, log):
    """After an upgrade the new arbiter has its file only from then on."""
    description = b'{"name": "mail", "class": "x"}'
    left(spool, "1-1", record("hello"), description=description, files=[log])
    itself, got = mail()
    with owner(itself) as spools:
        add = Configured(spools._sinks).add
        spools.leftovers.taken_over = lambda _: add(handler(log))
        write_all(spools)
        assert got == ["hello"]


def test_what_only_another_process_can_write_is_left_to_that(owner, spool, log, tmp_path):
    """Its file has an owner; that one comes by and takes it, while this one goes on."""
    log.touch()
    with owner(sized(log, size=1000), name="3-3") as first:
        write_all(first)
        left(spool, "1-1", line(b"x\n"), description=described(log))
        with owner(handler(tmp_path / "other.log")) as second:
            write_all(second)
            write_all(second)
            assert not log.read_text()
            write_all(first)
            assert log.read_text() == "x\n"


def test_half_a_line_is_completed_before_another_spool_is_written(owner, spool, log):
    """What comes in between would be in the middle of it."""
    left(spool, "1-1", line(b"first\n"), description=described(log))
    with owner(handler(log)) as spools:
        spools.take_over()
        batch = spools.next()
        inside.cut_the_next_write(after=4)
        spools.deliver(batch)
        assert log.read_text() == "firs"
        own = writer_of(described(log), directory=SpoolDirectory(os.path.join(spool, "5-5")))
        own.put(line(b"second\n"))
        own.close()
        batch = spools.next()
        spools.deliver(batch)
        assert log.read_text() == "firs"
        write_all(spools)
        assert log.read_text() == "first\nsecond\n"


def test_half_a_line_is_completed_though_file_and_spool_were_taken_over_by_different_owners(
    owner, spool, log
):
    """Who owned them was killed, and started again while another service looked for its spool.

    In that also waits what nobody can write.
    """
    left(spool, "1-1", line(b"first\n"), description=described(log))
    broken = log.with_name("broken.log")
    broken.mkdir()
    left(spool, "1-1", line(b"x\n"), description=described(broken))
    with owner(sized(log, size=1000), name="2-2") as killed:
        killed.take_over()
        batch = killed.next()
        inside.cut_the_next_write(after=4)
        killed.deliver(batch)
    mine, others = sized(log, size=1000), handler(log.with_name("other.log"))
    with owner(mine) as again, owner(others, name="3-3") as other:
        other.take_over()
        own = writer_of(described(log), directory=SpoolDirectory(os.path.join(spool, "5-5")))
        own.put(line(b"second\n"))
        own.close()
        write_all(again)
        assert log.read_text() == "firs"
        write_all(other)
        write_all(again)
        write_all(again)  # what has waited comes next
        assert log.read_text() == "first\nsecond\n"


@pytest.mark.root
def test_what_another_user_says_is_unfinished_keeps_nobody_from_his_file(owner, spool, log):
    """We write to his spool, for a file of his; its ledger may name any file as well."""
    left(spool, "1-1", description=described(log))
    his = SpoolDirectory(os.path.join(spool, "1-1"))
    ledger = Ledger(his.ledger)
    ledger.open()
    ledger.state.main.marks[str(log)] = Mark(0, [str(log), 1, 1, 1])
    ledger.state.main.ends["0/1-1-0"] = 1
    ledger.save()
    ledger.close()
    os.unlink(his.registry)
    os.chown(his.path, NOBODY, NOBODY)
    with owner(handler(log)) as spools:
        spools.leftovers.elsewhere.add(his.path)
        own = writer_of(described(log), directory=SpoolDirectory(os.path.join(spool, "5-5")))
        own.put(line(b"x\n"))
        own.close()
        write_all(spools)
        assert log.read_text() == "x\n"


def test_services_that_share_two_files_may_start_at_once(background, tmp_path):
    """Each owns one already, and finds out that the other one is the owner of the other one."""
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    at_a, at_b = tmp_path / "at-a", tmp_path / "at-b"
    first = background("start_with_two_files", a, b, at_a, at_b)
    second = background("start_with_two_files", b, a, at_b, at_a)
    assert [one.stdout.readline() for one in (first, second)] == ["started\n"] * 2


def test_a_file_that_another_process_was_faster_to_own_is_no_reason_to_worry(
    background, owner, spool, log, capfd
):
    """Both take over a spool of a process that was killed; this one leaves its lines to that."""
    other = background("own", log)
    assert other.stdout.readline() == "started\n"
    left(spool, "1-1", line(b"x\n"), description=described(log))
    with owner(handler(log.with_name("other.log"))) as spools:
        write_all(spools)
        write_all(spools)
        wait_for(lambda: log.read_text() == "x\n", "its owner writes it")
    assert "queuelog[" not in capfd.readouterr().err
