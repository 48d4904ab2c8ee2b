"""`queue=`: a queue of somebody else's in the place of the spool."""


def test_a_multiprocessing_queue_does_for_comparison(program, tmp_path):
    """The records of several workers arrive, with a rollover among them."""
    program()
    paths = [*tmp_path.glob("app.log*")]
    lines = [line for path in paths for line in path.read_text().split()]
    assert sorted(lines) == sorted([f"{number:03d}" for number in range(100)] * 2 + ["arbiter"])
    assert len(paths) > 1


def test_a_record_that_is_longer_than_the_limit_holds_nothing_up(program, log):
    """It is dropped and counted: waiting for room that never comes, it would stop all others."""
    program()
    *lines, said = log.read_text().splitlines()
    assert lines == ["before", "after", "after", "after"]
    assert "1 records were dropped" in said


def test_a_full_spool_leaves_the_rest_in_the_queue(program, log):
    """What has no room yet comes at the stop, at the latest, in its order."""
    program()
    assert log.read_text().split() == [f"{number:0500d}" for number in range(1000)]


def test_a_queue_that_somebody_closes_costs_no_later_line(program, log):
    """Lines go past the owner, nothing is raised into the application, and the stop works."""
    assert "lines go to their files directly" in program().stderr
    assert log.read_text().endswith("after\n")


def test_an_item_that_cannot_be_unpickled_costs_no_other_one(program, log):
    """Nor does it come out of stop()."""
    assert "passed over" in program().stderr
    assert log.read_text() == "before\nafter\n"


def test_a_second_service_moves_its_lines_into_the_spool(program, background, log):
    """They wait there for the owner, also when the second one has ended before it."""
    owner = background("own_the_spool")
    assert owner.stdout.readline() == "up\n"
    program()
    assert not owner.communicate()[1]
    assert log.read_text().split() == [*"01234"]


def test_a_stop_leaves_no_descriptor(program):
    """An application may start and stop for each of its jobs."""
    program()


def test_whatever_a_queue_raises_stays_out_of_the_application(program):
    """It is said as the standard library says what goes wrong in a handler."""
    stderr = program().stderr
    assert "--- Logging error ---" in stderr
    assert "RuntimeError: not now" in stderr
