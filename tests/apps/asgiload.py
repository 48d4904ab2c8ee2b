"""The example's ASGI application, which also logs the numbers that a request asks for."""

import asgi
import loadapp


async def app(scope, receive, send):
    """Do what loadapp does at this path, and answer as the example."""
    if scope["type"] == "http":
        loadapp.answer(scope["path"], scope["query_string"].decode())
    await asgi.app(scope, receive, send)
