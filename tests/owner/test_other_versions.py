"""A spool of another version of queuelog is left alone: nothing that waits in it is lost."""

import os
import re
import zlib
from pathlib import Path

import inside
import pytest
from spools import segments, the_spool

LEDGERS = {
    "older": b'{"number":99,"main":{"offsets":{},"ends":null,"marks":{}},"held":{}}',
    "newer": b'{"format":99,"number":99,"cursors":[]}',
}
ADVICE = ("another version of queuelog", "Start that version once", "remove the directory")


@pytest.fixture(params=LEDGERS)
def other(request, program, spool):
    """Return a spool with a segment, whose owner was killed, and a ledger of another version."""
    program(name="leave_a_line", check=False)
    text = LEDGERS[request.param]
    left = the_spool(spool)
    Path(left.ledger).write_bytes(b"\n%08x %s\n" % (zlib.crc32(text), text))
    Path(left.registry).write_text('{"format": 99}' if request.param == "newer" else "")
    return Path(left.path)


def snapshot(spool):
    """Return all that can be known of the files in a spool, and of their directories."""
    found = {}
    for path in [spool, *spool.rglob("*")]:
        stat = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[path] = (stat.st_mode, stat.st_uid, stat.st_ino, stat.st_ctime_ns, data)
    return found


@pytest.mark.parametrize("owner", ["a live owner", "no owner"])
def test_a_start_beside_it_goes_on_and_changes_nothing_in_it(program, other, log, owner):
    """What waits there is that version's to write; the report says what to do."""
    lock = inside.lock(other / "lock")
    if owner == "a live owner":
        assert lock.acquire()
    before = snapshot(other)
    done = program(name="log_a_line")
    for part in (str(other), *ADVICE):
        assert (part in done.stderr) == (owner == "no owner")
    assert snapshot(other) == before
    assert [line for line in log.read_text().splitlines() if str(other) not in line] == ["new"]
    lock.close()


def test_nothing_is_made_in_a_spool_that_is_left_alone(program, other, log):
    """That version may have other directories than this one."""
    (other / "bell").unlink()
    (other / str(os.geteuid())).rename(other / "elsewhere")
    other.chmod(0o750)
    before = snapshot(other)
    assert str(other) in program(name="log_a_line").stderr
    assert snapshot(other) == before
    assert "new" in log.read_text().splitlines()


def test_a_clean_stop_leaves_nothing_for_another_version(program, spool, log):
    """Whoever ends the server before the new version is installed has nothing to do."""
    program(name="leave_a_line", check=False)
    program(name="log_a_line")
    assert log.read_text() == "left\nnew\n"
    assert not list(Path(spool).iterdir())


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_stands_in_the_place_of_the_ledger_is_said(program, spool, log, tmp_path, kind):
    """Nothing is read from it, and nothing is written to it."""
    program(name="leave_a_line", check=False)
    path = Path(the_spool(spool).ledger)
    path.unlink()
    if kind == "directory":
        path.mkdir()
    else:
        (tmp_path / "target").write_text("target")
        path.symlink_to(tmp_path / "target")
    done = program(name="log_a_line")
    assert f"{the_spool(spool).path}" in done.stderr
    assert "new" in log.read_text().splitlines()
    assert kind != "link" or (tmp_path / "target").read_text() == "target"


def test_a_server_starts_beside_it_and_says_so(server, other):
    """Its own lines are written, and its log names the directory and what to do."""
    before = snapshot(other)
    running = server().start()
    running.wait_for_report(str(other))
    for part in ADVICE:
        running.logged(part.encode())
    running.get("/log?start=0&count=5")
    assert running.stop() == 0
    running.count().check(5)
    assert snapshot(other) == before


def test_a_segment_of_another_version_waits_while_others_are_written(program, spool, log):
    """A start beside it is no loss: it is reported, counts as no backlog, and stays as it is."""
    program(name="leave_a_line", check=False)
    (left,) = segments(the_spool(spool))
    other = left.with_name("1-1-0")
    data = re.sub(rb"format \d+", b"format 9", left.read_bytes())
    other.write_bytes(data * (100_000 // len(data)))
    stat = other.stat()
    done = program(name="log_beside_it")
    assert f"segment {other} is left alone" in done.stderr
    (report,) = [line for line in log.read_text().splitlines() if "is left alone" in line]
    assert str(other) in report
    assert log.read_text().replace(f"{report}\n", "") == "left\n" + 60 * f"{'x' * 1000}\n"
    assert (other.stat().st_ino, other.stat().st_ctime_ns) == (stat.st_ino, stat.st_ctime_ns)
    assert segments(the_spool(spool)) == [other]
    assert "dropped" not in done.stderr
