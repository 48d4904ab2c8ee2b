"""Gunicorn for the Django project; settings.py knows nothing of queuelog.

In this directory: gunicorn mysite.wsgi, or gunicorn -k asgi mysite.asgi
The files are in ./logs; another directory: LOG_DIR=/var/log/mysite gunicorn …
"""

import os

import queuelog.gunicorn

bind = "127.0.0.1:8000"
workers = 4

log_dir = os.path.abspath(os.environ.get("LOG_DIR", "logs"))
os.makedirs(log_dir, exist_ok=True)
accesslog = os.path.join(log_dir, "access.log")
errorlog = os.path.join(log_dir, "error.log")

# The commands of manage.py, which log into the same files, find this server by them.
queuelog.gunicorn.install(globals(), spool=os.environ.get("SPOOL"))
