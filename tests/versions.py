"""What differs between versions of Gunicorn, in one place, each with the reason."""

import gunicorn

GUNICORN = tuple(int(part) for part in gunicorn.__version__.split(".")[:2])

# "Worker (pid:…) was sent SIGKILL!" is in the error log since 21.0.
LOGS_KILLS = GUNICORN >= (21, 0)
# 20.1 imports pkg_resources, which warns that it is deprecated.
WARNS_ITSELF = GUNICORN < (21, 0)
# A worker class for ASGI of Gunicorn's own: since 25.0.
HAS_ASGI = GUNICORN >= (25, 0)
