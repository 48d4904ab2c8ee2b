"""A start() that raises leaves everything as it was: the caller may go on without queuelog."""

import pytest


def test_a_start_that_fails_leaves_everything_as_it_was(program):
    """A handler whose encoding does not exist is refused; the others are in place again."""
    program()


def test_a_start_that_is_refused_for_a_handler_keeps_its_name(program):
    """It can be found by its name, and be put right."""
    program()


def test_a_start_without_a_spool_leaves_nothing_open(program):
    """A program may try again and again."""
    program()


@pytest.fixture
def owner(background):
    """Return a process that owns the log file, and to which nothing leads.

    It has no spool that others could see, as one in another container.
    """
    started = background("own_the_file")
    assert started.stdout.readline() == "up\n"
    return started


def test_a_start_that_is_refused_for_a_file_leaves_the_tree_as_it_was(
    program, owner, log, tmp_path
):
    """The caller may go on without queuelog: names, filters, targets, and what is logged."""
    done = program()
    assert str(owner.pid) in done.stdout
    assert "mail goes on" in done.stdout
    assert log.read_text() == "goes on\n"
    assert (tmp_path / "other.log").read_text() == "goes on\n"


def test_what_is_logged_while_a_start_fails_is_written(program, log):
    """It may be in the spool by then, where it would wait for a start that never comes."""
    program()
    assert "meanwhile" in log.read_text()


@pytest.mark.usefixtures("owner")
def test_what_is_logged_while_a_file_is_refused_is_written_once(program, tmp_path):
    """The other files are ours by then; no segment stays open, and the next start is free."""
    program()
    assert (tmp_path / "free.log").read_text() == "INFO meanwhile\nINFO later\n"


@pytest.mark.usefixtures("owner")
def test_a_setup_that_is_refused_for_a_file_keeps_the_handlers_name(program):
    """It can be found by its name still: an incremental configuration does that."""
    program()
