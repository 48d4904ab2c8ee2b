"""A file has one owner, and so has a spool: what happens to the second."""

import logging
import os

import inside
import pytest
from processes import open_files
from spools import segments
from waiting import wait_for

from queuelog.owner.ownership import Ownership


def test_one_process_owns_the_spool_until_it_lets_go(directory):
    """The next one gets it when the first has closed."""
    first, second = Ownership(directory), Ownership(directory)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_segment_that_another_owner_has_finished_is_not_read_again(
    directory, deliver, log, tmp_path
):
    """Somebody removes the lock, and this process has the spool again after another one."""
    handler = logging.FileHandler(log, delay=True)
    writer = inside.spool_writer(directory)
    inside.put_line(writer, handler, 1.0, b"once\n")
    with deliver(directory, handler) as first:
        first.deliver(first.next())
        os.unlink(directory.lock)
        with deliver(directory, logging.FileHandler(tmp_path / "other.log", delay=True)) as second:
            writer.close()
            assert second.next() is None
            second.tidy()
            assert not segments(directory)
            first.tidy()
        assert first.own()
        batch = first.next()
        assert batch is None or first.deliver(batch) is None
        assert log.read_text() == "once\n"


def test_what_another_owner_has_written_is_known_to_the_one_that_has_the_spool_again(directory):
    """Somebody removes the lock, and another process comes and goes before this one looks."""
    first, second = Ownership(directory), Ownership(directory)
    assert first.acquire()
    os.unlink(directory.lock)
    assert second.acquire()
    second.ledger.state.main.offsets["0/1-1-1"] = 7
    second.ledger.save()
    second.release()
    assert first.mend()
    assert first.ledger.state.main.offsets == {"0/1-1-1": 7}
    first.release()


@pytest.mark.parametrize("place", ["", "-2"], ids=["the same", "another"])
def test_a_second_service_logs_through_the_first_and_takes_over(background, spool, log, place):
    """Its lines are written by the first, wherever its spools are, and by itself later."""
    first = background("log_what_is_typed")
    assert first.stdout.readline() == "up\n"
    second = background("log_what_is_typed", spool=f"{spool}{place}")
    assert second.stdout.readline() == "up\n"
    for process, line in ((first, "1 by first"), (second, "2 by first")):
        print(line, file=process.stdin, flush=True)
        wait_for(lambda line=line: line in log.read_text(), line)
        assert open_files(second.pid, ending=log.name) == []
    assert not first.communicate()[1]
    print("3 by second", file=second.stdin, flush=True)
    wait_for(lambda: "3 by second" in log.read_text(), "the second takes over")
    assert not second.communicate()[1]
    assert log.read_text() == "1 by first\n2 by first\n3 by second\n"


@pytest.mark.root
def test_a_reload_with_another_user_leads_away_from_a_spool_that_is_not_for_him(background, log):
    """The old arbiter of an upgrade, which has ended since, knew only the user before."""
    first = background("own_the_file_for_nobody")
    assert first.stdout.readline() == "up\n"
    second = background("change_the_user_while_another_one_owns_the_file")
    assert second.stdout.readline() == "up\n"
    assert not first.communicate()[1]
    wait_for(lambda: open_files(second.pid, ending=log.name), "the second takes over")
    assert not second.communicate("1\n2\n")[1]
    assert log.read_text() == "1\n2\n"


def test_lines_wait_without_an_error_while_another_process_has_the_spool(program, log):
    """Somebody has removed the lock: no file is to blame for it."""
    assert "cannot write" not in program().stderr
    assert log.read_text() == "before\nkept\n"


def test_a_spool_whose_name_is_no_text_is_one_as_any_other(program, log):
    """A path is bytes: links lead to it, and what programs below a worker inherit names it."""
    program(name="start_with_a_name_that_is_no_text")
    assert log.read_text() == "in\n"
