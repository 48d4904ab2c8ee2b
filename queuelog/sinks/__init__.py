"""The sinks: where records end, each written by the one process that owns it.

In: items of one batch, in order of time. Out: bytes in log files, which roll over as their handlers
say, or records handed to a handler that writes itself. Before each piece is written a sink gives
out a mark (`protocol`), by which it can tell after a crash what of the batch it has.

    protocol    what every sink can do         file      a log file, and with whose rights
    registry    all sinks                      log_file  ... and its backups: where lines go
    configured  ... of the configuration       follow    its descriptor, which follows moved files
    targets     ... that workers have named    claim     the lock on it
    unfinished  ... with half a line           position  how much of a batch is in it
    rollover    when and how it rolls over:    record    a handler that writes itself
                as its handler says, or a      received  a record that it gets
                policy of ours                 remote    a log server
    strangers   who writes past the owner      exchange  ... over its connection
    convert     lines and records              route     the log server that this process is
"""

from queuelog.sinks.configured import Configured
from queuelog.sinks.protocol import Items, Mark, Unanswered, interrupts
from queuelog.sinks.received import ReceivedRecord
from queuelog.sinks.registry import Sinks
from queuelog.sinks.route import Tree
from queuelog.sinks.targets import Targets

__all__ = [
    "Configured", "Items", "Mark", "ReceivedRecord", "Sinks", "Targets", "Tree", "Unanswered",
    "interrupts",
]  # fmt: skip
