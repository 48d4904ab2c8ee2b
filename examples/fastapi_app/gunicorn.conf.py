"""Gunicorn for the FastAPI application: the import is all that queuelog needs.

In this directory: gunicorn main:app, or gunicorn -k asgi main:app
The files are in ./logs; another directory: LOG_DIR=/var/log/main gunicorn …
"""

import os

from queuelog.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 4
worker_class = "uvicorn_worker.UvicornWorker"

log_dir = os.path.abspath(os.environ.get("LOG_DIR", "logs"))
os.makedirs(log_dir, exist_ok=True)
accesslog = os.path.join(log_dir, "access.log")
errorlog = os.path.join(log_dir, "error.log")
