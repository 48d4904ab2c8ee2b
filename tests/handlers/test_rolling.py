"""RollingFileHandler alone: in a process that does not call `start()`."""

import logging
import logging.config
import os
import stat
import time

import pytest

from queuelog import ConfigurationError
from queuelog.base.spec import SinkSpec, obstacle
from queuelog.handlers import RollingFileHandler


@pytest.fixture
def logger():
    """Return a logger, and close its handlers after the test."""
    made = logging.getLogger("rolling")
    made.propagate = False
    made.setLevel(logging.INFO)
    yield made
    for handler in made.handlers[:]:
        made.removeHandler(handler)
        handler.close()


def logs(directory):
    """Return file name -> text, without hidden files."""
    return {path.name: path.read_text() for path in directory.iterdir() if path.name[0] != "."}


def test_it_rolls_over_by_size(logger, tmp_path):
    """A record larger than the limit has a file of its own."""
    logger.addHandler(RollingFileHandler(tmp_path / "a" / "app.log", max_size=20, keep=2))
    for text in ("1234567890", "1234", "x" * 30, "123456789", "last"):
        logger.info(text)
    assert logs(tmp_path / "a") == {
        "app.log.2": "1234567890\n1234\n", "app.log.1": "x" * 30 + "\n",
        "app.log": "123456789\nlast\n",
    }  # fmt: skip


def test_it_follows_a_file_that_is_moved(logger, tmp_path):
    """Logrotate needs no signal."""
    path = tmp_path / "app.log"
    logger.addHandler(RollingFileHandler(path, max_size="1 MB"))
    logger.info("first")
    path.rename(tmp_path / "moved")
    logger.info("second")
    assert logs(tmp_path) == {"moved": "first\n", "app.log": "second\n"}


def test_a_record_of_another_period_goes_to_a_backup_of_that(logger, tmp_path):
    """Two threads may meet midnight in the wrong order."""
    logger.addHandler(RollingFileHandler(tmp_path / "app.log", when="midnight", utc=True))
    logger.info("today")
    late = logger.makeRecord("rolling", logging.INFO, "", 0, "late", (), None)
    late.created -= 86400
    logger.handle(late)
    name = time.strftime("app.log.%Y-%m-%d", time.gmtime(late.created))
    assert logs(tmp_path) == {name: "late\n", "app.log": "today\n"}


def test_a_pipe_is_written_and_nothing_else(logger, tmp_path):
    """`/dev/null`, say: it has no backups, and its permissions and owner are not ours to set."""
    path = tmp_path / "app.log"
    os.mkfifo(path, 0o644)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as reader:
        logger.addHandler(RollingFileHandler(path, max_size=10, permissions="0600"))
        for _ in range(3):
            logger.info("1234567890")
        assert reader.read() == "1234567890\n" * 3
    assert [*tmp_path.iterdir()] == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_rollover_that_fails_loses_no_line(logger, tmp_path, capfd):
    """It is reported, and tried again later."""
    path = tmp_path / "app.log"
    handler = RollingFileHandler(path, max_size=10)
    logger.addHandler(handler)
    handler.doRollover = fail
    for text in ("12345678", "next", "more"):
        logger.info(text)
    assert path.read_text() == "12345678\nnext\nmore\n"
    assert capfd.readouterr().err.count("cannot roll over") == 1


def test_lines_of_a_new_day_wait_for_no_rollover_that_fails(logger, tmp_path, monkeypatch):
    """They go on into the file, not into a backup; and a clock that is put back delays no try."""
    path = tmp_path / "app.log"
    path.write_text("old\n")
    os.utime(path, (86400, 86400))
    handler = RollingFileHandler(path, when="D", utc=True)
    logger.addHandler(handler)
    handler.doRollover = fail
    logger.info("first")
    logger.info("second")
    assert logs(tmp_path) == {"app.log": "old\nfirst\nsecond\n"}
    del handler.doRollover
    later, now = time.monotonic() + 11, time.time()
    monkeypatch.setattr(time, "monotonic", lambda: later)
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    logger.info("third")
    assert sorted(logs(tmp_path).values()) == ["old\nfirst\nsecond\n", "third\n"]


def fail():
    """A rollover."""
    raise OSError("no room")


WRONG = [
    {"max_size": "many"}, {"max_size": -1}, {"when": "never"}, {"interval": 2}, {"keep": 2},
    {"when": "H", "at_time": "12:00"}, {"when": "D", "interval": 0}, {"max_age": "old"},
    {"when": "D", "compression": "zip"}, {"when": "D", "permissions": "rw"},
    {"when": "D", "owner": "nobody-of-that-name"}, {"maxBytes": 5}, {"when": "D", "names": "odd"},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG, ids=repr)
def test_a_wrong_option_is_an_error_that_names_it(tmp_path, options):
    """Where it is configured; no file is made."""
    with pytest.raises(ConfigurationError, match=[*options][-1]):
        RollingFileHandler(tmp_path / "app.log", **options)
    assert not logs(tmp_path)


def test_it_can_be_described_and_built_again(tmp_path):
    """By a worker for the owner, and for the next run after a crash."""
    handler = RollingFileHandler(
        tmp_path / "app.log", max_size="1 MB", when="W0", at_time="04:30", keep=3,
        max_age="2 weeks", max_total_size="5 MB", compression="gzip", permissions=0o640,
        owner=os.getuid(), encoding="utf-8", errors="replace", delay=True, utc=True,
        names="numbered",
    )  # fmt: skip
    assert obstacle(handler) == ""
    built = SinkSpec.parse(SinkSpec.of(handler).encode()).build()
    assert type(built) is RollingFileHandler
    assert built.policy == handler.policy
    assert (built.encoding, built.errors) == ("utf-8", "replace")


def test_ini_and_dict_configurations_have_it(tmp_path):
    """As they have the stdlib's handlers."""
    path = tmp_path / "dict.log"
    handler = {
        "class": "queuelog.handlers.RollingFileHandler", "filename": str(path), "when": "midnight",
        "max_size": "5 MB", "compression": "gzip",
    }  # fmt: skip
    logging.config.dictConfig(
        {
            "version": 1, "disable_existing_loggers": False, "handlers": {"file": handler},
            "loggers": {"rolling": {"handlers": ["file"]}},
        }
    )  # fmt: skip
    (found,) = logging.getLogger("rolling").handlers
    assert (found.policy.when, found.policy.max_size) == ("MIDNIGHT", 5_000_000)
    logging.getLogger("rolling").removeHandler(found)
    found.close()
    ini = tmp_path / "logging.ini"
    ini.write_text(
        "[loggers]\nkeys=root,rolling\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        "[logger_root]\nhandlers=\n[logger_rolling]\nqualname=rolling\nhandlers=file\n"
        "[handler_file]\nclass=queuelog.handlers.RollingFileHandler\n"
        f"args=({str(tmp_path / 'ini.log')!r},)\nkwargs={{'max_size': '2 GB'}}\n"
    )
    logging.config.fileConfig(ini, disable_existing_loggers=False)
    (found,) = logging.getLogger("rolling").handlers
    assert found.policy.max_size == 2_000_000_000
    logging.getLogger("rolling").removeHandler(found)
    found.close()
