"""A Celery application, started with `celery -A celery_app worker --concurrency 4`."""

import logging
import os

import logs
from celery import Celery
from celery.signals import setup_logging

log = logging.getLogger(__name__)
app = Celery("services", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"))
setup_logging.connect(logs.configure)


@app.task
def hello(name):
    """Log a line."""
    log.info("hello, %s", name)
