"""Metrics for Prometheus: from outside, into a file, and by HTTP."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest
from harness import can_bind, free_port
from processes import open_files, workers
from prometheus_client.parser import text_string_to_metric_families
from spools import line, segment_of
from waiting import wait_for

from queuelog.base import SinkSpec


def samples(text):
    """Return the values of samples by name and first label."""
    families = text_string_to_metric_families(text)
    found = [sample for family in families for sample in family.samples]
    return {(one.name, next(iter(one.labels.values()), "")): one.value for one in found}


@pytest.fixture
def accepts():
    """Return a function that lets Prometheus' own tool judge what it would scrape."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is needed, of Debian's package prometheus")

    def judge(text):
        command = ["promtool", "check", "metrics"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    return judge


def scraped(port):
    """Return what a server tells Prometheus."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def sockets_of(port):
    """Return the inodes of the sockets that listen on a port."""
    lines = [one.split() for one in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [one[9] for one in lines if one[3] == "0A" and one[1].endswith(f":{port:04X}")]


def held_sockets(pid):
    """Return the inodes of the sockets that a process has open."""
    return [path[len("socket:[") : -1] for path in open_files(pid, below="socket:[")]


def test_a_server_has_metrics(server, spool, queuelog, accepts):
    """Which Prometheus' own tool accepts, with names and units as its conventions ask."""
    running = server().start()
    running.get("/log?start=0&count=50")
    path = str(running.log_dir / "load.log")
    key = ("queuelog_records_written_total", path)
    wait_for(lambda: samples(queuelog("metrics", spool).stdout).get(key) == 50, "all is told")
    text = queuelog("metrics", spool).stdout
    accepts(text)
    found = samples(text)
    size = len(running.text("load.log"))
    assert found["queuelog_written_bytes_total", path] == size
    assert found["queuelog_file_size_bytes", path] == size
    assert found["queuelog_failing", path] == 0
    assert "queuelog_next_rollover_timestamp_seconds" not in dict(found)
    (owned,) = [value for (name, _), value in found.items() if name == "queuelog_spool_owned"]
    assert owned == 1


def test_labels_are_escaped(directory, queuelog, accepts):
    """Whatever a process has called its file."""
    evil = '/log/"\\\n\x1b\udcff'
    described = SinkSpec(evil, "", "logging.FileHandler", {}).encode()
    path = Path(directory.incoming(directory.owner_uid), "1-1-00000000-0")
    path.write_bytes(segment_of(line(b"line\n", 1.5), line(b"line\n"), description=described))
    text = queuelog("metrics", directory.path).stdout
    accepts(text)
    sink = '/log/"\\\n\x1b\\udcff'
    found = samples(text)
    assert found["queuelog_backlog_records", sink] == 2
    assert found["queuelog_backlog_oldest_timestamp_seconds", sink] == 1
    assert found["queuelog_spool_owned", directory.path] == 0


def test_a_file_is_replaced_in_one_step(directory, queuelog, tmp_path):
    """node_exporter never reads half a file; where that cannot be, one sentence says so."""
    output = tmp_path / "queuelog.prom"
    output.write_text("before")
    with output.open() as before:
        assert queuelog("metrics", "--output", output, directory.path).stdout == ""
        assert before.read() == "before"
    assert samples(output.read_text())["queuelog_spool_owned", directory.path] == 0
    assert os.listdir(tmp_path) == ["queuelog.prom"]
    done = queuelog("metrics", "--output", tmp_path / "none" / "x", directory.path, code=2)
    assert done.stderr.startswith(f"queuelog: cannot write {tmp_path}/none/x: ")


def test_an_arbiter_serves_them_over_its_whole_life(server, accepts):
    """Over a reload, which forks; no worker listens there, and the port is free at the end."""
    port = free_port()
    running = server(confs=["with_metrics"], env={"METRICS": str(port)}).start()
    accepts(scraped(port))
    before = workers(running)
    running.send(signal.SIGHUP)
    wait_for(lambda: not set(workers(running)) & set(before), "other workers")
    key = ("queuelog_records_written_total", str(running.log_dir / "error.log"))
    wait_for(lambda: samples(scraped(port)).get(key, 0) > 0, "what was logged is told")
    (listening,) = sockets_of(port)
    holders = [pid for pid in [running.pid, *workers(running)] if listening in held_sockets(pid)]
    assert holders == [running.pid]
    assert running.stop() == 0
    assert can_bind(port)


def test_by_http_beside_forks(program):
    """No warning, no child has the socket, a slow client holds nobody up, and it ends with stop."""
    program()


def test_an_address_that_is_in_use(program):
    """Or that is none: an error at the start, after which nothing is left."""
    program()


def test_without_the_package(program):
    """The error says what to install."""
    done = program()
    assert "pip install 'queuelog[metrics]'" in done.stderr
