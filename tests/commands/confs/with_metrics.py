"""The arbiter serves metrics, at the port that the environment names."""

import os

import queuelog


def on_starting(server):
    queuelog.start(spool=os.environ["SPOOL"], metrics=f"127.0.0.1:{os.environ['METRICS']}")
