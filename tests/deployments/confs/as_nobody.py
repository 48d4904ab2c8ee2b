"""What the documentation shows: the import line, and Gunicorn's own settings."""

import os

from queuelog.gunicorn import *  # noqa: F403

user = "nobody"
accesslog = f"{os.environ['LOG_DIR']}/access.log"
errorlog = f"{os.environ['LOG_DIR']}/error.log"
