"""describe(): what will happen to each handler, said beforehand."""

import logging
import logging.handlers
import queue

import pytest

import queuelog
from queuelog.handlers import ServerHandler


@pytest.fixture
def tree(tmp_path):
    """Return a logger of this test's own, and its directory; clean up."""
    logger = logging.getLogger("described")
    logger.propagate = False
    yield logger, tmp_path
    for handler in logger.handlers:
        handler.close()
    logger.handlers.clear()


def described(logger, **options):
    """Return the entries of one logger, without those of pytest's handlers, and the problems."""
    plan = queuelog.describe(**options)
    entries = [entry for entry in plan.entries if entry.logger == logger.name]
    problems = [problem.text for problem in plan.problems]
    return [entry for entry in entries if "pytest" not in entry.handler], problems


HANDLERS = logging.handlers
ON = "it hands its records on; files behind it are known only by its attribute `listener`"
POLICIES = {
    "never rolls over; follows logrotate": logging.FileHandler,
    "rolls over at 1,000,000 bytes, keeps 5 backups": lambda path: HANDLERS.RotatingFileHandler(
        path, maxBytes=1_000_000, backupCount=5
    ),
    "never rolls over: backupCount is 0": lambda path: HANDLERS.RotatingFileHandler(
        path, maxBytes=1_000_000
    ),
    "rolls over at midnight, keeps 30 backups": lambda path: HANDLERS.TimedRotatingFileHandler(
        path, when="midnight", backupCount=30
    ),
    "rolls over at midnight UTC, keeps all backups": lambda path: HANDLERS.TimedRotatingFileHandler(
        path, when="midnight", utc=True
    ),
    "rolls over every 7,200 seconds, keeps all backups": lambda path: (
        HANDLERS.TimedRotatingFileHandler(path, when="H", interval=2)
    ),
    "rolls over on Tuesday at midnight, keeps 4 backups": lambda path: (
        HANDLERS.TimedRotatingFileHandler(path, when="W1", backupCount=4)
    ),
}


def test_a_log_server_is_named(tree):
    """It needs no `own`: what is sent to it is the arbiter's, as a file is."""
    logger, _ = tree
    logger.addHandler(ServerHandler("[::1]:9020"))
    (entry,), problems = described(logger)
    assert str(entry) == (
        "described: queuelog.handlers.ServerHandler: owned by the arbiter; "
        "sent to the log server [::1]:9020, and kept until it has it"
    )
    assert not problems


@pytest.mark.parametrize("policy", POLICIES)
def test_rotation_and_retention_are_said(tree, policy):
    """Whoever reads it need not know the arguments of the handler classes."""
    logger, path = tree
    handler = POLICIES[policy](path / "a.log")
    handler.name = "a"
    logger.addHandler(handler)
    ((entry,), problems) = described(logger)
    assert (entry.kept, entry.policy, entry.path) == ("", policy, str(path / "a.log"))
    assert str(entry) == f"described: a {path / 'a.log'}: owned by the arbiter; {policy}"
    assert not problems


def test_what_stays_in_each_process_is_said_with_the_reason(tree):
    """Consoles, devices, and handlers that the arbiter would own if it were told by their name."""
    logger, _ = tree
    logger.addHandler(logging.NullHandler())  # does nothing: nothing to be said
    logger.addHandler(logging.StreamHandler())
    logger.addHandler(logging.FileHandler("/dev/null"))
    mail = HANDLERS.SMTPHandler("localhost", "a@b", ["c@d"], "subject")
    mail.name = "mail"
    logger.addHandler(mail)
    entries, _ = described(logger)
    assert [entry.kept for entry in entries] == [
        "it writes to a stream",
        "its path is no regular file",
        "it is no file; own=['mail'] would let the arbiter own it",
    ]
    assert described(logger, own=["mail"])[0][2].kept == ""
    mail.name = None
    assert described(logger)[0][2].kept == "it is no file"


def test_files_behind_other_handlers_are_described(tree):
    """The arbiter owns them, too; but the queue of an application hides what is behind it."""
    logger, path = tree
    memory = HANDLERS.MemoryHandler(9, target=logging.FileHandler(path / "a.log", delay=True))
    seen, hidden = (HANDLERS.QueueHandler(queue.Queue()) for _ in range(2))
    seen.listener = HANDLERS.QueueListener(seen.queue, logging.FileHandler(path / "b.log"))
    for handler in (memory, seen, hidden):
        logger.addHandler(handler)
    entries, problems = described(logger)
    assert [(entry.kept, entry.path) for entry in entries] == [
        ("it hands its records on to its target", ""),
        ("", str(path / "a.log")),
        (ON, ""),
        ("", str(path / "b.log")),
        (ON, ""),
    ]
    assert not problems
    seen.listener.handlers[0].close()


def test_a_directory_in_the_place_of_a_file_and_a_wrong_name_are_problems(tree):
    """The server would not start, and the arbiter would own no such handler, without a word."""
    logger, path = tree
    logger.addHandler(logging.FileHandler(path, delay=True))
    _, problems = described(logger, own=["mial"])
    assert problems == [
        f"{path} is a directory, not a file",
        "own='mial': no handler has this name",
    ]


def test_two_policies_on_one_path_are_a_problem(tree):
    """One of them will be followed: nobody may find that out by a full disk."""
    logger, path = tree
    logger.addHandler(HANDLERS.RotatingFileHandler(path / "a.log", maxBytes=9, backupCount=1))
    logger.addHandler(HANDLERS.TimedRotatingFileHandler(path / "a.log"))
    _, (problem,) = described(logger)
    assert "a.log has two policies" in problem
    assert "at 9 bytes" in problem
    assert "every 3,600 seconds" in problem


def test_two_encodings_and_a_missing_directory_are_problems(tree):
    """What the arbiter would run into later is said before."""
    logger, path = tree
    logger.addHandler(logging.FileHandler(path / "a.log", encoding="utf-8", delay=True))
    logger.addHandler(logging.FileHandler(path / "a.log", encoding="utf-16", delay=True))
    logger.addHandler(logging.FileHandler(path / "none" / "b.log", delay=True))
    _, problems = described(logger)
    assert problems[0].endswith("would have lines in utf-16 and utf-8")
    assert problems[1] == f"{path / 'none' / 'b.log'}: there is no directory {path / 'none'}"


def test_after_start_it_says_the_same_as_before(program):
    """Queue handlers stand for what they replace."""
    program()
