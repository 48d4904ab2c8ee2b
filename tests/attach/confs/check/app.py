"""An application with handlers of its own: a file, and a class that only it has."""

import logging
import logging.handlers
import os


class Own(logging.FileHandler):
    def emit(self, record):
        pass


logging.getLogger("app").addHandler(logging.FileHandler(os.environ.get("FILE", "app.log")))
logging.getLogger("app").addHandler(Own("own.log", "w"))


def app(environ, start_response):
    pass
