"""Applications that keep a request id in a context variable, and filters that read it.

GET /?id=ID&count=N   logs N lines that name ID, and lets other requests go on between them
"""

import asyncio
import contextvars
import logging
import time
from urllib.parse import parse_qs

log = logging.getLogger("load")
request_id = contextvars.ContextVar("request_id", default="none")
PAUSE = 0.002  # seconds


class RequestIdFilter(logging.Filter):
    """Adds the id of the request as an attribute of that name to every record."""

    def __init__(self, attribute):
        super().__init__()
        self._attribute = attribute

    def filter(self, record):
        setattr(record, self._attribute, request_id.get())
        return True


def begin(query):
    """Set the context variable; return the id and the number of lines."""
    values = parse_qs(query)
    name = values.get("id", ["none"])[0]
    request_id.set(name)
    return name, range(int(values.get("count", ["0"])[0]))


def app(environ, start_response):
    """Serve WSGI."""
    name, count = begin(environ["QUERY_STRING"])
    for _ in count:
        time.sleep(PAUSE)
        log.info("%s", name)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def work(query):
    """Do the same in an event loop."""
    name, count = begin(query)
    for _ in count:
        await asyncio.sleep(PAUSE)
        log.info("%s", name)


async def asgi_app(scope, receive, send):
    """Serve ASGI."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await work(scope["query_string"].decode())
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def tornado_app():
    """Return an application of Tornado's own kind: under WSGI its requests would never overlap."""
    import tornado.web  # noqa: PLC0415  # only its worker needs it

    class Handler(tornado.web.RequestHandler):
        async def get(self):
            await work(self.request.query)
            self.write("ok")

    return tornado.web.Application([("/.*", Handler)])
