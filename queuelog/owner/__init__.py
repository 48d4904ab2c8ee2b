"""The arbiter's side: one process owns a spool, and writes what comes out of it, exactly once.

In: the handlers that the arbiter's configuration names, and batches from the spool. Out: records in
their sinks; counts of what was dropped, in the logs. Workers need nothing of this.

    owner      the parts of one owner       delivery   batches to the sinks that keep up ...
    spools     all spools of one owner      lagging    ... and to those that fail
    listener   what the thread does         transfer   one sink's part of a batch, exactly once
    ledger     what has reached the sinks   ownership  lock, doorbell and ledger
    status     what others are told of it   drops      what logs are told of dropped records
    recovery   owns left spools for a while between    commands, due rollovers
    handlers   whose files are ours         leftovers  spools that nobody owns any more
    foreign    another queue's way to it    handover   what another process shall write
"""
