"""What a thread gathers is put at once, in order, and never twice."""

import queue
import resource
import threading

import pytest
from spools import Reader, line, segments, writer_of

from queuelog.spool import Torn, frame
from queuelog.spool.gather import CHUNK, gathering


def frames(first, count, sink=0):
    return [line(b"%04d%s" % (n, b"x" * 200), sink=sink) for n in range(first, first + count)]


def numbers(found):
    return [int(payload[:4]) for payload in found]


def put_all(chunks):
    for chunk in chunks:
        chunk.writer.put_many(chunk.frames)


def test_what_is_put_inside_is_put_by_sink_and_in_order(directory, reader):
    """Nothing is in the spool before; other threads put at once; it may be nested."""
    writer = writer_of(b"one", b"other", directory=directory)
    with gathering() as outer:
        for one, other in zip(frames(0, 200), frames(200, 200, sink=1), strict=True):
            writer.put(one)
            writer.put(other)
        with gathering() as inner:
            writer.put(line(b"9998"))
        writer.put(line(b"9999"))
        assert not segments(directory)
        thread = threading.Thread(target=writer.put, args=(line(b"7777"),))
        thread.start()
        thread.join()
        assert len(segments(directory)) == 1
    assert len(inner) == 1
    assert all(sum(map(len, chunk.frames)) <= CHUNK for chunk in outer)
    put_all([*inner, *outer])
    by_sink = {}
    for (target, _), items in reader.read_new({}).items.items():
        by_sink[target.description] = numbers(payload for _, payload in items)
    assert by_sink == {b"one": [7777, 9998, *range(200), 9999], b"other": [*range(200, 400)]}
    writer.close()


def test_of_frames_that_are_cut_only_the_rest_comes_again(directory):
    """A file has a limit (`ulimit -f`), as a full disk has; what was whole is in the spool."""
    writer = writer_of(b"one", directory=directory, limit=1 << 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        rest, cuts = frames(0, 100), 0
        while rest:
            try:
                writer.put_many(rest)
                break
            except Torn as torn:
                rest, cuts = torn.rest, cuts + 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cuts > 1
    writer.close()
    reader = Reader(directory)
    assert sorted(numbers(reader.read_to_the_end())) == [*range(100)]
    reader.close()


def test_every_source_in_a_chunk_is_introduced(directory):
    """Who looks on knows where each line comes from, also where many are put at once."""
    writer = writer_of(b"one", directory=directory)
    labels = [writer.sources.register(b"20 app.%d" % number) for number in range(5)]
    items = [frame.encode(frame.LINE, 0, 1.0, b"%d" % n, label) for n, label in enumerate(labels)]
    writer.put_many(items)
    (segment,) = segments(directory)
    found = frame.scan(segment.read_bytes(), 1 << 20, sources=True).items
    introduced = {tag >> 32 for tag in found if frame.split_tag(tag)[0] == frame.SOURCE}
    assert introduced == set(labels)
    writer.close()


def test_without_room_nothing_waits(directory):
    """Not even for a moment: who gathers has other things to do."""
    writer = writer_of(b"one", directory=directory, limit=1 << 16)
    room = (1 << 16) // len(b"".join(frames(0, 50)))
    for _ in range(room // 2):
        writer.put_many(frames(0, 50))
    with pytest.raises(queue.Full):
        [writer.put_many(frames(0, 50)) for _ in range(room)]
    writer.close()
