"""Both halves of the protocol: what one sends the other gets, and nothing else gets through."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wires import CLIENT, connected

from queuelog import wire

RECORD = {"name": "app", "msg": "ready", "levelno": 20, "levelname": "INFO", "created": 1.5}
SECRET = b"between us"
LENGTH = 4  # bytes before each frame


def batch(first, *messages):
    """Return what `Client.send` takes for records with these messages."""
    return first, [wire.encode({**RECORD, "msg": message}, 1 << 17) for message in messages]


def events(server):
    """Return all that the server finds in what it has received."""
    return list(iter(server.next_event, None))


def frames(data):
    """Cut a stream into its frames."""
    found = []
    while data:
        end = LENGTH + int.from_bytes(data[:LENGTH], "big")
        found.append(data[:end])
        data = data[end:]
    return found


@pytest.mark.parametrize("secret", [None, SECRET])
def test_records_arrive_and_are_acknowledged(secret):
    """Several frames may be under way; each has its answer."""
    client, server = connected(7, secret=secret)
    client.send(*batch(7, "one", "two"))
    client.send(*batch(9, "three"))
    server.receive(client.data_to_send())
    first, second = events(server)
    assert [record["msg"] for record in first.records] == ["one", "two"]
    assert second == wire.Records(9, [{**RECORD, "msg": "three"}])
    server.have(9)
    server.have(10)
    client.receive(server.data_to_send())
    assert [client.next_have(), client.next_have(), client.next_have()] == [9, 10, None]


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_stream_may_come_in_pieces(secret):
    """A byte at a time gives what all at once gives."""
    client, server = wire.Client(CLIENT, secret), wire.Server(secret)
    found = []
    for _ in range(3):
        for byte in client.data_to_send():
            server.receive(bytes([byte]))
            found += events(server)
            if found and isinstance(found[-1], wire.Opened):
                server.have(0)
        for byte in server.data_to_send():
            client.receive(bytes([byte]))
            if client.next_have() == 0:
                client.send(*batch(0, "ünï\ud800"))
    assert found == [wire.Opened(CLIENT), wire.Records(0, [{**RECORD, "msg": "ünï\ud800"}])]


@pytest.mark.parametrize("theirs", [None, b"another"])
def test_a_client_with_a_secret_accepts_no_server_without_it(theirs):
    """It sends nothing to a server that does not prove that it knows the secret."""
    client, server = wire.Client(CLIENT, SECRET), wire.Server(theirs)
    server.receive(client.data_to_send())
    server.next_event()
    client.receive(server.data_to_send())
    if theirs is None:
        with pytest.raises(wire.SealError, match="server none"):
            client.next_have()
        return
    assert client.next_have() is None
    server.receive(client.data_to_send())
    with pytest.raises(wire.SealError, match="differ"):
        server.next_event()
    server.have(0)  # as a forger would
    client.receive(server.data_to_send())
    with pytest.raises(wire.SealError, match="differ"):
        client.next_have()


def test_a_client_without_a_secret_is_told_that_one_is_needed():
    """Before it sends a record."""
    client, server = wire.Client(CLIENT), wire.Server(SECRET)
    server.receive(client.data_to_send())
    server.next_event()
    client.receive(server.data_to_send())
    with pytest.raises(wire.SealError, match="asks for a shared secret"):
        client.next_have()


def test_a_server_proves_nothing_to_somebody_without_the_secret():
    """Its greeting has nothing in it on which secrets could be tried."""
    greetings = []
    for secret in (SECRET, b"another"):
        client, server = wire.Client(CLIENT), wire.Server(secret)
        server.receive(client.data_to_send())
        server.next_event()
        fields = json.loads(server.data_to_send()[LENGTH:])
        assert len(fields.pop("nonce")) == 64
        greetings.append(fields)
    assert greetings[0] == greetings[1]


@given(data=st.data())
def test_a_frame_that_was_changed_is_refused(data):
    """Whatever bit of it."""
    client, server = connected(secret=SECRET)
    client.send(*batch(0, "one"))
    stream = bytearray(client.data_to_send())
    position = data.draw(st.integers(LENGTH, len(stream) - 1))
    stream[position] ^= 1 << data.draw(st.integers(0, 7))
    server.receive(bytes(stream))
    with pytest.raises(wire.SealError):
        server.next_event()


@pytest.mark.parametrize("order", [[0, 0], [1, 0], [1], [0, 2, 1], [0, 1, 1]])
def test_frames_that_are_replayed_reordered_or_left_out_are_refused(order):
    """A frame counts only in its place."""
    client, server = connected(secret=SECRET)
    for number in range(3):
        client.send(*batch(number, f"{number}"))
    sent = frames(client.data_to_send())
    server.receive(b"".join(sent[number] for number in order))
    with pytest.raises(wire.SealError):
        events(server)


def test_a_connection_that_was_recorded_cannot_be_replayed():
    """Its key is not that of the next one; nor are answers taken for questions."""
    client, server = connected(secret=SECRET)
    client.send(*batch(0, "pay"))
    recorded = client.data_to_send()
    _, another = connected(secret=SECRET)
    another.receive(recorded)
    with pytest.raises(wire.SealError):
        another.next_event()
    server.have(0)
    server.receive(server.data_to_send())
    with pytest.raises(wire.SealError):
        server.next_event()


def test_why_a_connection_ends_is_said():
    """In either direction."""
    client, server = connected(secret=SECRET)
    server.refuse("full")
    client.receive(server.data_to_send())
    with pytest.raises(wire.RefusedError, match="full"):
        client.next_have()


def test_another_version_is_named():
    """A greeting of another version says what to do."""
    server = wire.Server()
    greeting = b'{"version": 2, "client": "x"}'
    server.receive(wire.MAGIC + len(greeting).to_bytes(4, "big") + greeting)
    with pytest.raises(wire.FrameError, match=r"version 2 .* install the same"):
        server.next_event()


@pytest.mark.parametrize("length", [1 << 12, 1 << 20])
def test_a_length_is_refused_before_its_bytes_are_there(length):
    """One frame of a stranger is 4 KiB at most, of a client what the server allows."""
    if length == 1 << 12:
        server = wire.Server()
        server.receive(wire.MAGIC)
    else:
        _, server = connected()
    server.receive((length + 1).to_bytes(4, "big"))
    with pytest.raises(wire.FrameError, match="are allowed here"):
        server.next_event()


def test_a_client_sends_no_frame_that_the_server_does_not_take():
    """The limit is the server's."""
    client, server = connected(limit=1 << 18)
    with pytest.raises(wire.FrameError, match="do not fit"):
        client.send(0, [b"x" * (1 << 18)])
    client.send(0, [wire.encode({**RECORD, "msg": "x" * (1 << 20)}, client.limit)])
    server.receive(client.data_to_send())
    (record,) = server.next_event().records
    assert "queuelog has cut this record, of 1,048" in record["msg"]


