"""What the tests of the commands share: the command itself, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("queuelog"))


@pytest.fixture
def queuelog(tmp_path):
    """Return a function that runs the command in the test's directory.

    Its exit code must be `code`, unless that is None.
    """

    def run(*arguments, code=0, prefix=(), **options):
        done = subprocess.run(
            [*prefix, sys.executable, "-W", "error", COMMAND, *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            **{"env": os.environ | {"COLUMNS": "80"}, **options},
        )  # fmt: skip
        assert code in (None, done.returncode), (done.stdout, done.stderr)
        return done

    return run
