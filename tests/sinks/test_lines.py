"""What a line is in the file: its encoding, and whatever it may hold."""

import codecs
import re

import pytest


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "utf-8-sig", "utf-32"])
def test_each_file_has_the_handlers_encoding_and_one_byte_order_mark(program, tmp_path, encoding):
    """A line is encoded in the worker; the mark stands once, at the start of each file."""
    program(encoding)
    lines = []
    files = sorted(tmp_path.glob("app.log*"), key=lambda path: (len(path.name), path.name))
    for path in [*reversed(files[1:]), files[0]]:
        text = path.read_bytes().decode(encoding)
        assert codecs.BOM_UTF8.decode() not in text
        lines += text.splitlines()
    assert len(files) > 1
    assert lines == [f"näml {number:02d}" for number in range(20)]


def test_characters_that_cannot_be_encoded_do_not_cost_the_line(program, log):
    """`errors` is used; where it is strict, the stdlib loses the line, and an escape is written."""
    program()
    lines = log.read_bytes().splitlines()  # of one moment, by two handlers: in whatever order
    assert sorted(lines) == [b"? ?", b"strict \\u20ac \\ud800"]


def test_lone_surrogates_are_escaped_in_utf_8(program, log):
    """File names from the network hold such; the standard library loses the line."""
    program()
    assert log.read_bytes() == b"\xc3\xa9 \\udcff.txt\n"


def test_odd_records_arrive_as_they_are(program, log, tmp_path):
    """Tracebacks, stacks, newlines, NULs, nothing at all, ten megabytes, non-ASCII file names."""
    program()
    text = log.read_bytes().decode()
    assert re.match(
        r"failed\nTraceback \(most recent call last\):\n(  .*\n)+ValueError: no\n", text
    )
    assert re.search(r"\nstack\nStack \(most recent call last\):\n(  .*\n)+\na\nb\0c\nx", text)
    assert text.endswith(f"\n{'x' * 10_000_000}\nlast\n")
    assert (tmp_path / "über 日.log").read_bytes() == log.read_bytes()
