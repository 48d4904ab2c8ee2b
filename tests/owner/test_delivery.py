"""Delivery: each record exactly once to its sink, whatever interrupts it and whoever fails."""

import itertools
import json
import logging
import logging.handlers
import os
import resource
from contextlib import contextmanager, suppress
from unittest import mock

import inside
import pytest
from spools import fresh_directory, line, segments, writer_of

from queuelog.spool import frame


class Killed(inside.Interrupted):
    """Stands for a SIGKILL."""


HANDLERS = {
    "plain": lambda path: logging.FileHandler(path, encoding="utf-8", delay=True),
    "utf-16": lambda path: logging.FileHandler(path, encoding="utf-16", delay=True),
    "size": lambda path: logging.handlers.RotatingFileHandler(
        path, maxBytes=30, backupCount=20, encoding="utf-8", delay=True
    ),
}
LINES = [f"{number} line\n" for number in range(6)]


def fill_spool(directory, handler):
    """Two processes write the lines for `handler` in turn, and end."""
    mark = "".encode(handler.encoding)
    for start in (1, 0):
        writer = writer_of(inside.description_of(handler), directory=directory)
        for index in range(start, len(LINES), 2):
            writer.put(line(LINES[index].encode(handler.encoding)[len(mark) :], float(index)))
        writer.close()


def read_files(path, encoding):
    """Return the text of a file and of its numbered backups, oldest first."""
    backups = sorted(path.parent.glob(f"{path.name}.*"), key=lambda path: int(path.suffix[1:]))
    return "".join(part.read_bytes().decode(encoding) for part in [*reversed(backups), path])


@pytest.mark.parametrize("kind", HANDLERS)
@pytest.mark.parametrize("error", [Killed, OSError])
def test_an_interruption_at_any_byte_gives_every_line_once(deliver, tmp_path, kind, error):
    """After a kill another owner goes on; after an error the same one does."""
    for budget in itertools.count():
        path = tmp_path / f"{budget}" / "app.log"
        path.parent.mkdir()
        left = [budget]

        def limited(fd, data, left=left):
            os.write(fd, data[: max(left[0], 0)])
            left[0] -= len(data)
            if left[0] < 0:
                raise error

        with fresh_directory() as directory:
            handler = HANDLERS[kind](path)
            fill_spool(directory, handler)
            with deliver(directory, handler) as delivery:
                with inside.files_written_by(limited), suppress(Killed):
                    delivery.deliver(delivery.next())
                while delivery.lagging.ids():
                    delivery.retry(at_once=True)
            with deliver(directory, HANDLERS[kind](path)) as delivery:
                while (batch := delivery.next()) is not None:
                    delivery.deliver(batch)
        assert read_files(path, handler.encoding) == "".join(LINES), budget
        if left[0] >= 0:
            break
    assert budget > 40


def test_other_sinks_go_on_while_one_fails(directory, deliver, tmp_path):
    """Its records wait in the spool, and are written when it works again."""
    good = logging.FileHandler(tmp_path / "good.log", delay=True)
    bad = logging.FileHandler(tmp_path / "later" / "bad.log", delay=True)
    writer = writer_of(*map(inside.description_of, (good, bad)), directory=directory)
    with deliver(directory, good, bad) as delivery:
        for number in range(3):
            for sink in (0, 1):
                writer.put(line(b"%d\n" % number, float(number), sink))
            delivery.deliver(delivery.next())
            delivery.retry(at_once=True)
        assert (tmp_path / "good.log").read_bytes() == b"0\n1\n2\n"
        assert delivery.lagging.ids() == [str(tmp_path / "later" / "bad.log")]
        writer.close()
        assert delivery.next() is None or not delivery.deliver(delivery.next())
        assert segments(directory)
        (tmp_path / "later").mkdir()
        while delivery.lagging.ids():
            delivery.retry(at_once=True)
        assert (tmp_path / "later" / "bad.log").read_bytes() == b"0\n1\n2\n"
        assert not segments(directory)


