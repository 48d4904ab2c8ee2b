"""Handlers: the one that queuelog puts in a file handler's place, and those for users to name.

In: a log record. Out: a frame for the spool (`QueueHandler`), or, used without `queuelog.start()`,
a line in a file that rolls over (`RollingFileHandler`) or a record for a log server
(`ServerHandler`).
"""

from queuelog.handlers.queueing import QueueHandler, write_past_owner
from queuelog.handlers.rolling import RollingFileHandler, policy_of
from queuelog.handlers.server import ServerHandler

__all__ = ["QueueHandler", "RollingFileHandler", "ServerHandler", "policy_of", "write_past_owner"]

for _class in (QueueHandler, RollingFileHandler, ServerHandler):
    _class.__module__ = __name__  # configurations and messages name them so
