"""An ASGI application.

uvicorn --workers 4 asgi:app
hypercorn --workers 4 asgi:app
daphne asgi:app
"""

import logging

import logs

logs.configure()
log = logging.getLogger(__name__)


async def app(scope, receive, send):
    """Log the path of each request."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    log.info("hello from %s", scope["path"])
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello\n"})
