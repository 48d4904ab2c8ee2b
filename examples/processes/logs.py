"""The logging of all services of a host: each of their processes calls `configure()`, first of all.

The file is in ./logs; another directory: LOG_DIR=/var/log/services
"""

import logging.config
import os

import queuelog

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": os.path.join(os.environ.get("LOG_DIR", "logs"), "services.log"),
            "maxBytes": int(os.environ.get("LOG_BYTES", "10_000_000")),
            "backupCount": int(os.environ.get("LOG_BACKUPS", "10")),
            "formatter": "line",
        },
    },
    "root": {"level": "INFO", "handlers": ["file"]},
}


def configure(**_):
    """Configure logging; let one process at a time write the file, for all of them."""
    logging.config.dictConfig(LOGGING)
    queuelog.start()
