"""A Flask application factory; logging is configured as in Flask's documentation, with a file.

https://flask.palletsprojects.com/en/stable/logging/

GET /                      logs a line
GET /log?start=S&count=N   logs the numbers S .. S+N-1
GET /fail                  fails: Flask logs the traceback to the application's logger
"""

import os
from logging.config import dictConfig

from flask import Flask, request

LOG_DIR = os.environ.get("LOG_DIR", "logs")


def create_app():
    """Make the application; logging first, as the documentation says."""
    dictConfig(
        {
            "version": 1,
            "formatters": {
                "default": {"format": "[%(asctime)s] %(levelname)s in %(module)s: %(message)s"}
            },
            "handlers": {
                "wsgi": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://flask.logging.wsgi_errors_stream",
                    "formatter": "default",
                    "level": "ERROR",
                },
                "file": {
                    "class": "logging.handlers.RotatingFileHandler",
                    "filename": os.path.join(LOG_DIR, "flask.log"),
                    "maxBytes": int(os.environ.get("LOG_BYTES", "10_000_000")),
                    "backupCount": 20,
                    "formatter": "default",
                },
            },
            "root": {"level": "INFO", "handlers": ["wsgi", "file"]},
            "disable_existing_loggers": False,
        }
    )
    app = Flask(__name__)

    @app.get("/")
    def index():
        app.logger.info("hello from %s", request.path)
        return "hello\n"

    @app.get("/log")
    def log():
        start, count = int(request.args["start"]), int(request.args["count"])
        for number in range(start, start + count):
            app.logger.info("number=%08d", number)
        return f"{count} lines\n"

    @app.get("/fail")
    def fail():
        raise RuntimeError("as you wished")

    return app
