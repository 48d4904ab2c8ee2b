"""Settings of a small project; LOGGING is as in Django's documentation.

https://docs.djangoproject.com/en/5.2/howto/logging/
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
LOG_DIR = Path(os.environ.get("LOG_DIR", BASE_DIR / "logs"))

SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example")
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["polls"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "verbose": {
            "format": "{levelname} {asctime} {module} {process:d} {thread:d} {message}",
            "style": "{",
        },
    },
    "handlers": {
        "file": {
            "class": "logging.handlers.TimedRotatingFileHandler",
            "filename": LOG_DIR / "django.log",
            "when": os.environ.get("LOG_WHEN", "midnight"),
            "backupCount": 30,
            "formatter": "verbose",
        },
        "request": {
            "class": "logging.handlers.TimedRotatingFileHandler",
            "filename": LOG_DIR / "request.log",
            "when": os.environ.get("LOG_WHEN", "midnight"),
            "backupCount": 30,
            "formatter": "verbose",
        },
    },
    "root": {"handlers": ["file"], "level": "INFO"},
    "loggers": {
        "django.request": {"handlers": ["request"], "level": "WARNING", "propagate": False},
    },
}
