"""The arbiter writes the names of its modules into the file `modules`."""

import sys

import queuelog


def on_exit(server):
    """In the arbiter, at the very end."""
    queuelog.stop()
    with open("modules", "w") as file:
        file.write(" ".join(sys.modules))
