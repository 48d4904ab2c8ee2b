"""Settings of RQ's workers, which are started with `rq worker -c rq_settings`."""

import os

import logs

logs.configure()
REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
