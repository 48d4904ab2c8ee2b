"""A start() that raises leaves everything as it was: the caller may go on without queuelog."""

import os


def test_a_start_that_fails_leaves_everything_as_it_was(program):
    """A handler whose encoding does not exist is refused; the others are in place again."""
    program()


def test_a_start_that_is_refused_for_a_handler_keeps_its_name(program):
    """It can be found by its name, and be put right."""
    program()


def test_a_start_that_is_refused_for_a_file_leaves_the_tree_as_it_was(
    program, background, spool, log, tmp_path
):
    """The caller may go on without queuelog: names, filters, targets, and what is logged."""
    owner = background("own_the_file")
    assert owner.stdout.readline() == "up\n"
    os.mkdir(f"{spool}-2", 0o700)
    done = program(f"{spool}-2/x")
    assert spool in done.stdout
    assert "mail goes on" in done.stdout
    assert log.read_text() == "goes on\n"
    assert (tmp_path / "other.log").read_text() == "goes on\n"
