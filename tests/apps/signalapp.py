"""What loadapp does, and requests that are still going on when a signal comes.

GET /slow?start=S&count=N   logs a number every 10 ms
GET /hold?start=S&count=N   logs the numbers, then C code holds the GIL: no signal handler runs
"""

import asyncio
import time
from urllib.parse import parse_qs

import loadapp
from deaf import hold_the_gil
from loadapp import log_numbers

PAUSE = 0.01  # seconds


def numbers(query):
    """Return the numbers that a request shall log."""
    values = parse_qs(query)
    start = int(values["start"][0])
    return range(start, start + int(values["count"][0]))


def hold(query):
    """Log, and do not come back."""
    wanted = numbers(query)
    log_numbers(wanted.start, len(wanted))
    hold_the_gil()


def app(environ, start_response):
    """Serve WSGI."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/hold":
        hold(query)
    if path == "/slow":
        for number in numbers(query):
            log_numbers(number, 1)
            time.sleep(PAUSE)
    return loadapp.app(environ, start_response)


async def asgi_app(scope, receive, send):
    """Serve ASGI."""
    path, query = scope.get("path"), scope.get("query_string", b"").decode()
    if path == "/hold":
        hold(query)
    if path == "/slow":
        for number in numbers(query):
            log_numbers(number, 1)
            await asyncio.sleep(PAUSE)
    await loadapp.asgi_app(scope, receive, send)
