"""There is no memory file system, and the temporary directory is `temporary`."""

import os
import tempfile

import inside

inside.take_for_memory("/nowhere")
tempfile.tempdir = os.path.abspath("temporary")