def test_segments_of_a_handler_that_nobody_knows_any_more_wait(directory, deliver):
    """A later run, in which `own=` names it again, delivers them."""
    description = json.dumps({"name": "mail", "class": "my.Mail"}).encode()
    writer = writer_of(description, directory=directory)
    writer.put(frame.encode(frame.RECORD, 0, 1.0, b'{"attributes": {"msg": "kept"}}'))
    writer.close()
    with deliver(directory) as delivery:
        delivery.deliver(delivery.next())
        assert delivery.lagging.ids() == ["name:mail"]
    seen = []

    class Mail(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    mail = Mail()
    mail.set_name("mail")
    with deliver(directory, mail) as delivery:
        delivery.retry(at_once=True)
        assert not delivery.lagging.ids()
    assert seen == ["kept"]


@contextmanager
def no_descriptor_left():
    """Let this process open no further file."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def begin_a_batch(directory, deliver, handler, error):
    """Let an owner be killed, or the sink fail, before the first byte of a batch is written."""
    fill_spool(directory, handler)
    killed = inside.files_written_by(mock.Mock(side_effect=error))
    with deliver(directory, handler) as delivery, killed, suppress(Killed):
        delivery.deliver(delivery.next())


def test_a_batch_that_was_begun_waits_for_segments_that_cannot_be_opened_now(
    directory, deliver, log
):
    """Without them it would be committed, and they would be removed unread."""
    handler = HANDLERS["plain"](log)
    begin_a_batch(directory, deliver, handler, Killed)
    with deliver(directory, handler) as delivery:
        with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
            delivery.deliver(delivery.next())
        delivery.deliver(delivery.next())
    assert log.read_text() == "".join(LINES)


def test_a_lagging_sink_waits_for_segments_that_cannot_be_opened_now(directory, deliver, log):
    """It holds up no other sink meanwhile."""
    handler = HANDLERS["plain"](log)
    begin_a_batch(directory, deliver, handler, OSError)
    with deliver(directory, handler) as delivery:
        with no_descriptor_left():
            assert not delivery.retry(at_once=True)
        assert delivery.lagging.ids() == [str(log)]
        assert delivery.lagging.patience() > 0
        delivery.retry(at_once=True)
        assert not delivery.lagging.ids()
    assert log.read_text() == "".join(LINES)


def test_a_batch_that_was_begun_goes_on_without_a_segment_that_is_gone(
    directory, deliver, log, capfd
):
    """Nothing can be read of it, however long anybody waits; it is said what is missing."""
    handler = HANDLERS["plain"](log)
    begin_a_batch(directory, deliver, handler, Killed)
    gone = min(segments(directory))
    gone.unlink()
    with deliver(directory, handler) as delivery:
        delivery.deliver(delivery.next())
        assert delivery.next() is None
    assert len(log.read_text().splitlines()) == len(LINES) / 2
    assert f"is lost: {os.geteuid()}/{gone.name}" in capfd.readouterr().err


def test_a_sink_that_lags_behind_a_segment_that_was_removed_catches_up(deliver, tmp_path):
    """Somebody has made room: what cannot be read any more holds up nothing else."""
    path = tmp_path / "later" / "app.log"
    handler = HANDLERS["plain"](path)
    with fresh_directory() as directory, deliver(directory, handler) as delivery:
        inside.open_segments(delivery, at_most=1)
        for number in range(4):
            writer = writer_of(inside.description_of(handler), directory=directory)
            writer.put(line(b"%d\n" % number))
            writer.close()
            delivery.deliver(delivery.next())
        assert delivery.lagging.ids()
        for segment in segments(directory):  # one of them is open, the others are not
            segment.unlink()
        path.parent.mkdir()
        delivery.tidy()
        for _ in range(5):
            delivery.retry(at_once=True)
        assert not delivery.lagging.ids()
    assert len(path.read_text().splitlines()) == 1


def test_a_full_disk_tears_no_count_of_dropped_records(deliver, tmp_path):
    """It is said whole when there is room again, and once."""
    path = tmp_path / "app.log"
    handler = HANDLERS["plain"](path)
    with fresh_directory() as directory, deliver(directory, handler) as delivery:
        writer = writer_of(inside.description_of(handler), directory=directory)
        for _ in range(3):
            writer.drop(line(b"x\n"))
        inside.cut_the_next_write(after=10)
        for number in range(4):
            delivery.tidy()
            writer.put(line(b"%d\n" % number))
            while (batch := delivery.next()) is not None:
                delivery.deliver(batch)
            delivery.retry(at_once=True)
        writer.close()
    found = path.read_text().splitlines()
    (said,) = [one for one in found if "dropped" in one]
    assert said.startswith("3 records were dropped by process")
    assert sorted(found) == ["0", "1", "2", "3", said]
