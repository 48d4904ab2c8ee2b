"""A Celery application that logs as Celery configures it.

celery -A celery_logfile worker --loglevel INFO --logfile logs/celery.log
"""

import os

from celery import Celery
from celery.signals import after_setup_task_logger

import queuelog

app = Celery("services", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"))


@after_setup_task_logger.connect
def own_log_file(**_):
    """Celery has configured its last logger."""
    queuelog.start()
