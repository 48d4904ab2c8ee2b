"""The options of start()."""

import pytest

import queuelog

WRONG = [
    {"spool": "relative"}, {"spool": 5}, {"spool": ""}, {"spool": "/tmp/x\0y"},
    {"backlog": 1}, {"backlog": "1 GB"}, {"backlog": None}, {"backlog": 1e9},
    {"full": "explode"}, {"full": None},
    {"wait": -1}, {"wait": "1"}, {"wait": None}, {"wait": float("nan")},
    {"own": [1]}, {"own": 5}, {"own": [None]},
    {"user": "nobody-of-that-name"}, {"user": []}, {"user": -1}, {"user": ""},
    {"user": -2}, {"user": (1 << 32) - 1}, {"user": 1 << 40},
    {"queue": object()},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG, ids=lambda options: repr(options).split(" at 0x")[0])
def test_a_wrong_value_is_refused_at_the_start(options, spool):
    """The message names the option: the value may come from an environment variable."""
    (name,) = options
    with pytest.raises(queuelog.ConfigurationError, match=f"{name}="):
        queuelog.start(**{"spool": spool, **options})


def test_directories_may_be_path_objects(program, log):
    """Django's settings have them: `spool=PosixPath('/…') must be an absolute path` is no help."""
    assert program().stderr == ""
    assert log.read_text() == "INFO in\n"
