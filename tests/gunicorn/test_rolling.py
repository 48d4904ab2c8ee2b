"""Files with a policy below real Gunicorn: by size and time, compressed, and removed in the end."""

import re

import pytest
from harness import Load
from rotating import by_policy, unpack
from waiting import wait_for

SECOND = re.compile(r"load\.log\.(?P<at>[\d-]+_[\d-]+)(\.\d+)?")


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_size_and_time_and_compression_lose_nothing(server, worker_class):
    """Each line is in a file of the second in which it was logged, and no file is too large."""
    handler = by_policy(when="S", max_size=50_000, compression="gzip", utc=True)
    running = server(workers=4, worker_class=worker_class, handler=handler).start()
    with Load(running) as load:
        load.go_on(3.5)
    wait_for(lambda: [*running.log_dir.glob("*.gz")], "an archive")
    assert running.stop() == 0
    unpack(running.log_dir)
    running.count().check(at_least=800)
    backups = [path for path in running.log_dir.iterdir() if SECOND.fullmatch(path.name)]
    assert len(backups) >= 3
    for path in backups:
        data = path.read_bytes()
        assert 0 < len(data) < 50_000
        assert len({line.split(b".")[0] for line in data.splitlines()}) == 1, path
    assert not [*running.log_dir.glob(".*.tmp")]


def test_one_line_rotates_gunicorns_own_files(server, spool):
    """`install(globals(), rotation={…})`: its log files are plain file handlers."""
    rotation = {"max_size": 500, "compression": "gzip", "keep": 3}
    extra = (
        "del logconfig_dict\naccesslog = 'logs/access.log'\nerrorlog = 'logs/error.log'\n"
        "import queuelog.gunicorn\n"
        f"queuelog.gunicorn.install(globals(), spool={spool!r}, rotation={rotation!r})\n"
    )
    running = server(extra=extra).start()
    for _ in range(20):
        running.get("/pid")
    wait_for(lambda: len([*running.log_dir.glob("access.log.*.gz")]) == 3, "three archives")
    assert running.stop() == 0
    assert all(path.stat().st_size < 500 for path in running.log_dir.glob("*.log"))
    assert {*running.log_dir.glob("access.log.*")} >= {
        running.log_dir / f"access.log.{number}.gz" for number in (2, 3)
    }


def test_a_wrong_option_keeps_the_server_from_no_more_than_rotation(server, spool):
    """Gunicorn says what is wrong, and does not start: the conf file has an error."""
    extra = (
        "import queuelog.gunicorn\n"
        f"queuelog.gunicorn.install(globals(), spool={spool!r}, rotation={{'max_size': 'big'}})\n"
    )
    running = server(extra=extra).start(wait=False)
    assert running.process.wait(30) != 0
    assert "max_size='big'" in running.errors()
