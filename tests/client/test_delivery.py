"""A client's records reach the server, each once, whoever is down or killed meanwhile."""

import logging
import random
import signal
import socket
from collections import Counter

import pytest
from spools import segments, the_spool
from waiting import wait_for

from queuelog.handlers import ServerHandler
from queuelog.spool.names import spools


def numbers(name, count):
    """Return the messages that `log_numbers` logs."""
    return [f"{name} {number}" for number in range(count)]


def test_what_is_logged_is_at_the_server_as_it_was(program, log_server):
    """Types as far as JSON knows them, the message merged, exception and stack; with and without.

    Afterwards, without an owner, the handler sends by itself.
    """
    server = log_server()
    program(server.start())
    first, second, third = server.records()
    assert (first["name"], first["levelno"], first["msg"]) == ("app.db", 30, "/ in 7 ms")
    extra = {name: first[name] for name in ("user", "n", "ok", "none", "deep", "other")}
    assert extra == {
        "user": "Ä", "n": 3, "ok": True, "none": None, "deep": {"a": [1, 2.5]}, "other": "{1}",
    }  # fmt: skip
    assert second["exc_text"].endswith("ZeroDivisionError: division by zero")
    assert second["stack_info"].startswith("Stack (most recent call last)")
    assert second["process"] != first["process"]
    assert third["msg"] == "alone"


@pytest.mark.parametrize(
    "options",
    [
        {"address": "::1:9020"}, {"address": 9020}, {"secret_file": 7}, {"keyfile": "key"},
        {"level": "LOUD"},
    ],
)  # fmt: skip
def test_a_handler_that_cannot_work_is_refused(options):
    """And nothing of it is left, which logging would close at the interpreter's exit."""
    known = len(logging._handlerList)
    with pytest.raises(ValueError, match=r"address|file|level"):
        ServerHandler(**options)
    assert len(logging._handlerList) == known


@pytest.mark.parametrize("kind", ["ini", "dictionary"])
def test_a_configuration_names_it(program, log_server, kind):
    """By its class, with arguments, as every handler; relative paths are those of the moment."""
    server = log_server("ours")
    program(server.start(), kind)
    assert server.messages() == ["configured"]


def test_a_server_that_comes_later_gets_all(background, log_server):
    """It is down at the start and for long; nothing is lost, and nothing doubled."""
    server = log_server()
    client = background("log_numbers", server.address, "a", 0, 500, 4)
    assert client.stdout.readline() == "logged\n"
    server.start()
    wait_for(lambda: len(server.messages()) == 500, "all records")
    client.communicate("end\n")
    assert sorted(server.messages()) == sorted(numbers("a", 500))


def test_what_waits_when_a_service_ends_is_sent_by_the_next(background, log_server, spool):
    """It stays in the spool, and that is said."""
    server = log_server()
    client = background("log_numbers", server.address, "a", 0, 100, 2)
    client.stdout.readline()
    _, errors = client.communicate("end\n")
    assert "the records stay in the spool, and are written at the next start" in errors
    assert f"server:{server.address}" in errors
    assert "Logging error" not in errors, "it is not sent without an owner"
    assert segments(the_spool(spool))
    server.start()
    after = background("log_numbers", server.address, "a", 100, 1, 1)
    after.stdout.readline()
    after.communicate("end\n")
    assert sorted(server.messages()) == sorted(numbers("a", 101))
    assert not spools(spool)


@pytest.mark.parametrize("seed", range(2))
def test_kills_of_the_server_lose_and_double_nothing(background, log_server, seed):
    """While threads and children log: what was sent and not acknowledged is sent again."""
    server = log_server()
    client = background(
        "forked_children_and_threads_send_while_the_server_is_killed", server.start()
    )
    kill_at = random.Random(seed)
    for _ in range(8):
        have = len(server.records()) + kill_at.randrange(1, 100)
        wait_for(lambda have=have: len(server.records()) >= min(have, 1400), "records come in")
        server.kill()
        server.start()
    assert client.stdout.readline() == "logged\n"
    client.communicate("end\n")
    names = ["thread0", "thread1", "child0", "child1", "child2"]
    expected = [message for name in names for message in numbers(name, 300)]
    assert Counter(server.messages()) == Counter(expected)
    for name in names:
        mine = [one for one in server.messages() if one.startswith(f"{name} ")]
        assert mine == numbers(name, 300), "in order"


