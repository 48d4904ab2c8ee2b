"""What a client sends, without its socket."""

from contextlib import closing

import pytest
from wires import CLIENT

from queuelog import wire
from queuelog.server.clients import Clients
from queuelog.server.streams import WireStream

RECORD = wire.encode({"name": "app", "msg": "x", "levelno": 20, "created": 1.0}, 1 << 17)


def test_a_record_that_waits_for_room_is_not_logged_by_a_second_connection(tmp_path):
    """The client has given the first one up; what that has sent was not read yet then."""
    refused = []
    with closing(Clients(str(tmp_path / "spools"))) as clients:
        stream = WireStream(lambda *what: refused.append(what), clients, None)
        client = wire.Client(CLIENT)
        for _ in range(2):
            stream.receive(memoryview(client.data_to_send()))
            stream.log()
            client.receive(stream.data_to_send())
            client.next_have()
        clients.waiting.add(CLIENT)  # as the first one does, at the backlog limit
        client.send(0, [RECORD])
        stream.receive(memoryview(client.data_to_send()))
        with pytest.raises(wire.WireError, match="still waits for room"):
            stream.log()
        assert stream.records == 0
        assert not refused
