"""What a process imports of queuelog is what it needs."""


def test_a_program_below_the_owner_loads_nothing_of_the_owners_side(program, log):
    """Every worker and every short command would pay for it, in time and in memory."""
    loaded = program().stdout.split()
    assert {"queuelog.lifecycle", "queuelog.attach.attachment", "queuelog.spool.writer"} <= {
        *loaded
    }
    wrong = [name for name in loaded if name.startswith(("queuelog.owner", "queuelog.sinks"))]
    assert not wrong
    assert log.read_text() == "below\n"
