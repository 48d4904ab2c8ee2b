"""Rotation under load: no line lost, doubled or torn, and every backup within its limit."""

import pytest
from harness import Load
from rotating import by_second, by_size


def test_size_rotation_of_four_workers_loses_nothing(server):
    """Failures A3: RotatingFileHandler in each worker loses 13 to 27 % of the lines."""
    running = server(workers=4, handler=by_size(100_000)).start()
    with Load(running, limit=20_000, pause=0) as load:
        load.join()
    assert running.stop() == 0
    running.count().check(at_least=20_000)
    sizes = [path.stat().st_size for path in running.log_dir.glob("load.log.*")]
    assert len(sizes) > 5
    assert all(90_000 < size <= 100_000 for size in sizes)


@pytest.mark.parametrize("backup_count", [0, 1000])
def test_timed_rotation_of_four_workers_loses_nothing(server, backup_count):
    """Failures A1 and A2: TimedRotatingFileHandler in each worker loses up to 89 %."""
    running = server(workers=4, handler=by_second(backupCount=backup_count)).start()
    with Load(running) as load:
        load.go_on(3.5)
    assert running.stop() == 0
    running.count().check(at_least=800)
    assert len(list(running.log_dir.glob("load.log.*"))) >= 3


def test_a_record_is_in_the_file_of_its_second(server):
    """Failures A2: half of the lines land in the wrong file."""
    running = server(handler=by_second(utc=True)).start()
    with Load(running) as load:
        load.go_on(3.5)
    running.stop()
    running.count().check(at_least=800)
    for path in running.log_dir.glob("load.log.*"):
        seconds = {line.split(b".")[0] for line in path.read_bytes().splitlines()}
        assert len(seconds) <= 1, (path, seconds)  # the first may be empty
