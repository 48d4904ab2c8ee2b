"""Clients of every kind disturb neither the server nor each other."""

import json
import pickle
import resource
import socket
import struct
import subprocess
import sys
from contextlib import suppress

import pytest
from logserver import attributes, is_closed, packed, pickled
from processes import memory
from waiting import wait_for

from queuelog import wire

CLIENT = "0123456789abcdef" * 2


def greeted(connection):
    """Greet a server in our own protocol; return the client's half."""
    client = wire.Client(CLIENT)
    while client.next_have() is None:
        connection.sendall(client.data_to_send())
        client.receive(connection.recv(1 << 16))
        connection.sendall(client.data_to_send())
    return client


HOSTILE = {
    "a length of 1 GB": (struct.pack(">L", 1 << 30) + b"x" * 1000, "a record of 1,073,741,824"),
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", "a record of 1,195,725,856 bytes"),
    "a frame of 2 GB": (b"QLOG\x7f\xff\xff\xff", "a frame of 2,147,483,647 bytes"),
    "no JSON": (b"QLOG\0\0\0\2{]", "a frame is not JSON"),
    "another version": (b'QLOG\0\0\0\15{"version":2}', "speaks version 2"),
}


@pytest.mark.parametrize(("data", "error"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_understood_ends_its_connection_alone(serve, data, error):
    """It is reported with the address, takes no memory, and others go on."""
    server = serve().start()
    other = server.connect()
    other.sendall(pickled("n0"))
    hostile = server.connect()
    hostile.sendall(data)
    assert is_closed(hostile)
    host, port = hostile.getsockname()
    server.wait_for_error(f"refused from {host}:{port}: ")
    assert error in server.errors
    other.sendall(pickled("n1"))
    server.wait_for("root INFO n1")
    server.stop()


def test_records_that_are_refused_cost_nothing_else(serve, tmp_path):
    """Of one connection: a bomb, a call, nonsense, and between them records that are read."""
    server = serve().start()
    connection = server.connect()
    laughs = b"X\2\0\0\0haq\xf0" + b"h\xf0h\xf0h\xf0\x87q\xf0" * 40
    bomb = pickle.dumps(attributes("bomb"), 1)[:-1] + b"X\1\0\0\0x" + laughs + b"s."
    call = f"cos\nsystem\n(S'touch {tmp_path}/made'\ntR.".encode()
    wide = pickle.dumps({**attributes("%999999999d"), "args": (1,)}, 2)
    for number, data in enumerate([bomb, call, b"nonsense", b"", wide]):
        connection.sendall(packed(data) + pickled(f"n{number}"))
    server.wait_for("root INFO n4")
    lines = [line for line in server.lines() if line.startswith("root INFO")]
    assert lines == [
        "root INFO n0", "root INFO n1", "root INFO n2", "root INFO n3",
        "root INFO %999999999d (1,)", "root INFO n4",
    ]  # fmt: skip
    assert not (tmp_path / "made").exists()
    assert memory(server.pid) < 200 << 20
    server.stop()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_record_may_come_in_pieces_of_any_size(serve, size):
    """The stream is cut anywhere, also in the length."""
    server = serve().start()
    connection = server.connect()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b"".join(pickled(f"n{number}") for number in range(5)) + pickled("é" * 1000)
    for begin in range(0, len(data), size):
        connection.sendall(data[begin : begin + size])
    server.wait_for("root INFO " + "é" * 1000)
    assert server.lines()[:5] == [f"root INFO n{number}" for number in range(5)]


def test_a_long_record_is_kept_and_one_that_is_too_long_is_refused(serve):
    """A megabyte is the limit."""
    server = serve().start()
    connection = server.connect()
    connection.sendall(pickled("x" * 1_000_000))
    server.wait_for("root INFO " + "x" * 1_000_000)
    connection.sendall(pickled("x" * (1 << 20)))
    assert is_closed(connection)
    server.wait_for_error("a record of 1,048,")


def test_many_thousand_silent_clients_are_in_nobodys_way(serve, tmp_path):
    """10,000 connections, half of which have begun a record; one more client logs as ever."""
    number = 10_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < number + 1000:
        pytest.skip(f"a process may have {hard} descriptors here, and {number + 1000} are needed")
    server = serve().start()
    program = f"""if True:
        import resource, socket, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, ({hard}, {hard}))
        # 127.0.0.2 and so on: each address has its own ports
        made = []
        for n in range({number}):
            sock = socket.socket()
            sock.bind((f"127.0.0.{{2 + n % 5}}", 0))
            sock.connect(("127.0.0.1", {server.port}))
            if n % 2:
                sock.sendall(b"\\0\\0\\1\\0begun")
            made.append(sock)
        print("connected", flush=True)
        sys.stdin.read()
    """
    crowd = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert crowd.stdout.readline() == "connected\n"
        logger = server.logger("root")
        for index in range(100):
            logger.info("n%d", index)
        server.wait_for("root INFO n99")
        assert memory(server.pid) < 500 << 20
    finally:
        crowd.communicate()
    logger.info("last")
    server.wait_for("root INFO last")
    server.stop()


def test_where_there_are_too_many_the_one_that_says_nothing_goes(serve):
    """A client that logs keeps its connection."""
    server = serve()
    server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
    logs = server.connect()
    logs.sendall(pickled("n0"))
    server.wait_for("root INFO n0")
    silent = [server.connect() for _ in range(200)]
    server.wait_for_error("there are 113 others, and it says nothing")
    assert is_closed(silent[0])
    logs.sendall(pickled("n1"))
    server.wait_for("root INFO n1")


def test_slow_and_half_open_clients_end_and_quiet_ones_stay(background, log):
    """One that begins a record has a while to complete it; one that has completed any may rest."""
    process = background("patient_server")
    port = int(process.stdout.readline())
    quiet, slow, silent = (socket.create_connection(("127.0.0.1", port), 30) for _ in range(3))
    with quiet, slow, silent:
        quiet.sendall(pickled("n0"))
        slow.sendall(pickled("n1") + pickled("n2")[:-1])
        assert is_closed(slow)
        assert is_closed(silent)
        quiet.sendall(pickled("n3"))
        wait_for(lambda: log.exists() and "n3\n" in log.read_text(), "the quiet one logs")
        quiet.shutdown(socket.SHUT_WR)
        assert is_closed(quiet)
    _, errors = process.communicate("end\n")
    assert "nothing complete has come for" in errors
    lines = [line for line in log.read_text().splitlines() if line.startswith("n")]
    assert lines == ["n0", "n1", "n3"]


def test_memory_for_what_is_not_complete_is_limited(background, log):
    """Of many long records that are begun, those go that were begun first."""
    process = background("server_with_little_memory")
    port = int(process.stdout.readline())
    data = pickled("x" * 500_000)
    greedy = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(10)]
    for one in greedy:
        one.sendall(data[:-1])
    assert is_closed(greedy[0])
    greedy[-1].sendall(data[-1:])
    wait_for(lambda: log.exists() and "x" * 500_000 in log.read_text(), "the last one is kept")
    for one in greedy:
        one.close()
    _, errors = process.communicate("end\n")
    assert "it does not complete a record, and there are many like it" in errors


def test_an_address_that_sends_too_much_waits_and_loses_nothing(serve):
    """Others go on meanwhile."""
    server = serve("--listen", "127.0.0.1:0", "--rate", 500).start()
    fast = server.connect()
    number = 2500
    fast.sendall(b"".join(pickled(f"n{index}") for index in range(number)))
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.connect(("127.0.0.1", server.port))
        other.sendall(pickled("other"))
        server.wait_for("root INFO other")
        assert len(server.lines()) < number
    server.wait_for(f"root INFO n{number - 1}")
    lines = [line for line in server.lines() if " n" in line]
    assert lines == [f"root INFO n{index}" for index in range(number)]


@pytest.mark.parametrize("protocol", ["pickles", "our own"])
def test_a_client_with_much_to_do_lets_others_have_their_turn(background, log, protocol):
    """Also where all of it has come at once, and each record takes a while."""
    process = background("takes_its_time")
    port = int(process.stdout.readline())
    number = 700  # in one read, and more than the test has time for
    records = [attributes(f"n{index}") for index in range(number)]
    with (
        socket.create_connection(("127.0.0.1", port), 30) as busy,
        socket.create_connection(("127.0.0.1", port), 30) as other,
    ):
        if protocol == "pickles":
            busy.sendall(b"".join(pickled(f"n{index}") for index in range(number)))
        else:
            client = greeted(busy)
            client.send(0, [wire.encode(wire.plain(one, one["msg"]), 1 << 17) for one in records])
            busy.sendall(client.data_to_send())
        wait_for(lambda: log.exists() and "n0\n" in log.read_text(), "the first one logs")
        other.sendall(pickled("other"))
        wait_for(lambda: "other\n" in log.read_text(), "the other one logs")
        assert f"n{number - 1}\n" not in log.read_text()
    process.kill()


def test_one_that_its_rate_holds_back_is_not_slow(background, log):
    """However long: nothing that it has sent is lost."""
    process = background("patient_server_with_a_rate")
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), 30) as fast:
        first = b"".join(pickled(f"n{index}") for index in range(60))
        fast.sendall(first + pickled("last")[:-1])
        wait_for(lambda: log.exists() and "n59\n" in log.read_text(), "the first ones log")
        fast.sendall(pickled("last")[-1:])  # it is read two seconds later
        wait_for(lambda: "last\n" in log.read_text(), "the last one logs")
    _, errors = process.communicate("end\n")
    assert "refused" not in errors


