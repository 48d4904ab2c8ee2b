"""`queue=`: a queue of somebody else's in the place of the spool."""


def test_a_multiprocessing_queue_does_for_comparison(program, tmp_path):
    """The records of several workers arrive, with a rollover among them."""
    program()
    paths = [*tmp_path.glob("app.log*")]
    lines = [line for path in paths for line in path.read_text().split()]
    assert sorted(lines) == sorted([f"{number:03d}" for number in range(100)] * 2 + ["arbiter"])
    assert len(paths) > 1
