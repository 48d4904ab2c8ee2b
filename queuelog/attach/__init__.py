"""The logger tree of a process, and what its workers need: queue handlers in the place of others.

In: handlers that the user or an application has configured. Out: queue handlers, which put encoded
records into the spool; for programs below, an environment variable that tells them the same.

    attachment   which handlers are replaced    environment  what programs below inherit
    tree         the loggers and handlers       options      the arguments of start(), checked
    check        describe(): what will happen to each; entries, problems: its two lists
"""

from queuelog.attach.attachment import Attachment, Client
from queuelog.attach.check import Plan
from queuelog.attach.environment import Connection
from queuelog.attach.options import Options
from queuelog.attach.tree import ConfigurationHook
from queuelog.attach.writers import Writers

__all__ = [
    "Attachment", "Client", "ConfigurationHook", "Connection", "Options", "Plan", "Writers",
]  # fmt: skip
