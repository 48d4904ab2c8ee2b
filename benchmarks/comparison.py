"""Lines that are lost on their way to one log server: five ways to log to it, under four attacks.

    sudo python benchmarks/comparison.py [--records 10000] [--attacks kill,stall] [--ways rsyslog]

Two clients log numbered lines, a few thousand a second together, to

    cookbook       a server as the logging cookbook describes it: a thread for each connection
                   unpickles what `SocketHandler` sends, and hands it to the logger of its name
    serve          `queuelog serve`, and the same clients
    network        `queuelog serve`, and `queuelog.handlers.ServerHandler` with `queuelog.start()`,
                   whose processes have a /dev/shm of their own, as on another host
    host           the same without that: they find the spool of the server
    rsyslog        Debian's rsyslogd, and `SysLogHandler` with a unix socket

while one of these happens:

    kill      SIGKILL of the server, twice; it is started again half a second later
    stall     the disk of the log files, a frozen ext4, stands still for 15 seconds; of four times
              as many lines
    rotation  the files roll over at 100 kB; those of rsyslog are moved, and it gets SIGHUP
    hostile   another client sends pickles that run code and that end the server, a length of 1 GB,
              and noise; it opens 200 connections that stay silent. Who ends is started again.

Prints a row for each: lines logged, lost, doubled; the longest log call; and whether code of the
hostile client was run. Needs root, for the disk and for that /dev/shm.
"""

from __future__ import annotations

import argparse
import json
import logging
import logging.config
import logging.handlers
import os
import pickle
import re
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

DOWN = 0.5  # seconds until a server that has ended is started again
STALL = 15.0  # seconds
SIZE = 100_000  # bytes of a file
PAUSE = 0.0005  # seconds between two lines of a client
CLIENTS = 2
NUMBER = re.compile(rb"number=(\d{8})\b")
APART = 'mount -t tmpfs none /dev/shm && exec "$@"'
RSYSLOG = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{address}" CreatePath="on")
template(name="line" type="string" string="%msg%\\n")
global(workDirectory="{directory}")
action(type="omfile" file="{log}" template="line")
"""


def free_port():
    """Return a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def wait_for(condition, seconds=30.0):
    """Wait until something is so; tell if it came to be."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def rotating(path):
    """Return a configuration with one file that rolls over."""
    file = {
        "class": "logging.handlers.RotatingFileHandler", "filename": str(path), "maxBytes": SIZE,
        "backupCount": 10_000,
    }  # fmt: skip
    root = {"level": "INFO", "handlers": ["file"]}
    return {"version": 1, "handlers": {"file": file}, "root": root}


# --- the servers


class CookbookHandler(socketserver.StreamRequestHandler):
    """One connection: a length of four bytes, a pickle, and so on."""

    def handle(self):
        """Log each record."""
        while header := self.rfile.read(4):
            (length,) = struct.unpack(">L", header)
            record = logging.makeLogRecord(pickle.loads(self.rfile.read(length)))
            logging.getLogger(record.name).handle(record)


class CookbookServer(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True


def cookbook(port, path):
    """Be the cookbook's server."""
    logging.config.dictConfig(rotating(path))
    with CookbookServer(("127.0.0.1", port), CookbookHandler) as server:
        server.serve_forever()


