"""A log server on the same host is found through its spool, and whoever ends, nothing is lost."""

import tempfile
from collections import Counter

import pytest
from waiting import wait_for

from queuelog.spool import SpoolDirectory, registry
from queuelog.spool.names import spools


@pytest.fixture
def address():
    """Return an address for a server, a unix socket, whose path must be short."""
    with tempfile.TemporaryDirectory() as short:
        yield f"unix:{short}/log"


@pytest.fixture
def serving(background, address):
    """Return a function that starts a server with the log file app.log."""

    def start(*secret, program="serve"):
        process = background(program, address, *secret)
        assert process.stdout.readline() == "serves\n", process.stderr.read()
        return process

    return start


def expected(*services, count):
    """Return the messages that `log_numbers` logs in these services."""
    return Counter(f"{name} {number}" for name in services for number in range(count))


def lines(log):
    """Count the lines of the application in a log file, without queuelog's own."""
    found = log.read_text().splitlines()
    return Counter(line for line in found if not line.startswith("cannot write"))


def test_a_client_logs_straight_through_the_spool_of_the_server(
    serving, background, address, spool, log
):
    """What it logged is safe when the call returns, though it is killed at once."""
    server = serving()
    (spool_of_the_server,) = spools(spool)
    client = background("log_numbers", address, "a", 200, 2)
    assert client.stdout.readline().strip() == spool_of_the_server
    client.stdout.readline()
    client.communicate("die\n")
    wait_for(lambda: lines(log) == expected("a", count=200), "all lines")
    server.communicate("end\n")
    assert lines(log) == expected("a", count=200)


def test_a_server_that_starts_later_is_found(serving, background, address, spool, log):
    """What waits, and what the client goes on to log, is handed over to its spool.

    On this host no secret is needed for that: who may write to the spool, is known.
    """
    secret = log.with_name("secret")
    secret.write_text("ours")
    client = background("log_numbers", address, "a", 200, 2)
    client.stdout.readline()
    client.stdout.readline()
    server = serving(secret)
    wait_for(lambda: lines(log) == expected("a", count=200), "all lines")
    client.communicate("end\n")
    server.communicate("end\n")
    assert lines(log) == expected("a", count=200)
    assert not spools(spool)


def test_levels_and_handlers_are_those_of_the_server(program):
    """A record goes through the logger of its name there, under whatever name of this host."""
    done = program("127.0.0.1:0")
    assert sorted(done.stdout.splitlines()) == ["passed", "passed, too"]


def test_four_services_of_four_processes_lose_and_double_nothing_over_kills(
    serving, background, address, log
):
    """The server is killed while they log, and each time another one is started.

    Some wrote into the spool of one that was killed: whoever takes that over sends or logs it.
    """
    server = serving()
    names = ["a", "b", "c", "d"]
    clients = [background("log_numbers", address, name, 2_000, 4) for name in names]
    for client in clients:
        client.stdout.readline()  # it has started
    for turn in range(1, 6):
        wait_for(lambda turn=turn: lines(log).total() > turn * 1_000, "lines")
        server.kill()
        server.communicate()
        server = serving()
    for client in clients:
        assert client.stdout.readline() == "logged\n"
    for client in clients[1:]:
        client.communicate("end\n")
    clients[0].communicate("die\n")
    wait_for(lambda: not expected(*names, count=2_000) - lines(log), "all lines")
    server.communicate("end\n")
    doubled = lines(log) - expected(*names, count=2_000)
    assert doubled.total() <= 5, f"at most one line a kill: {doubled}"


def test_what_a_killed_server_has_begun_is_for_the_next_one(
    serving, background, address, spool, log
):
    """A client that takes its spool over leaves it to that one, and has nothing to say of it."""
    server = serving(program="serve_until_something_is_logged")
    client = background("log_numbers", address, "a", 1, 1)
    left = SpoolDirectory(client.stdout.readline().strip())
    server.wait()
    wait_for(lambda: registry.read(left).taken_over, "the client takes the spool over")
    server = serving()
    wait_for(lambda: lines(log) == expected("a", count=1), "the line")
    client.communicate("end\n")
    server.communicate("end\n")
    assert lines(log) == expected("a", count=1)
    assert not spools(spool)


def test_a_server_that_ends_leaves_its_clients_what_they_log(
    serving, background, address, spool, log
):
    """They go on through the spool that one of them takes over, and the next server gets it."""
    first = serving()
    client = background("log_numbers", address, "a", 10, 1)
    client.stdout.readline()
    client.stdout.readline()
    first.communicate("end\n")
    other = background("log_numbers", address, "b", 10, 1)
    assert other.stdout.readline().strip() in spools(spool)
    other.stdout.readline()
    second = serving()
    wait_for(lambda: lines(log) == expected("a", "b", count=10), "all lines")
    client.communicate("end\n")
    other.communicate("end\n")
    second.communicate("end\n")
    assert lines(log) == expected("a", "b", count=10)
    assert not spools(spool)


def test_what_has_no_room_in_the_server_is_not_dropped(program, address, tmp_path):
    """What came through the spool waits there until the file can be written."""
    program(address)
    text = (tmp_path / "gone" / "app.log").read_text()
    found = [int(line.split()[0]) for line in text.splitlines() if line.endswith("x")]
    assert found == [*range(1_000)]


def test_what_comes_while_the_server_is_configured_anew_is_logged(program, address, log):
    """Its loggers have no handlers for a moment, again and again."""
    program(address)
    assert log.read_text().splitlines() == [str(number) for number in range(3_000)]


def test_a_server_that_would_send_to_itself_is_refused(program, address):
    """Each record would go round for ever."""
    program(address)