MESSAGES = st.dictionaries(
    st.sampled_from(["version", "client", "nonce", "ready", "first", "records", "have", "error"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("0" * 64),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=4,
    ),
).map(lambda message: json.dumps(message).encode())
STREAMS = st.lists(
    MESSAGES.map(lambda body: len(body).to_bytes(4, "big") + body) | st.binary(max_size=40),
    max_size=3,
).map(b"".join)


@given(STREAMS, st.sampled_from([None, SECRET]), st.integers(0, 2))
def test_whatever_a_peer_sends_the_error_is_a_clean_one(stream, secret, stage):
    """Nothing but a `WireError` comes out, at whatever stage, on either side."""
    client, server = wire.Client(CLIENT, secret), wire.Server(secret)
    for _ in range(stage):
        server.receive(client.data_to_send())
        if server.next_event():
            server.have(0)
        client.receive(server.data_to_send())
        client.next_have()
    for receive, next_one in (
        (server.receive, server.next_event),
        (client.receive, client.next_have),
    ):
        receive(stream)
        try:
            while next_one() is not None:
                pass
        except wire.WireError:
            pass


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"1", b"\xff", b"{", b"[" * 100_000, b'{"first": 1%s}' % (b"0" * 5000)],
)
def test_what_is_no_message_is_refused(body):
    """Nested brackets and huge numbers included."""
    _, server = connected()
    server.receive(len(body).to_bytes(4, "big") + body)
    with pytest.raises(wire.FrameError):
        server.next_event()


def test_a_number_of_many_digits_comes_as_text():
    """Its record is taken: a client would send it for ever, and nothing behind it."""
    client, server = connected()
    client.send(0, [wire.encode(RECORD, 1 << 17)[:-1] + b',"n":%b}' % (b"9" * 5000)])
    server.receive(client.data_to_send())
    (event,) = events(server)
    assert event.records[0]["n"] == "9" * 5000
