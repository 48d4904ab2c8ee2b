"""Records that come too late or too early for a file, and writes that somebody interrupts."""

import logging
import logging.handlers
import os
import time

import inside


def test_a_late_record_goes_to_the_backup_of_its_second(tmp_path):
    """Also when it is written after the rollover."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", when="S", utc=True)
    file, marks = inside.file_sink(handler), []
    now = int(time.time()) - 10
    handler.rolloverAt = now + 1
    file.write([(now + 0.1, b"0\n"), (now + 1.2, b"1\n"), (now + 2.5, b"2\n")], marks.append)
    file.write(
        [(now + 0.9, b"late 0\n"), (now + 1.9, b"late 1\n"), (now + 3, b"3\n")], marks.append
    )
    file.close()
    stamp = [time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(now + i)) for i in range(3)]
    contents = [(tmp_path / f"t.{text}").read_bytes() for text in stamp]
    assert contents == [b"0\nlate 0\n", b"1\nlate 1\n", b"2\n"]
    assert (tmp_path / "t").read_bytes() == b"3\n"


def test_a_late_record_goes_to_the_backup_of_a_file_that_was_not_open(tmp_path):
    """The first record of this run is one of a new period; one of the last run's comes behind."""
    path, now = tmp_path / "t", int(time.time())
    path.write_text("yesterday\n")
    os.utime(path, (now - 7200, now - 7200))
    handler = logging.handlers.TimedRotatingFileHandler(path, when="H", utc=True, delay=True)
    handler.rolloverAt = now - 10
    file, marks = inside.file_sink(handler), []
    file.write([(now, b"new\n")], marks.append)
    file.write([(now - 60, b"late\n")], marks.append)
    file.close()
    (backup,) = tmp_path.glob("t.*")
    assert (path.read_bytes(), backup.read_bytes()) == (b"new\n", b"yesterday\nlate\n")


def test_a_record_of_the_future_does_not_roll_the_file_over(tmp_path):
    """A worker with a wrong clock, or a hostile one, cannot rotate the logs away."""
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "t", when="H", utc=True)
    file, marks = inside.file_sink(handler), []
    file.write([(time.time() + 1e9, b"x\n"), (9e10, b"y\n")], marks.append)
    file.close()
    assert (tmp_path / "t").read_bytes() == b"x\ny\n"


def test_an_interruption_at_any_byte_is_completed(tmp_path):
    """After a short write, `resume` writes the rest, neither more nor less."""
    lines = [(float(i), b"line %d\n" % i) for i in range(4)]
    whole = b"".join(line for _, line in lines)
    for size in range(len(whole) + 1):
        path = tmp_path / f"{size}.log"
        file, marks = inside.file_sink(logging.FileHandler(path, encoding="utf-8-sig")), []
        file.write(lines[:0], marks.append)
        os.write(inside.descriptor(file), b"earlier\n")
        file.write(lines, marks.append)
        path.write_bytes((b"earlier\n" + whole)[: 8 + size])
        done = file.resume(lines, marks[-1])
        file.write(lines[done:], marks.append)
        file.close()
        assert path.read_bytes() == b"earlier\n" + whole


def test_what_somebody_else_wrote_makes_a_batch_double_rather_than_lost(tmp_path, capfd):
    """The bytes differ: all is written again, and reported."""
    path = tmp_path / "x.log"
    file, marks = inside.file_sink(logging.FileHandler(path)), []
    file.write([(1.0, b"one\n")], marks.append)
    path.write_bytes(b"foreign\n")
    assert file.resume([(1.0, b"one\n")], marks[-1]) == 0
    file.write([(1.0, b"one\n")], marks.append)
    file.close()
    assert path.read_bytes() == b"foreign\none\n"
    assert "may now be in it twice" in capfd.readouterr().err
