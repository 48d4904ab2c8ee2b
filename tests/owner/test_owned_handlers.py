"""`own=`: handlers that are no files get each record in the arbiter, and hold nobody up."""

import json

import pytest


def test_a_handler_owned_by_name_gets_the_record_in_the_arbiter(program, log):
    """Message, traceback and extras arrive as plain values; no object crosses."""
    program()
    in_arbiter, message, traceback, extra, number = json.loads(log.read_text())
    assert in_arbiter
    assert (message, number) == ("no!", 7)
    assert traceback.endswith("ValueError: no value")
    assert extra.startswith("<Odd:")


def test_an_owned_handler_is_asked_again_when_its_server_was_away(program, log):
    """An OSError means later, in order; anything else means never, for this record only."""
    stderr = program().stderr
    assert log.read_text() == "one\ntwo\nthree\n"
    assert "not for me" in stderr
    assert "away" in stderr


def test_whatever_an_owned_handler_raises_is_a_failure_of_its_own(program, log, tmp_path):
    """The thread goes on. A signal handler, which raises the like, never runs in it."""
    assert "SystemExit" in program().stderr  # of the others there are more like this
    assert log.read_text() == "0\n1\n2\n3\n4\n"
    assert (tmp_path / "odd.log").read_text() == "4\n"


def test_an_owned_handler_on_two_loggers_is_asked_again(program, log):
    """It was hung on the second one later, by another configuration."""
    program()
    assert log.read_text() == "kept\n"


def test_an_owned_handlers_filters_and_level_work_in_the_worker(program, log):
    """They run once, where the request is."""
    pid = int(program().stdout)
    assert log.read_text() == f"yes {pid}\n"


def test_a_record_that_an_owned_handler_cannot_get_is_said_as_the_stdlib_does(program, log):
    """It cannot be formatted: nothing raises in the application, and the next one arrives."""
    assert "--- Logging error ---" in program().stderr
    assert log.read_text() == "right\n"


def test_records_cross_as_plain_values(program, log):
    """With their types; what is not plain becomes text, and what would grow too long is merged."""
    pid = int(program().stdout)
    end = f"[1, {{'a': None}}, [2.5, True], {{'b': 'an app'}}]; {pid}"
    assert log.read_text().splitlines() == [
        f"'%s %d'; ('an app', 7); 'an app 7'; {end}",
        f"'%(a)03d'; {{'a': 7, 'b': {{'c': 1}}}}; '007'; {end}",
        f"{{'event': 'é', 'n': 1}}; (); \"{{'event': 'é', 'n': 1}}\"; {end}",
        f"'100 %s'; (); '100 %s'; {end}",
        f"{'7'.rjust(5000)!r}; None; {'7'.rjust(5000)!r}; {end}",
    ]


def test_an_extra_that_contains_itself_does_not_cost_the_record(program, log):
    """JSON cannot hold it: text does."""
    program()
    assert log.read_text() == "kept {'loop': {...}}"


def test_a_record_that_is_too_long_for_its_server_holds_nothing_up(program):
    """No datagram can hold it: tried again for ever, it would keep all later ones in the spool.

    Failures B15: one bad record.
    """
    done = program()
    assert done.stdout.endswith("next\n"), done.stderr


def test_a_mail_that_its_server_refuses_holds_nothing_up(program):
    """Tried again for ever, it would keep all later ones in the spool.

    Failures B15: one bad record.
    """
    done = program()
    # The third is queuelog's report of the loss, which the root logger's handlers get as well.
    assert done.stdout.splitlines() == ["refused", "accepted", "accepted"], done.stderr


@pytest.mark.root
def test_a_handler_that_a_stranger_invents_keeps_nothing_in_the_spool(program):
    """One forged record would keep all later ones of everybody there, until there is no room.

    Failures B15: what a worker sends cannot harm the arbiter.
    """
    assert "refused" in program().stderr