def test_silent_clients_hold_no_memory(background, log):
    """They stay where that for what is not complete is short."""
    process = background("server_with_little_memory")
    port = int(process.stdout.readline())
    silent = socket.create_connection(("127.0.0.1", port), 30)
    greedy = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(10)]
    for one in greedy:
        one.sendall(pickled("x" * 500_000)[:-1])
    assert is_closed(greedy[0])
    silent.sendall(pickled("n0"))
    wait_for(lambda: log.exists() and "n0\n" in log.read_text(), "the silent one logs")
    for one in [silent, *greedy]:
        one.close()
    process.communicate("end\n")


def test_clients_that_reset_their_connection_at_once_are_no_news(serve):
    """Before it is accepted, and when something has come."""
    server = serve().start()
    for data in (b"", b"\0\0", pickled("n0")[:-1], pickled("n0"), b"QLOG") * 20:
        with socket.create_connection(("127.0.0.1", server.port), 30) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.sendall(data)
    server.connect().sendall(pickled("last"))
    server.wait_for("root INFO last")
    assert not server.errors


def test_nobody_makes_lines_of_the_log_by_what_is_refused(serve):
    """What a client has written is quoted where it is reported, without line ends."""
    server = serve().start()
    error = json.dumps({"error": "x\n2026-11-21 CRITICAL forged\x1b[2J"}).encode()
    one = server.connect()
    one.sendall(b"QLOG" + packed(error))
    assert is_closed(one)
    server.wait_for_error(r"x\n2026-11-21 CRITICAL forged\x1b[2J")


