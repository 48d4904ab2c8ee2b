"""A spool of another version of queuelog is left alone: nothing that waits in it is lost."""

import os
import re
import zlib
from pathlib import Path

import inside
import pytest

LEDGERS = {
    "older": b'{"number":99,"main":{"offsets":{},"ends":null,"marks":{}},"held":{}}',
    "newer": b'{"format":99,"number":99,"cursors":[]}',
}
ADVICE = (
    "another version of queuelog",
    "Start that version once",
    "remove the directory",
    "spool=",
)


@pytest.fixture(params=LEDGERS)
def other(request, program, spool):
    """Return a spool with a segment, whose owner was killed, and a ledger of another version."""
    program(name="leave_a_line", check=False)
    text = LEDGERS[request.param]
    Path(spool, "ledger").write_bytes(b"\n%08x %s\n" % (zlib.crc32(text), text))
    return Path(spool)


def snapshot(spool):
    """Return all that can be known of the files in a spool, and of their directories."""
    found = {}
    for path in [spool, *spool.rglob("*")]:
        stat = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[path] = (stat.st_mode, stat.st_uid, stat.st_ino, stat.st_ctime_ns, data)
    return found


@pytest.mark.parametrize("owner", ["a live owner", "no owner"])
def test_the_start_is_refused_and_changes_nothing(program, other, log, owner):
    """Both versions would write, and rotate, the same files; the error says what to do."""
    lock = inside.lock(other / "lock", "process 1")
    if owner == "a live owner":
        assert lock.acquire()
    before, written = snapshot(other), log.read_bytes()
    done = program(name="just_start", check=False)
    assert "SpoolError" in done.stderr
    for part in (str(other), *ADVICE):
        assert part in done.stderr
    assert snapshot(other) == before
    assert log.read_bytes() == written
    lock.close()


def test_nothing_is_made_in_a_spool_that_is_refused(program, other):
    """That version may have other directories than this one."""
    (other / "bell").unlink()
    (other / str(os.geteuid())).rename(other / "elsewhere")
    other.chmod(0o750)
    before = snapshot(other)
    assert "SpoolError" in program(name="just_start", check=False).stderr
    assert snapshot(other) == before


@pytest.mark.parametrize("version", LEDGERS)
def test_a_spool_in_which_nothing_waits_begins_anew(program, spool, log, version):
    """Whoever ends the server before the new version is installed has nothing to do."""
    program(name="leave_a_line", check=False)
    program(name="just_start")
    text = LEDGERS[version]
    Path(spool, "ledger").write_bytes(b"\n%08x %s\n" % (zlib.crc32(text), text))
    program(name="leave_a_line", check=False)
    program(name="just_start")
    assert log.read_text() == "left\nleft\n"


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_stands_in_the_place_of_the_ledger_is_said(program, spool, tmp_path, kind):
    """Nothing is read from it, and the error says what to do."""
    path = Path(spool, "ledger")
    path.parent.mkdir(mode=0o700)
    if kind == "directory":
        path.mkdir()
    else:
        (tmp_path / "target").write_text("target")
        path.symlink_to(tmp_path / "target")
    done = program(name="just_start", check=False)
    assert "SpoolError" in done.stderr
    assert spool in done.stderr
    assert "start(spool=" in done.stderr
    assert kind != "link" or (tmp_path / "target").read_text() == "target"


def test_a_server_is_not_started_with_it(server, other):
    """Gunicorn ends, and its error names the directory and what to do."""
    before = snapshot(other)
    refused = server().start(wait=False)
    assert refused.process.wait(60) != 0
    for part in ("SpoolError", str(other), *ADVICE):
        assert part in refused.errors()
    assert snapshot(other) == before


def test_a_segment_of_another_version_waits_while_others_are_written(program, spool, log):
    """A start beside it is no loss: it is reported, counts as no backlog, and stays as it is."""
    program(name="leave_a_line", check=False)
    (left,) = Path(spool, str(os.geteuid())).iterdir()
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
    assert "dropped" not in done.stderr
