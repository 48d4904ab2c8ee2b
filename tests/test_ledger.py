"""The ledger: what was saved is there again after any crash."""

import os
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuelog import _ledger
from queuelog._ledger import Cursor, Ledger, Mark, State

NAMES = st.text(max_size=8)
SIZES = st.integers(0, 1 << 62)
OFFSETS = st.dictionaries(NAMES, SIZES, max_size=3)
MARKS = st.builds(Mark, done=SIZES, path=NAMES, device=SIZES, inode=SIZES, size=SIZES)
CURSORS = st.builds(
    Cursor, OFFSETS, st.none() | OFFSETS, st.dictionaries(NAMES, MARKS, max_size=3)
)  # fmt: skip
STATES = st.builds(State, CURSORS, st.dictionaries(NAMES, CURSORS, max_size=3))


def save(path, *states):
    """Save states in order, as an owner does that is then killed."""
    ledger = Ledger(str(path))
    ledger.open()
    for state in states:
        ledger.state = state
        ledger.save()
    ledger.close()


def load(path):
    """Return the state as the next owner finds it."""
    ledger = Ledger(str(path))
    ledger.open()
    ledger.close()
    return ledger.state


def state(number):
    """Return a state that is known by its number."""
    return State(Cursor({"0/1-1-1": number}))


@given(st.lists(STATES, min_size=1, max_size=3))
def test_the_last_state_comes_back(tmp_path_factory, states):
    """Whatever sinks and files are called."""
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    save(path, *states)
    assert asdict(load(path)) == asdict(states[-1])


def test_a_line_torn_at_any_byte_counts_as_not_written(tmp_path):
    """A process that is killed, or a full disk, can end the file anywhere."""
    path = tmp_path / "ledger"
    save(path, state(1), state(2))
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert load(path) == state(1), end
    path.write_bytes(whole[:-1])  # only the newline is missing
    assert load(path) == state(2)


def test_a_line_whose_checksum_is_wrong_is_passed_over(tmp_path):
    """Also if what is left of it reads well."""
    path = tmp_path / "ledger"
    save(path, state(111), state(222))
    path.write_bytes(path.read_bytes().replace(b"222", b"229"))
    assert load(path) == state(111)


def test_what_is_saved_behind_a_torn_line_is_found(tmp_path):
    """The next owner begins a new file: it does not append to half a line."""
    path = tmp_path / "ledger"
    save(path, state(1))
    with path.open("ab") as file:
        file.write(b"0badc0de {half")
    save(path, state(3))
    assert load(path) == state(3)


@given(garbage=st.binary(max_size=60), number=st.integers(0, 100))
def test_garbage_is_passed_over(tmp_path_factory, garbage, number):
    """What has no right checksum counts as nothing."""
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    save(path, state(number))
    path.write_bytes(path.read_bytes() + garbage)
    assert load(path) == state(number)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "null", "1", '{"main": 1, "held": {}}', '{"main": {}, "held": {}}']
)
def test_a_right_checksum_of_something_else_is_passed_over(tmp_path, text):
    """Another version of queuelog may have written it."""
    path = tmp_path / "ledger"
    save(path, state(1))
    with path.open("ab") as file:
        file.write(b"%08x %s\n" % (_ledger.zlib.crc32(text.encode()), text.encode()))
    assert load(path) == state(1)


def test_the_file_stays_small(tmp_path, monkeypatch):
    """A service writes millions of batches: the ledger is begun anew now and then."""
    monkeypatch.setattr(_ledger, "_COMPACT_SIZE", 1000)
    path = tmp_path / "ledger"
    save(path, *map(state, range(200)))
    assert path.stat().st_size < 1500
    assert load(path) == state(199)


def test_a_full_disk_raises_and_the_state_before_stays(tmp_path, monkeypatch):
    """An intent that is not on disk must stop the batch that it announces."""
    path = tmp_path / "ledger"
    ledger = Ledger(str(path))
    ledger.open()
    ledger.state = state(1)
    ledger.save()
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    ledger.state = state(2)
    with pytest.raises(OSError, match="no room"):
        ledger.save()
    monkeypatch.undo()
    ledger.close()
    assert load(path) == state(1)


def test_what_is_saved_after_a_full_disk_is_found(tmp_path, monkeypatch):
    """A save that was cut short must not spoil the next one."""
    path = tmp_path / "ledger"
    ledger = Ledger(str(path))
    ledger.open()
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    with pytest.raises(OSError, match="no room"):
        ledger.save()
    monkeypatch.undo()
    ledger.state = state(2)
    ledger.save()
    ledger.close()
    assert load(path) == state(2)
