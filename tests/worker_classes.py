"""The worker classes that are installed, and what else depends on the version of Gunicorn."""

from importlib.metadata import version
from importlib.util import find_spec

import gunicorn


def _release(text):
    return tuple(int(part) for part in text.split(".")[:2])


GUNICORN = _release(gunicorn.__version__)
RELOADS_LOGGING = GUNICORN >= (26, 1)  # SIGHUP configures logging anew

WSGI = ["sync", "gthread", "gevent", "tornado"]
UVICORN = []
if _release(version("uvicorn-worker")) >= (
    0,
    4,
):  # older ones, which Gunicorn 20.1 gets, cannot boot
    UVICORN.append("uvicorn_worker.UvicornWorker")
if find_spec("uvicorn.workers") is not None:  # deprecated, and so it will be gone some day
    UVICORN.append("uvicorn.workers.UvicornWorker")
ASGI = UVICORN[:1]
if GUNICORN >= (25, 0):  # Gunicorn has an ASGI worker of its own since then
    ASGI.append("asgi")
ASYNC = ["gthread", "gevent", "tornado", *ASGI]


def app_for(worker_class, module="loadapp"):
    """Return the application in `module` that a worker class can serve."""
    wsgi = worker_class in WSGI
    return f"{module}:app" if wsgi else f"{module}:asgi_app"