def test_filters_of_the_root_logger_see_its_records(background, log):
    """As those of any other logger see what was logged there."""
    process = background("root_has_a_filter")
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for data in (pickled("secret"), pickled("secret", name="other"), pickled("last")):
            connection.sendall(data)
        wait_for(lambda: log.exists() and "last\n" in log.read_text(), "the last one logs")
    process.communicate("end\n")
    assert log.read_text().splitlines() == ["secret", "last"]


def test_a_client_that_reads_no_answers_gets_none_and_ends(background, log):
    """Its records are taken as long as there is room for the answers."""
    process = background("patient_server")
    port = int(process.stdout.readline())
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.settimeout(30)
        deaf.connect(("127.0.0.1", port))
        client = greeted(deaf)
        record = wire.encode(wire.plain(attributes("n"), "n"), 1 << 17)
        number = 0
        with suppress(ConnectionError, TimeoutError):
            while number < 1_000_000:
                client.send(number, [record])
                deaf.sendall(client.data_to_send())
                number += 1
        assert number < 1_000_000
    process.communicate("end\n")
    assert log.read_text().startswith("n\n")


def test_a_name_of_a_logger_makes_none(background, log):
    """Else a client could fill the server's memory with them; each goes where a new one would."""
    process = background("knows_its_loggers")
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for number in range(1000):
            connection.sendall(pickled(f"n{number}", name=f"a.b{number}.c", level=10))
        connection.sendall(pickled("last", name="a.b", level=30))
        wait_for(lambda: log.exists() and "last" in log.read_text(), "all have come")
    names, errors = process.communicate("end\n")
    assert set(names.split()) <= {"a", "asyncio"}, errors
    assert len(log.read_text().splitlines()) == 1001


def test_what_came_before_the_first_turn_of_a_server_that_ends_is_logged(program, log):
    """Its thread may not have begun when the process is told to end."""
    program(name="ends_before_its_first_turn")
    assert log.read_text() == "early\n"
