"""Socket activation as systemd does it: ``python activate.py PORT COMMAND …``.

COMMAND gets the listening socket as its descriptor 3.
"""

import os
import socket
import sys

if __name__ == "__main__":
    sock = socket.socket()
    sock.bind(("127.0.0.1", int(sys.argv[1])))
    sock.listen(64)
    os.dup2(sock.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    os.execv(sys.argv[2], sys.argv[2:])
