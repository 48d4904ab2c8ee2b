"""A log server as a sink: which numbers its records get, and when its answer counts."""

import errno
import socket
import tempfile
from contextlib import closing, suppress

import pytest
from waiting import wait_for

from queuelog import wire
from queuelog.base.address import LogServer
from queuelog.sinks.protocol import Mark, Unanswered
from queuelog.sinks.remote import RemoteSink
from queuelog.spool import RecordPayload


class Server:
    """A log server that answers when it is told to."""

    def __init__(self, path):
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._socket = None
        self._session = wire.Server()
        self.messages = []

    def answer(self, sink):
        """Wait for what the client sends next, and answer it."""
        if self._socket is None:
            self._socket, _ = self._listening.accept()
            self._socket.setblocking(False)
        event = wait_for(lambda: self._next_event(sink), "the client sends")
        if isinstance(event, wire.Records):
            skipped = max(0, len(self.messages) - event.first)
            self.messages += [one["msg"] for one in event.records[skipped:]]
        self._session.have(len(self.messages))
        self._send()

    def _next_event(self, sink):
        sink.is_ready()  # as the listener asks, by which the sink goes on
        with suppress(BlockingIOError):
            self._session.receive(self._socket.recv(1 << 16))
        event = self._session.next_event()
        self._send()
        return event

    def _send(self):
        self._socket.sendall(self._session.data_to_send())

    def close(self):
        """Listen no more."""
        self._listening.close()
        if self._socket is not None:
            self._socket.close()


@pytest.fixture
def server():
    """Return a server."""
    with tempfile.TemporaryDirectory() as short, closing(Server(f"{short}/log")) as made:
        made.address = f"unix:{short}/log"
        yield made


@pytest.fixture
def sink(server):
    """Return the sink for it."""
    with closing(RemoteSink(LogServer(server.address))) as made:
        yield made


def items(*messages):
    """Return records with these messages as a sink gets them."""
    fields = {"name": "app", "levelno": 20, "created": 1.0}
    return [(1.0, RecordPayload({**fields, "msg": one}, one).encode()) for one in messages]


def greet(server, sink):
    """Let both greet each other: no record has a number before."""
    marks = []
    with pytest.raises(Unanswered):
        sink.write(items("not sent yet"), marks.append)
    server.answer(sink)
    wait_for(sink.is_ready, "an answer")
    assert sink.is_ready()
    assert not marks


def resume_when_ready(sink, *arguments):
    """Wait for an answer, which is there however often one asks; go on then."""
    wait_for(sink.is_ready, "an answer")
    assert sink.is_ready()
    return sink.resume(*arguments)


def test_an_answer_that_somebody_has_seen_stays_an_answer(server, sink):
    """The listener asks in several places: one that came between two would be waited for again."""
    greet(server, sink)
    marks = []
    with pytest.raises(Unanswered):
        sink.write(items("a", "b"), marks.append)
    assert not sink.is_ready()
    server.answer(sink)
    assert resume_when_ready(sink, items("a", "b"), marks[-1]) == 2
    assert server.messages == ["a", "b"]
    assert not sink.is_ready()


def test_numbers_are_given_out_once_though_the_ledger_has_no_room(server, sink):
    """Else the server would take the next records for those that it has."""
    greet(server, sink)
    marks = []

    def save(mark):
        marks.append(mark)
        raise OSError(errno.ENOSPC, "no room")

    with pytest.raises(OSError, match="no room"):
        sink.write(items("a"), save)
    with pytest.raises(Unanswered):
        sink.resume(items("a"), marks[-1])
    server.answer(sink)
    assert resume_when_ready(sink, items("a"), marks[-1]) == 1
    with pytest.raises(Unanswered):
        sink.write(items("b"), marks.append)
    server.answer(sink)
    assert marks[-1] == Mark(0, [marks[0].token[0], 1])
    assert resume_when_ready(sink, items("b"), marks[-1]) == 1
    assert server.messages == ["a", "b"]
