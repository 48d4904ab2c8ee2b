"""loadapp whose factory, called in the worker, adds a log file: app.log in the directory logs."""

import logging.config

import loadapp

FILE = {"class": "logging.FileHandler", "filename": "logs/app.log", "delay": True}


def create():
    """Return the application."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"app": FILE},
            "loggers": {"rights": {"handlers": ["app"], "propagate": False}},
        }
    )
    logging.getLogger("rights").error("here")
    return loadapp.app
