"""Stopping while the process logs on."""

import pytest
from counting import account


@pytest.mark.parametrize("kind", ["size", "time"])
def test_stop_while_threads_log_and_the_file_rolls_over(
    program, tmp_path, log_dir, monkeypatch, kind
):
    """What was logged before, during and after is in the file or a backup, by a slow rotator."""
    acks = tmp_path / "acks"
    acks.write_bytes(bytes(20_000))
    monkeypatch.setenv("ACKS", str(acks))
    program(log_dir, kind, name="stop_while_threads_log")
    counted = account("a.log", acks.read_bytes(), log_dir.glob("a.log*"))
    print(f"{len(list(log_dir.iterdir()))} files")
    counted.check(at_least=10_000)
