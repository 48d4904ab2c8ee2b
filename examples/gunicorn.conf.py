"""Gunicorn with queuelog: four workers, five log files, one owner.

From the repository's root: gunicorn -c examples/gunicorn.conf.py app:app
The files are in ./logs; another directory: LOG_DIR=/var/log/app gunicorn …
"""

import os

import queuelog.gunicorn

bind = "127.0.0.1:8000"
workers = 4
pythonpath = os.path.dirname(os.path.abspath(__file__))

log_dir = os.path.abspath(os.environ.get("LOG_DIR", "logs"))
os.makedirs(log_dir, exist_ok=True)


def file(name, formatter="line"):
    """Return the configuration of a file that rolls over at midnight and is kept for 30 days."""
    return {
        "class": "logging.handlers.TimedRotatingFileHandler",
        "filename": os.path.join(log_dir, name),
        "when": "midnight",
        "backupCount": 30,
        "encoding": "utf-8",
        "formatter": formatter,
    }


logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s [%(process)d] [%(levelname)s] %(name)s: %(message)s"},
        "access": {"format": "%(message)s"},
    },
    "handlers": {
        "root": file("root.log"),
        "serving": file("serving.log"),
        "webhook": file("webhook.log"),
        "error": file("error.log"),
        "access": file("access.log", "access"),
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"level": "INFO", "handlers": ["root"]},
    "loggers": {
        "serving": {"level": "INFO", "handlers": ["serving"], "propagate": False},
        "webhook": {"level": "INFO", "handlers": ["webhook"], "propagate": False},
        "gunicorn.error": {
            "level": "INFO",
            "handlers": ["error", "console"],
            "propagate": False,
        },
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}

queuelog.gunicorn.install(globals())
