"""Applications add, change and remove handlers, also while and after these are taken over."""

import pytest


@pytest.fixture
def lines(program, log):
    """Return a function that runs the test's program, quietly, and returns the log's lines."""

    def run():
        assert program().stderr == ""
        return log.read_text().splitlines()

    return run


def test_loggers_are_made_while_handlers_are_taken_over(lines):
    """By other threads, here at a fixed moment: setup() must not raise into the application."""
    assert lines() == ["INFO done"]


def test_handlers_are_removed_while_others_are_taken_over(lines):
    """By other threads, here at a fixed moment: the next handler must not be overlooked."""
    assert lines() == ["INFO done"]


def test_an_application_can_remove_the_handler_that_it_made(lines):
    """Though it knows nothing of the one in its place: each job's lines are in its own file."""
    assert lines() == ["0 in", "1 in", "2 in"]


def test_an_application_can_change_the_handler_that_it_made(lines):
    """Level, formatter and filters count where they are changed, at the old handler or the new."""
    assert lines() == ["ERROR 1", "new 2", "new 3", "4", "5"]


def test_what_is_set_on_the_handler_later_counts(lines):
    """Applications find the handler in the tree, and change its level, filters and format."""
    assert lines() == ["later yes"]


def test_a_method_that_was_replaced_at_the_handler_itself_runs_in_the_owner(lines):
    """A patched emit() called in the worker would open the file there."""
    (line,) = lines()
    worker, owner, text = line.split()
    assert worker != owner
    assert text == "in"


def test_a_handler_of_the_owner_is_whole_in_a_worker_that_uses_it_again(lines):
    """With its filters, and without errors of formatting that reach the application."""
    assert lines() == ["INFO in", "INFO in"]
