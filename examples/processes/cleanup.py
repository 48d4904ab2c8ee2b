"""A cron job, started with `python cleanup.py`."""

import logging

import logs

logs.configure()
logging.getLogger("cleanup").info("nothing to clean up")
