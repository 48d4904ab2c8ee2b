"""A log server to work against, and both halves of a connection in memory.

As a program, `python wires.py ADDRESS FILE [SECRET]` is a server that keeps each record as a line
of FILE, `{"client": ..., "number": ..., "record": {...}}`: so one write keeps record and number,
and a server that was killed knows all that it has. It prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

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


async def _main(address, path, secret=None):
    server = KeepingServer(path, secret and secret.encode())
    if address.path:
        listening = await asyncio.start_unix_server(server.serve, address.path)
    else:
        listening = await asyncio.start_server(server.serve, address.host, address.port)
        print(listening.sockets[0].getsockname()[1], flush=True)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Address.parse(sys.argv[1]), *sys.argv[2:]))
