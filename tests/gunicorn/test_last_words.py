"""What goes wrong outside of any log call reaches the files that it reaches without queuelog."""

import pytest
from processes import children
from waiting import wait_for

HOOKED = ("warning", "thread", "asyncio", "view", "unraisable")


def whole(text, name):
    """Tell if a log has the traceback, or the warning, of a place in one piece."""
    if name == "warning":
        return b"UserWarning: on-warning\n" in text
    block = text.partition(b"RuntimeError: on-" + name.encode() + b"\n")[0]
    return b"Traceback" in block[-2000:] and block.endswith(b"\n")


@pytest.mark.parametrize("name", HOOKED)
def test_a_hook_that_logs_reaches_the_log(server, name):
    """captureWarnings, the hooks of threads and finalizers, the event loop, Gunicorn for a view."""
    running = server(app="lastwordsapp:app", workers=1, env={"HOOKS": "logged"}).start()
    running.get(f"/{name}")
    wait_for(lambda: whole(running.text("error.log"), name), "the traceback")
    assert running.stop() == 0
    assert f"on-{name}" not in running.errors()


def test_an_application_that_cannot_be_imported_says_so_in_the_log(server):
    """The worker dies before post_worker_init, and the arbiter ends: nothing is lost then."""
    running = server(app="brokenapp:app", workers=1).start(wait=False)
    assert running.process.wait(30) == 3
    error = running.text("error.log")
    assert whole(error, "import")
    assert error.index(b"on-import") < error.index(b"Shutting down: Master")


@pytest.mark.parametrize("how", ["capture_output", "file"])
def test_the_stacks_of_a_crash_are_in_a_file(server, tmp_path, how):
    """A crash handler writes to a descriptor in the dying process: stderr, or a file of its own."""
    crashes = tmp_path / "logs" / "crashes.log"
    capture = f"errorlog = {str(crashes)!r}\ncapture_output = True\n"
    running = server(
        app="lastwordsapp:app", workers=1, extra=capture if how == "capture_output" else "",
        env={"HOOKS": "default"} | ({"FAULTS": str(crashes)} if how == "file" else {}),
    ).start()  # fmt: skip
    (worker,) = children(running.pid)
    with pytest.raises(OSError, match=r"closed|reset"):
        running.get("/segfault")
    wait_for(lambda: b"lastwordsapp.py" in crashes.read_bytes(), "the stack of the crash")
    assert b"Fatal Python error: Segmentation fault" in crashes.read_bytes()
    wait_for(lambda: children(running.pid) not in ([], [worker]), "a new worker")
    assert running.stop() == 0


def test_an_uncaught_exception_of_a_program_is_logged(program, tmp_path):
    """sys.excepthook runs before the interpreter's exit, when queuelog.stop() writes the rest."""
    assert program(check=False).returncode == 1
    assert whole((tmp_path / "app.log").read_bytes(), "exit")
