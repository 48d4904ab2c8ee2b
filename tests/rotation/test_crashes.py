"""A crash at any system call: the next process finishes it; nothing lost, doubled, or left over."""

from pathlib import Path

import pytest

POINTS = {"size": 50, "dated": 60, "numbered": 80, "gzip": 60}  # there are more


@pytest.mark.timeout(900)  # a point takes three processes
@pytest.mark.parametrize("scenario", POINTS)
def test_a_kill_at_any_system_call_is_repaired(program, spool, scenario):
    """In a rollover, a late record, a compression, the retention, and in the repair itself."""
    directory = Path(spool).parent  # on the memory file system
    done = program(directory, scenario, name="every_system_call")
    assert int(done.stdout) > POINTS[scenario]
