"""The application under load: it logs numbered lines and acknowledges each one.

An acknowledgement must survive SIGKILL, so it is a byte in a shared memory map, set after
`log.info()` has returned. The file is named by the environment variable ACKS.

GET /log?start=S&count=N   logs the numbers S .. S+N-1
GET /pid                   answers with the worker's process id
GET /hang                  never answers: the worker times out
"""

import logging
import mmap
import os
import time
from urllib.parse import parse_qs

log = logging.getLogger("load")


def _open_acks():
    path = os.environ.get("ACKS")
    if path is None:
        return None
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


acks = _open_acks()


def log_numbers(start, count):
    """Log and acknowledge the numbers from `start` on."""
    for number in range(start, start + count):
        log.info("number=%08d %s", number, "x" * (number % 50))
        if acks is not None:
            acks[number] = 1


def answer(path, query):
    """Return the body of the answer."""
    if path == "/log":
        values = parse_qs(query)
        log_numbers(int(values["start"][0]), int(values["count"][0]))
    elif path == "/hang":
        log.error("hanging on purpose")
        time.sleep(60)
    elif path == "/fail":
        try:
            raise RuntimeError("on purpose")
        except RuntimeError:
            log.exception("failed")
    return f"{os.getpid()}\n".encode()


def app(environ, start_response):
    """Serve WSGI."""
    body = answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi_app(scope, receive, send):
    """Serve ASGI."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                logging.getLogger("lifespan").info("shutdown in %s", os.getpid())
                return
    body = answer(scope["path"], scope["query_string"].decode())
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
