"""Many writers and few descriptors; writers whose descriptors others have, too."""

import pytest
from counting import account

pytestmark = pytest.mark.root


@pytest.fixture
def run(program, machine, place, log_dir, monkeypatch):
    """Return a function that runs a program with the log directory, and counts a.log."""

    def run(name, *arguments, limits=()):
        acks = place / "acks"
        acks.write_bytes(bytes(100_000))
        monkeypatch.setenv("ACKS", str(acks))
        done = program(log_dir, *arguments, name=name, prefix=[*machine.prefix, *limits])
        print(done.stderr)
        return account("a.log", acks.read_bytes(), log_dir.glob("a.log*"))

    return run


@pytest.mark.parametrize(("limit", "writers"), [(64, 24), (256, 100)])
def test_more_writers_than_a_third_of_the_descriptors_lose_nothing(run, limit, writers):
    """A stop writes what every one of them has logged, while they live."""
    counted = run("many_writers", writers, 100, limits=["prlimit", f"--nofile={limit}"])
    counted.check(at_least=100 * writers)


@pytest.mark.parametrize("how", ["C fork", "Popen"])
def test_a_child_that_outlives_its_worker_keeps_no_line_back(run, how):
    """It has the descriptors of the worker's segment, and the lock on it, without its knowing."""
    run("child_outlives_its_worker", how).check(at_least=30_001)
