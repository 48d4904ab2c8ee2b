"""What loadapp does, and a query with a C driver between the lines of each request.

The driver has a wait callback, as psycopg2 has, and `patch` does for it what psycogreen does: while
a query runs, other greenlets go on.
"""

import socket
from urllib.parse import parse_qs

import gevent
import gevent.socket
import loadapp
from loadapp import log_numbers

_wait = None


def set_wait_callback(callback):
    """Stand for psycopg2.extensions.set_wait_callback."""
    global _wait
    _wait = callback


def patch():
    """Stand for psycogreen.gevent.patch_psycopg."""
    set_wait_callback(lambda connection: gevent.socket.wait_read(connection.fileno()))


def query():
    """Wait for an answer that comes while another greenlet runs."""
    near, far = socket.socketpair()
    with near, far:
        gevent.spawn_later(0.001, far.send, b"x")
        _wait(near)
        near.recv(1)


def app(environ, start_response):
    """Serve WSGI."""
    if environ["PATH_INFO"] != "/log":
        return loadapp.app(environ, start_response)
    values = parse_qs(environ["QUERY_STRING"])
    start, count = int(values["start"][0]), int(values["count"][0])
    log_numbers(start, count // 2)
    query()
    log_numbers(start + count // 2, count - count // 2)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
