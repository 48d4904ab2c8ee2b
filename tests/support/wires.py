"""A log server to work against, and both halves of a connection in memory.

As a program, `python wires.py ADDRESS FILE [SECRET]` is a server that keeps each record as a line
of FILE, `{"client": ..., "number": ..., "record": {...}}`: so one write keeps record and number,
and a server that was killed knows all that it has. It prints the address that it listens on.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from queuelog import wire
from queuelog.base.address import Address

CLIENT = "0123456789abcdef" * 2


def connected(have=0, *, secret=None, limit=wire.LIMIT):
    """Make both halves of a connection, and let them greet each other."""
    client, server = wire.Client(CLIENT, secret), wire.Server(secret, limit)
    for _ in range(2):
        server.receive(client.data_to_send())
        if server.next_event():
            server.have(have)
        client.receive(server.data_to_send())
        found = client.next_have()
    assert found == have
    return client, server


class KeepingServer:
    """Keeps what it receives as lines of `path`."""

    def __init__(self, path, secret=None):
        self._secret = secret
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._have = {}
        with open(path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):  # killed in the middle of a write
                    os.ftruncate(self._fd, os.fstat(self._fd).st_size - len(line))
                    break
                found = json.loads(line)
                self._have[found["client"]] = found["number"] + 1

    async def serve(self, reader, writer):
        """Answer one client."""
        session = wire.Server(self._secret)
        try:
            client = ""
            while data := await reader.read(1 << 16):
                session.receive(data)
                while event := session.next_event():
                    if isinstance(event, wire.Opened):
                        client = event.client
                    else:
                        self._keep(client, event)
                    session.have(self._have.get(client, 0))
                writer.write(session.data_to_send())
                await writer.drain()
        except wire.WireError as error:
            session.refuse(str(error))
            writer.write(session.data_to_send())
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _keep(self, client, event):
        have = self._have.get(client, 0)
        lines = [
            json.dumps({"client": client, "number": number, "record": record}) + "\n"
            for number, record in enumerate(event.records, event.first)
            if number >= have
        ]
        data = "".join(lines).encode()
        assert os.write(self._fd, data) == len(data)
        self._have[client] = max(have, event.first + len(event.records))


class LogServer:
    """Such a server, as a process that can be killed and started again."""

    def __init__(self, path, address="127.0.0.1:0", *secret):
        self.path = Path(path)
        self.address = address
        self._secret = secret
        self._process = None

    def start(self):
        """Listen, and return the address."""
        command = [sys.executable, __file__, self.address, self.path, *self._secret]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self._process.stdout.readline().strip()
        return self.address

    def kill(self):
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def records(self):
        """Return the records that it has, whole ones, in the order in which they came."""
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        return [json.loads(line)["record"] for line in lines if line.endswith("\n")]

    def messages(self):
        """Return the messages of those that the application has logged."""
        return [one["msg"] for one in self.records() if one["name"] != "queuelog"]

    def reports(self):
        """Return the messages of those that queuelog itself has logged."""
        return [one["msg"] for one in self.records() if one["name"] == "queuelog"]


async def _main(address, path, secret=None):
    server = KeepingServer(path, secret and secret.encode())
    if address.path:
        listening = await asyncio.start_unix_server(server.serve, address.path)
    else:
        listening = await asyncio.start_server(server.serve, address.host, address.port)
        address = Address(*listening.sockets[0].getsockname()[:2])
    print(address, flush=True)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Address.parse(sys.argv[1]), *sys.argv[2:]))
