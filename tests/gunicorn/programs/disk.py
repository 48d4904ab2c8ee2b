"""A program that has no memory file system."""

import logging
import os
from pathlib import Path

import inside
from prelude import root

import queuelog


def without_a_memory_file_system_the_spool_is_in_the_temporary_directory():
    """Start, log and stop without a spool of one's own."""
    inside.take_for_memory("/nowhere")
    root.addHandler(logging.FileHandler("a.log"))
    queuelog.start()
    root.error("here")
    queuelog.stop()
    assert Path("a.log").read_text() == "here\n"
    assert os.listdir(f"queuelog-{os.getuid()}") == []
