"""Programs of test_metrics.py."""

import http.client
import os
import socket
import sys
import warnings

import inside
from prelude import add_log, in_child, in_worker, raises, root, start
from waiting import wait_for

import queuelog
from queuelog import lifecycle
from queuelog.commands.cli import main


def get(path="/metrics", method="GET"):
    """Send a request to this process; return status and body."""
    (address,) = lifecycle.services().metrics_addresses()
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def sockets():
    """Return how many sockets this process has."""
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.lexists(link))


def by_http_beside_forks():
    warnings.simplefilter("error")
    add_log()
    start(metrics="127.0.0.1:0")
    (address,) = lifecycle.services().metrics_addresses()
    host, port = address.split(":")

    def work():
        assert sockets() == 0
        assert not lifecycle.services().metrics_addresses()
        root.info("line")

    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"GET /met")  # and no more: neither a fork nor anybody else waits for it
        in_worker(lambda: root.info("line"))
    for _ in range(9):
        in_child(work)
    wait_for(lambda: 'app.log"} 10.0' in get()[1], "all is told")
    status, text = get()
    assert status == 200
    assert "queuelog_records_written_total{" in text
    assert get("/metrics?x=1", "HEAD") == (200, "")
    assert get("/none")[0] == 404
    assert get(method="POST")[0] == 405
    queuelog.stop()
    assert sockets() == 0
    with raises(ConnectionRefusedError), socket.create_connection((host, int(port))):
        pass
    assert inside.takes_part_in_forks() is False


def an_address_that_is_in_use():
    add_log()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address in (f"127.0.0.1:{taken.getsockname()[1]}", "none", "unix:/x", 9410):
            with raises(queuelog.QueuelogError, str(address)):
                start(metrics=address)
            assert not lifecycle.has_role()
            assert sockets() == 1
    start()
    queuelog.stop()


def without_the_package():
    sys.modules["prometheus_client"] = None
    with raises(queuelog.ConfigurationError, "pip install 'queuelog[metrics]'"):
        start(metrics="127.0.0.1:0")
    assert main(["metrics"]) == 2
