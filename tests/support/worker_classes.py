"""The worker classes that are installed, and the applications that they serve."""

from importlib.util import find_spec

from versions import HAS_ASGI, HAS_UVICORN_WORKER

WSGI = ["sync", "gthread", "gevent", "tornado"]
UVICORN = []
if HAS_UVICORN_WORKER:
    UVICORN.append("uvicorn_worker.UvicornWorker")
if find_spec("uvicorn.workers") is not None:  # deprecated, and so it will be gone some day
    UVICORN.append("uvicorn.workers.UvicornWorker")
ASGI = UVICORN[:1]
if HAS_ASGI:
    ASGI.append("asgi")
ASYNC = ["gthread", "gevent", "tornado", *ASGI]


def app_for(worker_class, module="loadapp"):
    """Return the application in `module` that a worker class can serve."""
    wsgi = worker_class in WSGI
    return f"{module}:app" if wsgi else f"{module}:asgi_app"
