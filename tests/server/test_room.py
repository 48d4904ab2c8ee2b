"""Without room in the spool the server reads no more of a client, and loses and doubles nothing."""

import threading

import pytest
from logserver import attributes, logger_of, pickled
from waiting import wait_for

from queuelog import wire

CLIENT = "0123456789abcdef" * 2
BACKLOG = 300_000  # bytes


@pytest.fixture
def failing(serve):
    """Return a server whose serving.log cannot be written, since a directory is in its place."""
    server = serve("--listen", "127.0.0.1:0", "--backlog", BACKLOG).start()
    log = server.directory / "serving.log"
    wait_for(log.exists, "the file is there")
    log.unlink()
    log.mkdir()
    return server


def mend(server):
    (server.directory / "serving.log").rmdir()


def test_a_file_that_fails_stops_only_who_writes_to_it(failing):
    """Others are read, also those that send to both; afterwards all lines are there, once."""
    number = 5_000
    data = b"".join(pickled(f"n{n} {'x' * 2000}", name="serving.a") for n in range(number))
    slow = failing.connect(timeout=None)  # it waits for as long as the others need
    thread = threading.Thread(target=slow.sendall, args=(data,))
    thread.start()
    failing.wait_for_error("serving.log")
    for index in range(100):
        failing.connect().sendall(pickled(f"m{index}"))
        failing.wait_for(f"root INFO m{index}")
    assert thread.is_alive(), "the kernel's buffers hold less than that"
    gone = failing.connect()
    gone.sendall(pickled("gone", name="serving.a"))
    gone.close()
    mend(failing)
    thread.join(60)
    last = f"serving.a INFO n{number - 1} {'x' * 2000}"
    wait_for(lambda: last in failing.lines("serving"), "the last line", deadline=60)
    failing.stop()
    lines = [line.split()[2] for line in failing.lines("serving")]
    assert sorted(lines) == sorted(["gone", *(f"n{n}" for n in range(number))])
    assert "dropped" not in failing.errors


def test_what_has_no_room_is_not_acknowledged(failing):
    """A client that comes back meanwhile is told to wait; each record is there once."""
    number = 2000
    records = [
        wire.encode(wire.plain(attributes("", name="serving.a"), f"n{n} {'x' * 500}"), 1 << 17)
        for n in range(number)
    ]
    have = send(failing, records, 0)
    assert 0 < have < number
    with pytest.raises(wire.RefusedError, match="waits for room"):
        greet(failing)
    mend(failing)
    wait_for(lambda: is_free(failing), "room")
    while have < number:
        have = send(failing, records, have)
    failing.stop()
    assert [line.split()[2] for line in failing.lines("serving")] == [
        f"n{n}" for n in range(number)
    ]


def greet(server):
    """Connect and greet; return the connection, the client's half, and what the server has."""
    connection, client = server.connect(timeout=3), wire.Client(CLIENT)
    while (have := client.next_have()) is None:
        connection.sendall(client.data_to_send())
        client.receive(connection.recv(1 << 16))
        connection.sendall(client.data_to_send())
    return connection, client, have


def is_free(server):
    try:
        greet(server)
    except wire.RefusedError:
        return False
    return True


def send(server, records, first):
    """Send the records from `first` on, until one is not answered; return what the server has."""
    connection, client, have = greet(server)
    with connection:
        for begin in range(max(first, have), len(records), 50):
            client.send(begin, records[begin : begin + 50])
            connection.sendall(client.data_to_send())
            try:
                while (answer := client.next_have()) is None:
                    client.receive(connection.recv(1 << 16))
            except TimeoutError:
                break
            have = answer
    return have


def test_a_record_that_can_never_have_room_is_dropped_and_counted(serve):
    """It would keep its client waiting for ever."""
    server = serve("--listen", "127.0.0.1:0", "--backlog", BACKLOG).start()
    logger = logger_of("root", "127.0.0.1", server.port)
    logger.info("x" * BACKLOG)
    logger.info("next")
    server.wait_for("root INFO next")
    server.wait_for_error("1 records were dropped")
    server.stop()
