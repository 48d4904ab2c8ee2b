"""What a record costs `queuelog serve`, beside the socket server of the logging cookbook.

Clients send with the standard library's `SocketHandler`, each its records as fast as it can, to one
server after the other, in turns; the servers have the same loggers, one file and the same format.
The cookbook's server is as it is written there (a thread for each connection), but that it waits
for all four bytes of a length: under load it takes fewer for the end, and drops the connection.
https://docs.python.org/3/howto/logging-cookbook.html#sending-and-receiving-logging-events-across-a-network

What a client, a process, sends is made before, so that the processors are for the server; each
record is one call of `send`, as with `SocketHandler`. CPU is user and system time of the server.

    python benchmarks/log_server.py --records 200000 --clients 4 --rounds 5
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import multiprocessing
import os
import pickle
import shutil
import signal
import socket
import socketserver
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
CONFIG = f"""
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys = line
[logger_root]
level = INFO
handlers = file
[handler_file]
class = FileHandler
args = ("root.log",)
formatter = line
[formatter_line]
format = {FORMAT}
"""


class Handler(socketserver.StreamRequestHandler):
    """The cookbook's: reads a record, logs it, and so on."""

    def handle(self):
        """Serve one connection."""
        while True:
            chunk = self.connection.recv(4, socket.MSG_WAITALL)
            if len(chunk) < 4:
                break
            slen = struct.unpack(">L", chunk)[0]
            chunk = self.connection.recv(slen)
            while len(chunk) < slen:
                chunk = chunk + self.connection.recv(slen - len(chunk))
            record = logging.makeLogRecord(pickle.loads(chunk))
            logging.getLogger(record.name).handle(record)


def cookbook():
    """Run the cookbook's server in this process, in the current directory."""
    logging.basicConfig(filename="root.log", format=FORMAT, level=logging.INFO)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"listening on 127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def records(number):
    """Return what `SocketHandler` sends of so many records."""
    handler = logging.handlers.SocketHandler("", 0)
    logger = logging.getLogger("serving.views")
    made = []
    for index in range(number):
        record = logger.makeRecord(
            "serving.views", logging.INFO, "/srv/app/serving/views.py", index % 500,
            "%s %s took %d ms", ("GET", f"/items/{index}", index % 90), None, "view",
        )  # fmt: skip
        made.append(handler.makePickle(record))
    return made


def cpu(pid):
    """Return the seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(command, data, number, clients):
    """Return records a second, and microseconds of CPU a record, of a server."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "log.ini").write_text(CONFIG)
        process = subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, text=True)
        port = int(process.stdout.readline().rpartition(":")[2])
        log = Path(directory) / "root.log"
        before, began = cpu(process.pid), time.monotonic()
        senders = [multiprocessing.Process(target=send, args=(port, data)) for _ in range(clients)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        while count(log) < number * clients:
            time.sleep(0.005)
        seconds, used = time.monotonic() - began, cpu(process.pid) - before
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()
        return number * clients / seconds, used / number / clients * 1e6


def send(port, data):
    """Send the records, one by one."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for record in data:
            connection.sendall(record)


_counted = {}


def count(path):
    """Return how many lines a file has, of which only the new part is read."""
    offset, lines = _counted.get(path, (0, 0))
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    _counted[path] = offset + len(data), lines + data.count(b"\n")
    return _counted[path][1]


def main():
    """Measure both, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=50_000, help="of each client")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cookbook", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cookbook:
        cookbook()
    data = records(arguments.records)
    spools = tempfile.mkdtemp(dir="/dev/shm")
    servers = {
        "cookbook": [sys.executable, __file__, "--cookbook"],
        "queuelog serve": [
            sys.executable, "-m", "queuelog", "serve", "log.ini", "--listen", "127.0.0.1:0",
            "--spool", os.path.join(spools, "spools"),
        ],
    }  # fmt: skip
    found = {name: [] for name in servers}
    try:
        for _ in range(arguments.rounds):
            for name, command in servers.items():
                found[name].append(measure(command, data, arguments.records, arguments.clients))
    finally:
        shutil.rmtree(spools)
    print(f"{arguments.clients} clients, {arguments.records} records of each, medians of rounds:")
    for name, rounds in found.items():
        rate, cost = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"  {name:15} {rate:8,.0f} records/s  {cost:6.1f} us of CPU a record")


if __name__ == "__main__":
    main()
