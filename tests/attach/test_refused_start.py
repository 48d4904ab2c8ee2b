"""A start() that raises leaves everything as it was: the caller may go on without queuelog."""

import os

import pytest


def test_a_start_that_fails_leaves_everything_as_it_was(program):
    """A handler whose encoding does not exist is refused; the others are in place again."""
    program()


def test_a_start_that_is_refused_for_a_handler_keeps_its_name(program):
    """It can be found by its name, and be put right."""
    program()


@pytest.fixture
def other_spool(background, spool):
    """Return the path of another spool than that of a process that owns the log file."""
    assert background("own_the_file").stdout.readline() == "up\n"
    os.mkdir(f"{spool}-2", 0o700)
    return f"{spool}-2/x"


def test_a_start_that_is_refused_for_a_file_leaves_the_tree_as_it_was(
    program, other_spool, spool, log, tmp_path
):
    """The caller may go on without queuelog: names, filters, targets, and what is logged."""
    done = program(other_spool)
    assert spool in done.stdout
    assert "mail goes on" in done.stdout
    assert log.read_text() == "goes on\n"
    assert (tmp_path / "other.log").read_text() == "goes on\n"


def test_what_is_logged_while_a_start_fails_is_written(program, log):
    """It may be in the spool by then, where it would wait for a start that never comes."""
    program()
    assert "meanwhile" in log.read_text()


def test_what_is_logged_while_a_file_is_refused_is_written_at_the_next_start(
    program, other_spool, tmp_path
):
    """Who does not own all files writes none; but no segment stays open, nor is it forgotten."""
    program(other_spool)
    assert (tmp_path / "free.log").read_text().count("these loggers are disabled") == 1


def test_a_setup_that_is_refused_for_a_file_keeps_the_handlers_name(program, other_spool):
    """It can be found by its name still: an incremental configuration does that."""
    program(other_spool)
