"""Addresses of log servers: what is one, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuelog.base import Listen
from queuelog.base.address import DEFAULT, Address, LogServer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9020", Address("127.0.0.1", 9020)),
        ("[::1]:80", Address("::1", 80)),
        ("logs.example.org:65535", Address("logs.example.org", 65535)),
        ("localhost", Address("localhost", 9020)),
        ("[::]", Address("::", 9020)),
        ("localhost:0", Address("localhost", 0)),
        ("unix:/run/queuelog/../q.sock", Address(path="/run/q.sock")),
    ],
)
def test_an_address(text, expected):
    """Host and port, or the path of a socket."""
    assert Address.parse(text) == expected
    assert Address.parse(str(expected)) == expected


def test_the_default_is_loopback():
    """The port is logging's own."""
    assert Address.parse(DEFAULT) == Address("127.0.0.1", 9020)


@pytest.mark.parametrize(
    "text",
    [
        "", ":9020", "host:", "host:x", "host:65536", "host:-1", "host:\u0661", "host:000000",
        "::1", "::1:9020", "[host]:1x", "[::1", "::1]", "[]:1", "[host]:1",
        "a b:1", "tcp://host:1", "user@host:1", "unix:", "unix:relative", "unix:/a\0b",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    """The error says what one looks like."""
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Address.parse(text)


@given(st.text())
def test_any_text_is_an_address_or_refused(text):
    """Nothing else is raised, and an address reads as it is written."""
    try:
        found = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(found)) == found


@pytest.mark.parametrize("path", ["", 3, b"ca.pem"])
def test_what_is_no_path_is_refused(path):
    """The empty text of a variable that is not set would be a server without TLS."""
    with pytest.raises(ValueError, match=r"cafile=.* must be the path of a file"):
        LogServer.checked("localhost", cafile=path)
    with pytest.raises(ValueError, match=r"certfile=.* must be the path of a file"):
        Listen.of(Listen(("0.0.0.0:0",), certfile=path))


def test_a_unix_socket_has_no_certificates():
    """Else the two would never understand each other; a secret is right there."""
    with pytest.raises(ValueError, match="no server speaks it there"):
        LogServer.checked("unix:/run/log", cafile="ca.pem")
    assert LogServer.checked("unix:/run/log", secret_file="/secret").files
