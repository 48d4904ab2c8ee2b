"""A reload blocks the whole arbiter, as code that gevent has not patched does."""

import os

import queuelog


def on_reload(server):
    """In the arbiter, on SIGHUP: wait for the file `go-on`."""
    from gevent.monkey import get_original  # noqa: PLC0415  # each test has its time for gevent

    queuelog.setup()
    open("reloading", "w").close()
    while not os.path.exists("go-on"):
        get_original("time", "sleep")(0.01)
