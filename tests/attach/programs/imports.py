"""Programs of test_imports.py; what runs below them is in below.py."""

import os
import subprocess
import sys

import run_program
from prelude import SPOOL, add_log, start

import queuelog

BELOW = os.path.join(os.path.dirname(__file__), "below.py")


def a_program_below_the_owner_loads_nothing_of_the_owners_side():
    add_log()
    start()
    command = [sys.executable, "-W", "error", run_program.__file__, BELOW, "modules", SPOOL]
    subprocess.run(command, check=True)
    queuelog.stop()
