"""Random lives of services, against the promise: each line is in its file once, or counted.

Hypothesis chooses the steps (model.py); a machine takes them (programs/machine.py), with real
processes, users and disks, in a corner of this computer that nobody else sees. What fails is
printed as a script, which can be run again, and made shorter by hand:

    SCRIPT=steps.txt pytest tests/model -k script
    EXAMPLES=1000 pytest --timeout 0 tests/model        # other choices at every run
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from console import NAMESPACES, run_script
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from model import Model

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
SCRIPTS = sorted(Path(__file__).parent.glob("scripts/*.txt"))
if "SCRIPT" in os.environ:
    SCRIPTS = [Path(os.environ["SCRIPT"])]


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    """Skip all where a process cannot have disks and processes of its own."""
    done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs namespaces: {done.stderr}")


@pytest.mark.root
@pytest.mark.timeout(900)
def test_random_lives_lose_double_and_tear_nothing():
    """The same choices at every run; others, and as many as EXAMPLES says, if it is set."""
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=EXAMPLES or 12,
            stateful_step_count=16,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            print_blob=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.root
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_that_has_lost_lines_once(path):
    """Each says in its first line what happens; or SCRIPT names another one."""
    run_script(path)