def test_kills_of_the_owner_and_of_the_server_lose_and_double_nothing(background, log_server):
    """The next owner finishes the stream that the last one began, under the same numbers."""
    server = log_server()
    for turn in range(6):
        server.start()
        client = background("log_numbers", server.address, "a", 400 * turn, 400, 4)
        client.stdout.readline()
        if turn % 2:
            server.kill()
        if turn < 5:
            client.communicate("die\n")
            assert client.returncode == -signal.SIGKILL
        server.kill()
    server.start()
    _, errors = client.communicate("end\n")
    assert Counter(server.messages()) == Counter(numbers("a", 2400)), errors


@pytest.fixture
def silent():
    """Return the addresses of a server that takes connections and never answers, and of none."""
    with socket.create_server(("127.0.0.1", 0)) as accepts, socket.socket() as ignores:
        ignores.bind(("127.0.0.1", 0))
        ignores.listen(0)
        full = [socket.socket() for _ in range(3)]
        for one in full:  # its backlog: further packets are dropped
            one.setblocking(False)
            one.connect_ex(ignores.getsockname())
        yield {
            kind: "{}:{}".format(*one.getsockname())
            for kind, one in {"accepts": accepts, "ignores": ignores}.items()
        }
        for one in full:
            one.close()


@pytest.mark.parametrize("kind", ["accepts", "ignores"])
def test_a_server_that_never_answers_delays_no_file(program, silent, kind):
    """It is the one that lags, from the first record on."""
    done = program(silent[kind], check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_what_waits_for_a_server_is_limited_and_what_is_dropped_is_counted(
    background, log_server, request
):
    """The count is a record like all others, and comes to the server."""
    server = log_server()
    client = background(request.function.__name__.removeprefix("test_"), server.address)
    client.stdout.readline()
    server.start()
    client.communicate("end\n")
    sent = server.messages()
    dropped = [int(one.split()[0]) for one in server.reports() if "records were dropped" in one]
    assert 50 < len(sent) < 950
    assert len(sent) + sum(dropped) == 1000
    assert len(set(sent)) == len(sent)


def test_a_descriptor_that_became_another_file_is_not_written_to(program, log_server):
    """Whoever makes a daemon of a process closes all descriptors, and opens others."""
    server = log_server()
    program(server.start())
    assert server.messages() == ["first", "second"]


def test_a_server_of_another_secret_gets_nothing(program, log_server):
    """What is wrong is said, and the record is kept."""
    server = log_server("wrong")
    done = program(server.start())
    assert "the secrets of both sides differ" in done.stderr
    assert "the records stay in the spool" in done.stderr
    assert server.records() == []


def test_without_start_each_call_sends_its_record(background, log_server, request):
    """And waits for the acknowledgement; a child has a connection of its own."""
    server = log_server()
    client = background(request.function.__name__.removeprefix("test_"), server.start())
    client.stdout.readline()
    assert server.messages() == ["1", "2", "3"]
    server.kill()
    server.start()
    _, errors = client.communicate("end\n")
    assert server.messages() == ["1", "2", "3", "after a restart"], errors


def test_a_server_that_is_down_is_handle_errors(program, log_server):
    """As with every handler of the standard library; it is not asked again with each record."""
    errors = program(log_server().address).stderr
    assert "FileNotFoundError" in errors
    assert "is tried again every" in errors


@pytest.fixture
def twofold(tmp_path):
    """Return what runs a program where a host `twofold` has the addresses 127.0.0.1 and 127.0.0.2.

    The server listens at the second one, and somebody else at the first.
    """
    (tmp_path / "hosts").write_text("127.0.0.1 twofold\n127.0.0.2 twofold\n")
    return ("unshare", "--mount", "sh", "-c", 'mount --bind hosts /etc/hosts && exec "$0" "$@"')


@pytest.mark.root
def test_a_host_is_reached_at_the_address_that_answers(program, log_server, twofold):
    """Of several, as one of IPv6 and one of IPv4."""
    server = log_server(address="127.0.0.2:0")
    program(server.start().rpartition(":")[2], prefix=twofold)
    assert server.messages() == ["found"]


@pytest.mark.root
def test_without_start_the_time_is_shared_by_all_addresses(program, log_server, twofold):
    """One that takes the packets and is silent leaves some for the next one."""
    server = log_server(address="127.0.0.2:0")
    program(server.start().rpartition(":")[2], prefix=twofold)
    assert server.messages() == ["found"]


def test_without_start_a_server_that_never_stops_is_waited_for_no_longer(program):
    """It talks, but does not say that it has the record."""
    assert "has not answered" in program().stderr
