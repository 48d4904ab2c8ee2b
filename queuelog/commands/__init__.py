"""The command ``queuelog``: what can be seen, and asked for, from outside of a server.

cli         the parser of the whole command line, and what becomes of errors
command     what every subcommand has: help with an example, exit codes, errors
status      what every spool has, and who owns it
find        ... which spools that are
metrics     the same for Prometheus
rotate      a running owner rolls files over now
recover     what waits in spools that nobody owns is written
progress    ... and how far that is
tables      tables on a terminal
serve       a log server of its own
configuration, systemd    ... what it reads, and who starts it
check       what a conf file and an application configure, before a server is started
dryrun      ... as Gunicorn would configure it
conffile    ... and what is wrong with a conf file's hooks
tail        what is logged, in one stream, before it is in the files
tailing     ... what was asked for of it, and how it gets to the terminal
stream      ... of all spools, as one
lookout     ... as soon as they are there
order       ... in order of time
lines       ... as lines
top         what is logged just now, once a second
watching    ... on a terminal, with its keys and its size
frames      ... as tables, for which there is room
rates       ... and how much it is in a second

Each module that is called as a subcommand has `add_to(commands)` and `run(arguments)`; what it
needs beside argparse it imports in `run`, so that ``queuelog --help`` is quick.
"""