class Way:
    """A server with its clients; log files are in `disk`, all else in `directory`."""

    def __init__(self, name, directory, disk):
        self.name = name
        self.directory = directory
        self.disk = disk
        self.log = disk / "server.log"
        is_rsyslog = name == "rsyslog"
        self.port = 0 if is_rsyslog else free_port()
        self.address = str(directory / "socket") if is_rsyslog else f"127.0.0.1:{self.port}"
        self.command = getattr(self, f"_{name}")()
        self.process = None
        self._watching = threading.Thread(target=self._watch)
        self._ends = False

    def _cookbook(self):
        return [sys.executable, __file__, "--cookbook", str(self.port), str(self.log)]

    def _serve(self):
        config = self.directory / "server.json"
        config.write_text(json.dumps(rotating(self.log)))
        queuelog = Path(sys.executable).with_name("queuelog")
        spool = self.directory / "spools"
        return [queuelog, "serve", config, "--listen", self.address, "--spool", spool]

    _network = _host = _serve

    def _rsyslog(self):
        config = self.directory / "rsyslog.conf"
        fields = {"address": self.address, "directory": self.directory, "log": self.log}
        config.write_text(RSYSLOG.format(**fields))
        return ["/usr/sbin/rsyslogd", "-n", "-f", config, "-i", self.directory / "rsyslog.pid"]

    def start(self):
        """Start the server, and wait until it listens."""
        with (self.directory / "server.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [*map(str, self.command)], stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        if not wait_for(lambda: self._listens() or self.process.poll() is not None):
            raise RuntimeError((self.directory / "server.err").read_text())

    def _listens(self):
        with suppress(OSError):
            if self.port:
                socket.create_connection(("127.0.0.1", self.port)).close()
            else:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                    probe.connect(self.address)
            return True
        return False

    def client(self, first, records):
        """Start a client that logs so many numbers."""
        command = [
            sys.executable, __file__, "--client", self.name, self.address,
            str(self.directory / "client"), str(first), str(records),
        ]  # fmt: skip
        if self.name == "network":
            command = ["unshare", "--mount", "sh", "-c", APART, "sh", *command]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def _watch(self):
        """Start the server again when it has ended, as a service manager does."""
        while not self._ends:
            if self.process.poll() is not None:
                time.sleep(DOWN)
                self.start()
            time.sleep(0.02)

    @contextmanager
    def running(self):
        """Run the server meanwhile, and start it again when it ends."""
        self.start()
        self._watching.start()
        try:
            yield
        finally:
            self._ends = True
            self._watching.join()
            self.process.kill()
            self.process.wait()

    def found(self):
        """Count the numbers in all log files."""
        text = b"".join(path.read_bytes() for path in self.disk.glob("server.log*"))
        return Counter(map(int, NUMBER.findall(text)))


# --- a client


def handler_for(way, address):
    """Return the handler of a client."""
    if way == "rsyslog":
        handler = logging.handlers.SysLogHandler(address)
        handler.ident = "client: "  # else rsyslog takes the first word for it
        return handler
    host, _, port = address.rpartition(":")
    if way in ("network", "host"):
        from queuelog.handlers import ServerHandler  # noqa: PLC0415

        return ServerHandler(address)
    return logging.handlers.SocketHandler(host, int(port))


def client(way, address, spool, first, records):
    """Log so many numbers; print how long the longest log call took, in seconds."""
    logging.raiseExceptions = False
    log = logging.getLogger("client")
    log.setLevel(logging.INFO)
    log.addHandler(handler_for(way, address))
    if way in ("network", "host"):
        import queuelog  # noqa: PLC0415

        queuelog.start(spool=spool if way == "host" else None)
    longest = 0.0
    for number in range(first, first + records):
        began = time.monotonic()
        log.info("number=%08d %s", number, "x" * 60)
        longest = max(longest, time.monotonic() - began)
        time.sleep(PAUSE)
    print(longest)


# --- the attacks: each goes on while the clients log, for `seconds` about


def kill(way, seconds):
    """SIGKILL the server twice."""
    for _ in range(2):
        time.sleep(seconds / 3)
        way.process.kill()


def stall(way, seconds):
    """Let the disk stand still."""
    time.sleep(seconds / 4)
    subprocess.run(["fsfreeze", "-f", way.disk], check=True)
    time.sleep(STALL)
    subprocess.run(["fsfreeze", "-u", way.disk], check=True)


def rotation(way, seconds):
    """Move rsyslog's file ten times; the others roll their files over themselves."""
    for number in range(10):
        time.sleep(seconds / 11)
        if way.name == "rsyslog" and way.log.exists():
            way.log.rename(f"{way.log}.{number}")
            way.process.send_signal(signal.SIGHUP)


class Runs:
    """Unpickled, it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        """Return the call."""
        return self.call


def hostile(way, seconds):
    """Send what no client should."""
    time.sleep(seconds / 4)
    if way.name == "rsyslog":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(way.address)
            for number in range(1_000):
                with suppress(OSError):
                    sender.send(os.urandom(1 + number * 7 % 8_000))
        return
    silent = [socket.socket() for _ in range(200)]
    for one in silent:
        one.setblocking(False)  # more than fit into the server's queue
        one.connect_ex(("127.0.0.1", way.port))
    executed = str(way.directory / "executed")
    calls = [Runs(open, executed, "w"), Runs(os._exit, 1)]
    framed = [struct.pack(">L", len(data)) + data for data in map(pickle.dumps, calls)]
    for data in (*framed, struct.pack(">L", 1 << 30) + bytes(1000), os.urandom(100_000)):
        with suppress(OSError), socket.create_connection(("127.0.0.1", way.port), 5) as sender:
            sender.sendall(data)
            time.sleep(seconds / 16)
    for one in silent:
        one.close()


ATTACKS = {"kill": kill, "stall": stall, "rotation": rotation, "hostile": hostile}
WAYS = "cookbook", "serve", "network", "host", "rsyslog"


@contextmanager
def disk(directory):
    """Mount a file system of its own on a directory."""
    image, path = directory / "image", directory / "disk"
    path.mkdir()
    subprocess.run(["truncate", "-s", "256M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["fsfreeze", "-u", path], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", path], check=True)


def measure(name, attack, records):
    """Let the clients of one way log during an attack; return the row."""
    directory = Path(tempfile.mkdtemp(prefix="comparison-", dir="/dev/shm"))
    with disk(directory) as mounted:
        way = Way(name, directory, mounted)
        with way.running():
            clients = [way.client(number * records, records) for number in range(CLIENTS)]
            ATTACKS[attack](way, records * PAUSE * 2)
            longest = max(float(one.communicate()[0]) for one in clients)
            expected = CLIENTS * records
            last = [-1, 0.0]

            def settled():
                found = len(way.found())
                if found != last[0]:
                    last[:] = found, time.monotonic()
                return found == expected or time.monotonic() - last[1] > 5

            wait_for(settled, 120)
            found = way.found()
        executed = (directory / "executed").exists()
    shutil.rmtree(directory)
    doubled = sum(times > 1 for times in found.values())
    ran = "yes" if executed else "no"
    return name, attack, expected, expected - len(found), doubled, round(longest * 1000), ran


def main():
    """Measure what is asked for, or be a client or the cookbook's server."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=10_000, help="of each of two clients")
    parser.add_argument("--attacks", default=",".join(ATTACKS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--cookbook", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        way, address, spool, first, records = options.client
        client(way, address, spool, int(first), int(records))
    elif options.cookbook:
        cookbook(int(options.cookbook[0]), options.cookbook[1])
    else:
        row = "{:<14}{:<10}" + "{:>9}" * 3 + "{:>12}{:>10}"
        columns = "way", "attack", "lines", "lost", "doubled", "longest, ms", "code ran"
        print(row.format(*columns))
        for attack in options.attacks.split(","):
            records = options.records * (4 if attack == "stall" else 1)  # more than buffers hold
            for way in options.ways.split(","):
                print(row.format(*measure(way, attack, records)), flush=True)


if __name__ == "__main__":
    main()
