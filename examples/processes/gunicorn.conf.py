"""Gunicorn beside the other services, started with `gunicorn -k asgi asgi:app`."""

import queuelog.gunicorn

bind = "127.0.0.1:8000"
workers = 4

queuelog.gunicorn.install(globals())
