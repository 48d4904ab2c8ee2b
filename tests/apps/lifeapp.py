"""Applications of servers with unusual settings: what loadapp does, and more by path.

GET /print                     prints a line to stdout, and lets a program below print one
GET /dirty?start=S&count=N     logs the numbers in a dirty worker
GET /configure?path=P          adds a file handler for path P to the logger `own`, and logs to it

The environment variable EARLY names a file for the logger `early`, which gets a line at the import.
"""

import logging
import os
import subprocess
from urllib.parse import parse_qs

import loadapp

import queuelog

if "EARLY" in os.environ:
    early = logging.getLogger("early")
    early.setLevel("INFO")
    early.addHandler(logging.FileHandler(os.environ["EARLY"]))
    early.info("imported by %s", os.getpid())

try:
    from gunicorn.dirty import DirtyApp, get_dirty_client
except ImportError:  # before Gunicorn 25
    DirtyApp = object


class Dirty(DirtyApp):
    """Logs where long work is done."""

    def log(self, start, count):
        loadapp.log_numbers(start, count)
        return os.getpid()


def configure(path):
    """Add a handler in the worker, as an application does that has its own configuration."""
    own = logging.getLogger("own")
    own.setLevel("INFO")
    own.addHandler(logging.FileHandler(path, delay=True))
    queuelog.setup()
    own.info("by %s", os.getpid())


def app(environ, start_response):
    """Serve WSGI."""
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    if path == "/print":
        print("printed by the worker", flush=True)
        subprocess.run(["echo", "printed below it"], check=True)
    elif path == "/dirty":
        numbers = int(query["start"][0]), int(query["count"][0])
        get_dirty_client().execute("lifeapp:Dirty", "log", *numbers)
    elif path == "/configure":
        configure(query["path"][0])
    else:
        return loadapp.app(environ, start_response)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
