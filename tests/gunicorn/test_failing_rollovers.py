"""Failures B13: a disk that fails in the middle of a rollover, and in a rotator that compresses."""

import gzip
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from counting import count
from disks import fill, run
from harness import Load
from processes import children, wait_for_end
from rotating import by_size
from waiting import wait_for

pytestmark = pytest.mark.root
GZIP = by_size(200_000, **{"class": "rotators.GzipHandler"})


def decompressed(running):
    """Count with compressed backups decompressed; an incomplete one whose source is there is none.

    Killed after it has written the compressed file and before it has removed the other one, the
    rotator leaves both: one file twice, which is left out.
    """
    directory = Path(shutil.copytree(running.log_dir, running.directory / "counted"))
    texts = [p.read_bytes() for p in directory.glob("load.log*") if p.suffix != ".gz"]
    for path in directory.glob("load.log*.gz"):
        data = b""
        with suppress(EOFError, OSError):
            data = gzip.decompress(path.read_bytes())
        path.unlink()
        if not any(text.startswith(data) for text in texts):
            path.with_suffix("").write_bytes(data)
    return count(running.acks.read_bytes(), directory.glob("load.log*"))


def leave_room_for_lines(log_dir):
    """Fill the disk: lines up to the rollover have room, but not what they are compressed to."""
    filler = log_dir / "filler"
    fill(filler)
    room = GZIP["maxBytes"] - (log_dir / "load.log").stat().st_size + 16384
    os.truncate(filler, filler.stat().st_size - room)


@pytest.mark.parametrize("kill", [False, True], ids=["full", "killed"])
def test_a_rotator_without_room_to_compress_loses_nothing(server, mount, kill):
    """The file is too long for a while, but it is complete, and so is each backup."""
    running = server(handler=GZIP)
    mount(running.log_dir, "-t", "tmpfs", "-o", "size=800k", "none")
    running.start()
    with Load(running) as load:
        wait_for(lambda: list(running.log_dir.glob("load.log.*.gz")), "a rollover")
        for size in (16, 32) if kill else (16,):
            leave_room_for_lines(running.log_dir)
            if kill:
                load.go_on(random.uniform(0, 0.5))
                old = children(running.pid)
                running.kill()
                wait_for_end(old)
            else:
                running.wait_for_report("cannot roll over")
                load.wait_for_requests(100)
            (running.log_dir / "filler").unlink()
            run("mount", "-o", f"remount,size={size}m", running.log_dir)
            if kill:
                running.start()
            load.wait_for_requests(100)
    assert running.stop() == 0
    decompressed(running).check(at_least=4_000)
    if not kill:  # which leaves half a file
        for path in running.log_dir.glob("load.log.*.gz"):
            gzip.decompress(path.read_bytes())
        # Python may say of the rotator's own file object that nobody has closed it.
        assert "/queuelog/" not in running.errors()


def test_a_rotator_that_fails_again_and_again_pushes_no_backups_out(server):
    """Each try begins with moving every backup on, and the oldest away."""
    running = server(
        handler={**GZIP, "maxBytes": 50_000, "backupCount": 4},
        extra="import inside; inside.roll_over_again_after(0.05)\n",
    )
    broken = running.directory / "rotator-is-broken"

    def backups():
        return list(running.log_dir.glob("load.log.*.gz"))

    running.start()
    with Load(running) as load:
        wait_for(lambda: len(backups()) == 4, "backups")
        broken.touch()
        wait_for(lambda: broken.stat().st_size > 0, "an attempt")
        before = {path.stat().st_ino for path in backups()}
        wait_for(lambda: broken.stat().st_size > 4, "attempts")
        assert len(before & {path.stat().st_ino for path in backups()}) >= 3
        broken.unlink()
        wait_for(lambda: len(backups()) == 4, "a rollover")
        load.wait_for_requests(20)
    assert running.stop() == 0
    assert "Traceback" not in running.errors()


@pytest.mark.parametrize("handler", [GZIP, by_size(200_000)], ids=["compressing", "plain"])
def test_a_rollover_that_the_directory_refuses_loses_nothing(server, disk, handler):
    """Nothing can be renamed, made or removed there, but the file itself can be written."""
    running = server(handler=handler)
    disk(running.log_dir)
    running.start()
    with Load(running) as load:
        wait_for(lambda: len(list(running.log_dir.glob("load.log*"))) > 1, "a rollover")
        run("chattr", "+i", running.log_dir)
        try:
            running.wait_for_report("cannot roll over")
            load.wait_for_requests(100)
        finally:
            run("chattr", "-i", running.log_dir)
        load.wait_for_requests(50)
    assert running.stop() == 0
    decompressed(running).check(at_least=4_000)
    assert len(running.reports()) < 30
