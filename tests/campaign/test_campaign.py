"""A short form of the crash campaign, with the same choices at every run."""

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).with_name("campaign.py")
SHORT = {
    "worker-kills": 20, "arbiter-kills": 2, "group-kills": 4, "upgrades": 2, "reloads": 5,
    "soak": 0.25,
}  # fmt: skip


@pytest.mark.parametrize("attack", SHORT)
def test_the_campaign_loses_doubles_and_tears_nothing(attack):
    """Failures B2, B10a, B14: kills of workers, arbiters, all at once; upgrades, reloads, churn."""
    times = SHORT[attack]
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "--seed", "1", f"--{attack}", str(times)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    found = [row for row in rows if row[0] == attack.replace("-", "_")]
    assert [row[1] for row in found] == ["size", "timed"]
    for row in found:
        assert int(row[3]) > 1_000
        assert row[5:] == ["0", "0", "0"]
