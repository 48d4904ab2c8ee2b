"""Gunicorn's server hooks, ready to use: ``from queuelog.gunicorn import *`` in the conf file.

Without a conf file: ``gunicorn -c python:queuelog.gunicorn …``. A conf file that has one of these
hooks itself calls the queuelog function in it.
"""

from __future__ import annotations

from typing import Any

import queuelog

__all__ = ["on_exit", "on_reload", "on_starting", "post_fork", "post_worker_init"]


def on_starting(server: Any) -> None:
    """In the arbiter, before the first fork."""
    queuelog.start()


def post_fork(server: Any, worker: Any) -> None:
    """In each worker."""
    queuelog.setup()


def post_worker_init(worker: Any) -> None:
    """In each worker, when the application was loaded: what it configured is taken over too."""
    queuelog.setup()


def on_reload(server: Any) -> None:
    """In the arbiter, on SIGHUP."""
    queuelog.setup()


def on_exit(server: Any) -> None:
    """In the arbiter, at the very end."""
    queuelog.stop()
