"""Files that are opened for a moment, perhaps by a path that a stranger has chosen."""

import shutil

import pytest

OPEN_A_TERMINAL = """
import os, pty, sys
from queuelog.base import opened

terminal = os.ttyname(pty.openpty()[1])
with opened(terminal, os.O_RDONLY | os.O_NONBLOCK):
    pass
try:
    os.open("/dev/tty", os.O_RDONLY)
except OSError:
    sys.exit()
sys.exit("the terminal can send signals to this process")
"""


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid")
def test_a_terminal_gets_no_power_over_a_session_leader(python):
    """As an arbiter is that systemd has started: whoever has the other end could end it."""
    python(OPEN_A_TERMINAL, prefix=["setsid", "-w"])
