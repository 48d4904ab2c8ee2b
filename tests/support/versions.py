"""What differs between versions of Gunicorn, in one place, each with the reason."""

from importlib.metadata import version


def _release(text):
    return tuple(int(part) for part in text.split(".")[:2])


GUNICORN = _release(version("gunicorn"))

# "Worker (pid:…) was sent SIGKILL!" is in the error log since 21.0.
LOGS_KILLS = GUNICORN >= (21, 0)
# 20.1 imports pkg_resources, which warns that it is deprecated.
WARNS_ITSELF = GUNICORN < (21, 0)
# A worker class for ASGI of Gunicorn's own, dirty workers, a control socket: since 25.0.
HAS_ASGI = HAS_DIRTY = GUNICORN >= (25, 0)
# Its control socket's thread came back twice after a fork before 26 (its issues 3509 and 3648).
LEAKS_THREADS = HAS_DIRTY and GUNICORN < (26, 0)
# SIGHUP configures logging anew since 26.1.
RELOADS_LOGGING = GUNICORN >= (26, 1)
# uvicorn-worker before 0.4, which Gunicorn 20.1 gets, cannot boot with Uvicorn from 0.36 on.
HAS_UVICORN_WORKER = _release(version("uvicorn-worker")) >= (0, 4) or (
    _release(version("uvicorn")) < (0, 36)
)
