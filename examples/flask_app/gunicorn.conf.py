"""Gunicorn for the Flask application: the import is all that queuelog needs.

In this directory: gunicorn 'hello:create_app()'
The files are in ./logs; another directory: LOG_DIR=/var/log/hello gunicorn …
"""

import os

from queuelog.gunicorn import *  # noqa: F403

bind = "127.0.0.1:8000"
workers = 4
threads = 4

log_dir = os.path.abspath(os.environ.get("LOG_DIR", "logs"))
os.makedirs(log_dir, exist_ok=True)
accesslog = os.path.join(log_dir, "access.log")
errorlog = os.path.join(log_dir, "error.log")
