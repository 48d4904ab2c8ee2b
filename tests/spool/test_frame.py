"""Frames: whatever is in a segment, the scanner survives it and says what it passed over."""

import math

from hypothesis import given
from hypothesis import strategies as st

from queuelog.spool import frame

LIMIT = 1 << 20
ITEMS = st.lists(
    st.tuples(
        st.sampled_from([frame.LINE, frame.RECORD]),
        st.integers(0, frame.MAX_SINKS - 1),
        st.floats(0, 1e10),
        st.binary(max_size=40),
        st.integers(0, (1 << 32) - 1),
    )
)


def encoded(items):
    return [frame.encode(*item) for item in items]


@given(ITEMS, st.booleans())
def test_what_was_encoded_is_found(items, sources):
    """Every frame comes back, by tag and in order."""
    scan = frame.scan(b"".join(encoded(items)), LIMIT, sources=sources)
    expected = {}
    for kind, sink, created, payload, source in items:
        tag = frame.tag(kind, sink) | (source << 32 if sources else 0)
        assert frame.split_tag(tag) == (kind, sink)
        expected.setdefault(tag, []).append((created, payload))
    assert scan.items == expected
    assert (scan.skipped, scan.needed, scan.corrupt, scan.late) == (0, 0, False, False)


@given(ITEMS, st.integers(1, 60))
def test_a_torn_end_waits_for_the_rest(items, cut):
    """The scan ends before an incomplete frame, and what is before it is found."""
    frames = encoded(items)
    data = b"".join(frames)[:-cut]
    scan = frame.scan(data, LIMIT)
    ends = [0]
    for one in frames:
        ends.append(ends[-1] + len(one))
    assert scan.end == max(end for end in ends if end <= len(data))
    assert not scan.skipped


@given(st.binary(max_size=300))
def test_random_bytes_never_raise(data):
    """Nothing that a hostile worker writes stops the listener."""
    scan = frame.scan(data, LIMIT)
    assert 0 <= scan.end <= len(data)


@given(ITEMS.filter(len), st.data())
def test_a_changed_byte_costs_no_other_frame(items, data):
    """A frame with a wrong CRC is passed over and counted; those before it stay."""
    frames = encoded(items)
    index = data.draw(st.integers(0, len(frames) - 1))
    position = data.draw(st.integers(8, len(frames[index]) - 1))  # not the length
    damaged = bytearray(frames[index])
    damaged[position] ^= 1 + data.draw(st.integers(0, 254))
    scan = frame.scan(b"".join([*frames[:index], damaged, *frames[index + 1 :]]), LIMIT)
    assert scan.skipped == 1
    assert sum(map(len, scan.items.values())) == len(items) - 1


def test_a_length_above_the_limit_is_a_lie():
    """Nothing behind it can be found."""
    scan = frame.scan(frame.encode(frame.LINE, 0, 1.0, b"x" * 100)[:50], 99)
    assert scan.corrupt


def test_times_that_are_none_count_as_the_beginning():
    """NaN would break the sort."""
    times = [math.nan, math.inf, -math.inf, 1e300, 5.0]
    data = b"".join(frame.encode(frame.LINE, 0, time, b"") for time in times)
    (items,) = frame.scan(data, LIMIT).items.values()
    assert [created for created, _ in items] == [0.0, 0.0, 0.0, 0.0, 5.0]


def test_a_scan_ends_before_what_is_too_late():
    """`until` bounds the times, not the bytes."""
    frames = [frame.encode(frame.LINE, 0, float(i), b"x") for i in range(4)]
    scan = frame.scan(b"".join(frames), LIMIT, until=1.5)
    assert scan.late
    assert scan.end == len(frames[0]) * 2
