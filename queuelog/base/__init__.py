"""What every room stands on: reports, locks, directories, forks, and what a sink number means.

Nothing here knows of spools, sinks or loggers. In: paths, handlers of the standard library. Out:
descriptions of handlers (`spec`), exclusive locks (`locks`), directories that are safe to use
(`directories`), a last resort for a line (`last_resort`) and for an error message (`report`).
"""
