"""Records that a process sends to a handler of the arbiter's, and what they cannot do there."""

import pytest


@pytest.mark.parametrize("how", ["line", "emit", "own"])
def test_what_a_worker_sends_is_not_merged_in_the_arbiter(program, log, how):
    """A few bytes, such as "%(a)200000000d", would fill its memory, and the disk."""
    grown = int(program(how).stdout)
    assert grown < 50 << 20
    assert log.stat().st_size < 1 << 20
    assert log.read_text().startswith("%(a)200000000d")


def test_a_changed_record_is_formatted_anew(program, log):
    """What a handler's own emit() does to the record before it calls format() is in the file."""
    program()
    assert log.read_text().splitlines() == [
        "> x 1", "copied y", "{'password': '***'}", "z ***", "{'event': 'in', 'host': 'here'}",
    ]  # fmt: skip


def test_a_handler_is_itself_for_whoever_else_calls_it(program, log):
    """Its filters, formatter and handleError are not ours while the arbiter owns it."""
    assert "ValueError: own format" in program().stderr
    assert log.read_text() == "through queuelog\ndirectly\n"


def test_a_handler_hung_on_a_second_logger_keeps_its_filters(program, log):
    """Also if the listener was in the middle of a record of its when that was taken over."""
    program()
    assert log.read_text().splitlines() == ["first", "second"]


def test_attributes_have_the_names_that_the_application_gave_them(program, log):
    """Also those that a record of ours could need for itself."""
    program()
    assert log.read_text() == "5 yes\n"


@pytest.mark.parametrize("created", ["-1e18", "1e999", "NaN", '"now"', "9" * 4000])
def test_a_record_of_no_time_keeps_no_other_from_its_handler(program, log, created):
    """Whatever a worker says: with such a time, formatting would fail as an unreachable server."""
    program(created)
    assert log.read_text() == "1970 of no time\n"
