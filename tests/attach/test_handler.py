"""The handler that stands in a worker for a file: it routes and formats as the file's own would."""

import re
import sys

import pytest


def test_styles_terminators_levels_and_filters_are_the_handlers(program, log):
    """Routing and formatting happen in the worker, by what the user configured."""
    program()
    assert log.read_bytes().splitlines() == [b"r1 first 1|", b"r1 second|", b"ERROR:second"]


def test_propagation_and_shared_handlers_write_each_line_once_a_handler(program, log):
    """One handler on two loggers, and a child that propagates: as many lines as ever."""
    program()
    assert log.read_bytes() == b"child x\nother y\nroot z\n"


def test_later_handlers_get_the_record_as_the_formatter_has_left_it(program):
    """As behind the standard library's handler, which formats the record, too, and no copy."""
    program()


def test_a_filter_may_change_the_record_for_all(program, log):
    """As ever: what a filter writes into the record, later handlers see."""
    program()
    assert log.read_bytes() == b"the *** u7\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters replace records since 3.12")
def test_a_filter_may_replace_the_record(program, log):
    """The handler writes the new one, the others the old one."""
    program()
    assert log.read_bytes() == b"first new\nsecond old\n"


def test_extras_defaults_adapters_and_warnings_are_formatted(program, log):
    """Whatever the formatter asks for is there."""
    program(options=["-W", "default"])
    lines = log.read_text().splitlines()
    assert lines[:2] == ["root ::1 a", "x ::2 b"]
    assert re.fullmatch(r"py\.warnings - .*UserWarning: c", lines[2])


def test_a_formatter_that_raises_costs_its_own_line_only(program, log):
    """It is reported as the standard library does, and nothing is raised."""
    stderr = program().stderr
    assert log.read_bytes() == b"a\nb\n"
    assert stderr.count("--- Logging error ---") == 2
    assert "unprintable" in stderr


def test_a_handler_may_have_attributes_of_any_name(program, log):
    """Those of its class are its own business, also where ours has a method of that name."""
    program()
    assert log.read_text() == "INFO a\nINFO a\n"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="files need one since 3.13")
def test_a_handler_may_have_no_lock(program, log):
    """`createLock` says so, for one that needs none."""
    program()
    assert log.read_text() == "INFO a\n"
