"""The owner of many files has few descriptors."""

import resource

import pytest


@pytest.fixture
def few_descriptors():
    """Let programs of this test have a hundred descriptors: queuelog looks when it is imported."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("limit", [("idle", 0.0), ("many", 2)], ids=["idle", "many"])
def test_a_file_for_each_job_leaves_no_descriptor_in_the_owner(program, log, tmp_path, limit):
    """Or after some hundreds of jobs the arbiter could open nothing any more."""
    program(*limit)
    assert len(log.read_text().splitlines()) == 200
    for number in range(100):
        assert (tmp_path / f"{number}.job").read_text() == f"INFO of {number}\n" * 2


@pytest.mark.usefixtures("few_descriptors")
def test_more_files_than_the_owner_has_descriptors_get_their_lines(program):
    """Each takes two: those that nobody writes make room for others."""
    program()


def test_stop_without_a_free_descriptor_keeps_the_records(program, log):
    """An arbiter that has too many files open must not end with an error, in on_exit."""
    stderr = program().stderr
    assert "Too many open files" in stderr
    assert "the records stay in the spool, and are written at the next start" in stderr
    assert log.read_text() == "INFO in\n"
