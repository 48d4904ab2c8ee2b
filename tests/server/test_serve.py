"""`queuelog serve`: records of other processes are in its files, whatever happens to it."""

import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from logserver import COMMAND, CONFIG, environment, logger_of, pickled, run
from waiting import wait_for

HERE = "127.0.0.1:0"
JSON = """{"version": 1, "root": {"level": "INFO", "handlers": ["f"]},
    "handlers": {"f": {"class": "logging.FileHandler", "filename": "root.log"}}}"""
YAML = """
    version: 1
    root: {level: INFO, handlers: [f]}
    handlers: {f: {class: logging.FileHandler, filename: root.log}}
"""
TOML = """
    version = 1
    root = {level = "INFO", handlers = ["f"]}
    handlers.f = {class = "logging.FileHandler", filename = "root.log"}
"""


def test_records_of_the_cookbooks_client_go_where_their_loggers_say(serve):
    """By name and level, in order, and through the handlers of loggers above."""
    server = serve().start()
    for name in ("serving.views", "webhook", "other", "root"):
        logger = server.logger(name)
        for level in (logging.DEBUG, logging.INFO, logging.ERROR):
            logger.log(level, "n %s", "ä")
        file = "serving" if name == "serving.views" else "root"
        server.wait_for(f"{name} ERROR n ä", file)  # each has a connection of its own
    server.wait_for("webhook ERROR n ä", "webhook")
    assert server.lines("serving") == ["serving.views INFO n ä", "serving.views ERROR n ä"]
    assert server.lines("webhook") == ["webhook ERROR n ä"]
    assert server.lines() == [
        "webhook ERROR n ä",
        "other INFO n ä", "other ERROR n ä",
        "root INFO n ä", "root ERROR n ä",
    ]  # fmt: skip
    server.stop()
    assert server.errors == ""


def test_exceptions_and_extra_come_as_they_were(serve):
    """A traceback keeps its lines; what is no plain data costs its record alone, and is said."""
    server = serve().start()
    logger = server.logger("root")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("failed", extra={"n": [1, {"a": (2, None)}]})
    logger.info("has an object", extra={"o": object()})
    logger.info("next")
    server.wait_for("root INFO next")
    lines = [line for line in server.lines() if not line.startswith("queuelog WARNING")]
    assert lines[0] == "root ERROR failed"
    assert lines[-2] == "ZeroDivisionError: division by zero"
    assert "has an object" not in "".join(lines)
    server.wait_for_error("refused from 127.0.0.1:")
    assert "it names copy_reg._reconstructor, and only plain data is taken" in server.errors


@pytest.mark.parametrize("way", ["ipv6", "unix"])
def test_it_listens_elsewhere(serve, short, way):
    """With IPv6, and on a unix socket, which is gone after the end."""
    path = short / "socket"
    server = serve(*{"ipv6": ("--listen", "[::1]:0"), "unix": ("--unix", path)}[way]).start()
    logger = logger_of("root", *(("::1", server.port) if way == "ipv6" else (str(path), None)))
    logger.info("n")
    server.wait_for("root INFO n")
    assert path.exists() == (way == "unix")
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize(("ending", "config"), [("json", JSON), ("yaml", YAML), ("toml", TOML)])
def test_its_configuration_is_what_dict_config_reads(serve, ending, config):
    """As JSON, YAML or TOML; by default it disables no logger."""
    needs = {"yaml": "yaml", "toml": "tomllib" if sys.version_info >= (3, 11) else "tomli"}
    if ending in needs:
        pytest.importorskip(needs[ending])
    server = serve(config=config, name=f"log.{ending}").start()
    server.logger("root").info("n")
    server.wait_for("n")


def test_a_record_that_was_received_survives_kills_of_the_server(serve):
    """It is killed in a loop while four connections send numbers: none is missing, none doubled."""
    server = serve().start()
    server.options[-1] = f"127.0.0.1:{server.port}"
    connections = [server.connect() for _ in range(4)]
    sent = 0
    for kill in range(6):
        for number in range(500):
            for index, connection in enumerate(connections):
                connection.sendall(pickled(f"c{index} n{sent + number}"))
        sent += 500
        # All that is sent is received, since the next one is answered by a line.
        expected = {f"root INFO c{index} n{sent - 1}" for index in range(4)}
        wait_for(lambda expected=expected: received(server, expected), "all is received")
        for index, connection in enumerate(connections):
            connection.sendall(pickled(f"c{index} k{kill}"))
        server.kill()
        server.start()
        connections = [server.connect() for _ in range(4)]
    server.stop()
    lines = [line for line in server.lines() if " n" in line]
    assert sorted(lines) == sorted(f"root INFO c{i} n{n}" for i in range(4) for n in range(sent))


def received(server, lines):
    """Tell if lines are in the log file or in the spool."""
    data = b"".join(
        path.read_bytes()
        for path in [*server.directory.glob("root.log"), *segments(server)]
        if path.exists()
    )
    return all(line.encode() in data for line in lines)


def segments(server):
    from pathlib import Path  # noqa: PLC0415

    return [path for path in Path(server.options[1]).glob("*/*/*-*-*-*") if path.is_file()]


def test_sighup_reads_the_configuration_anew(serve):
    """Other files, other levels, another format; loggers that it does not name are as if new."""
    server = serve().start()
    logger = server.logger("serving.views")
    logger.info("before")
    server.wait_for("serving.views INFO before", "serving")
    server.reload(
        CONFIG.replace("keys = root, serving, webhook\n    [f", "keys = root, webhook\n    [f")
        .replace("keys = root, serving, webhook\n    [h", "keys = root, webhook\n    [h")
        .replace("root.log", "other.log")
    )
    wait_for(lambda: logged(logger, server, "other"), "the new configuration is in force")
    before = server.lines("serving")
    logger.info("last")
    server.wait_for("serving.views INFO last", "other")
    assert server.lines("serving") == before
    assert server.errors == ""


def logged(logger, server, name):
    logger.info("after")
    return "serving.views INFO after" in server.lines(name)


BROKEN = [
    ("[loggers]\n", "there is no section [handlers], as fileConfig wants it"),
    ("[loggers", "is wrong: "),
    ("\udcff", "is wrong: "),
    (CONFIG.replace("class = FileHandler", "class = NoHandler"), "is wrong: "),
    (CONFIG.replace("root.log", "no/such/directory/root.log"), "is wrong: "),
    (None, "cannot read"),
]


def test_a_broken_configuration_is_reported_and_the_old_one_stays_in_force(serve):
    """While records come in: each is in its file, once."""
    server = serve().start()
    logger = server.logger("serving.views")
    number = 0
    for config, error in BROKEN:
        if config is None:
            server.config.unlink()
        else:
            server.config.write_text(config, errors="surrogateescape")
        server.signal(signal.SIGHUP)
        before = server.errors.count("The configuration is as before")
        deadline = time.monotonic() + 30
        while server.errors.count("The configuration is as before") == before:
            assert time.monotonic() < deadline
            logger.info("n%d", number)
            number += 1
            if before:  # reports of one kind are said every ten seconds
                break
        if not before:
            assert error in server.errors
    logger.info("last")
    server.wait_for("serving.views INFO last", "serving")
    lines = server.lines("serving")[:-1]
    assert lines == [f"serving.views INFO n{n}" for n in range(number)]
    server.stop()


@pytest.mark.parametrize(("config", "error"), BROKEN)
def test_a_broken_configuration_keeps_it_from_starting(tmp_path, spool, config, error):
    """It says what is wrong in one line, and leaves nothing."""
    path = tmp_path / "log.ini"
    if config is not None:
        path.write_text(config, errors="surrogateescape")
    said = run(path, "--listen", HERE, "--spool", spool, cwd=tmp_path)
    assert str(path) in said
    assert error in said


def test_what_was_sent_before_sigterm_is_written_and_a_second_one_changes_nothing(serve):
    """Also what is still in the kernel's buffers when the signal comes."""
    server = serve().start()
    connections = [server.connect() for _ in range(20)]
    server.signal(signal.SIGSTOP)
    for index, connection in enumerate(connections):
        connection.sendall(b"".join(pickled(f"c{index} n{n}") for n in range(100)))
    late = server.connect()  # nobody has accepted it
    late.sendall(pickled("late"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        server.signal(number)
    server.signal(signal.SIGCONT)
    assert server.process.wait(30) == 0, server.errors
    expected = [f"root INFO c{index} n{n}" for index in range(20) for n in range(100)]
    assert sorted(server.lines()) == sorted([*expected, "root INFO late"])
    assert server.errors == ""


def test_an_address_in_use_is_an_error_that_says_so(serve, spool, tmp_path, short):
    """With TCP and with a unix socket, of a server that lives."""
    server = serve("--listen", HERE, "--unix", short / "socket").start(2)
    for option in (("--listen", f"127.0.0.1:{server.port}"), ("--unix", short / "socket")):
        said = run(server.config, *option, "--spool", spool, cwd=tmp_path)
        assert "another server listens there" in said
    server.logger("root").info("still there")
    server.wait_for("root INFO still there")


def test_a_unix_socket_of_a_killed_server_is_taken_over(serve, short):
    """It is in the way of nobody."""
    server = serve("--unix", short / "socket").start()
    server.kill()
    assert (short / "socket").exists()
    server.start()
    logger_of("root", str(short / "socket"), None).info("n")
    server.wait_for("root INFO n")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--unix", "FILE"), "there is something that is no socket; remove it"),
        (("--unix", "missing/socket"), "is no address"),
        (("--unix", "/no/such/directory/socket"), "No such file or directory"),
        (("--listen", "0.0.0.0:0"), "whoever reaches it could write into the logs"),
        (("--listen", "[::]:0"), "whoever reaches it could write into the logs"),
        (("--listen", "192.0.2.1:0", "--secret-file", "FILE"), "it is no address of this host"),
        (("--listen", "no.such.host.invalid:0", "--secret-file", "FILE"), "cannot listen on"),
        (("--listen", "9020"), "is no address: write HOST:PORT"),
        (("--listen", HERE, "--secret-file", "missing"), "No such file or directory"),
        (("--listen", HERE, "--secret-file", "EMPTY"), "there is no secret in"),
        (("--listen", HERE, "--certfile", "FILE"), "cannot use the certificates in"),
        (("--listen", HERE, "--keyfile", "FILE"), "needs certfile"),
        (("--listen", HERE, "--rate", "-1"), "rate=-1"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(options, error, tmp_path, spool):
    """In one line; nothing is left behind."""
    (tmp_path / "log.ini").write_text(CONFIG.replace("\n    ", "\n"))
    (tmp_path / "FILE").write_text("secret")
    (tmp_path / "EMPTY").write_text("\n")
    names = {name: str(tmp_path / name) for name in ("FILE", "EMPTY")}
    options = [names.get(option, option) for option in options]
    assert error in run("log.ini", *options, "--spool", spool, cwd=tmp_path)
    assert not os.path.exists(spool) or not [n for n in os.listdir(spool) if n[0].isdigit()]


def test_sockets_of_systemd_are_taken(serve, short):
    """As `LISTEN_FDS` says, with no address of its own; the socket's file stays systemd's."""
    server = serve("--rate", 0)
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(str(short / "socket"))
        for one in (tcp, unix):
            one.listen()
        shell = f'exec 3<&{tcp.fileno()} 4<&{unix.fileno()}; LISTEN_PID=$$ exec "$@"'
        os.environ["LISTEN_FDS"] = "2"
        try:
            server.begin("bash", "-c", shell, "bash", pass_fds=(tcp.fileno(), unix.fileno()))
        finally:
            del os.environ["LISTEN_FDS"]
        server.listens(2)
        assert server.port == tcp.getsockname()[1]
    server.logger("root").info("tcp")
    logger_of("root", str(short / "socket"), None).info("unix")
    server.wait_for("root INFO tcp")
    server.wait_for("root INFO unix")
    server.stop()
    assert (short / "socket").exists()


@pytest.mark.parametrize("number", ["3", "99999999999"])
def test_sockets_of_systemd_that_are_not_there_are_an_error(tmp_path, spool, number):
    """In one line."""
    (tmp_path / "log.ini").write_text(textwrap.dedent(CONFIG))
    shell = 'exec 3<&-; LISTEN_PID=$$ exec "$@"'
    command = [sys.executable, COMMAND, "serve", "log.ini", "--spool", spool]
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *command],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env=environment(LISTEN_FDS=number),
    )  # fmt: skip
    assert done.stderr == f"queuelog: LISTEN_FDS={number}, but descriptor 3 is not open\n"
    assert done.returncode == 2


def test_an_abstract_socket_of_systemd_is_refused(serve):
    """It has no file that says who may reach it."""
    server = serve()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("")  # the kernel chooses the name
        unix.listen()
        shell = f'exec 3<&{unix.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        server.begin("bash", "-c", shell, "bash", pass_fds=(unix.fileno(),))
        assert server.process.wait(30) == 1
    assert server.errors == "queuelog: descriptor 3 has no path: use ListenStream=/path\n"


def test_systemd_is_told_how_it_is(serve, short):
    """Ready, reloading and stopping, in the order of sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(short / "notify"))
        systemd.settimeout(30)
        server = serve().start(env={**os.environ, "NOTIFY_SOCKET": str(short / "notify")})
        assert systemd.recv(1000) == b"READY=1"
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        server.signal(signal.SIGHUP)
        state, at = systemd.recv(1000).decode().split("\n")
        assert state == "RELOADING=1"
        assert int(at.removeprefix("MONOTONIC_USEC=")) >= before
        assert systemd.recv(1000) == b"READY=1"
        server.stop()
        assert systemd.recv(1000) == b"STOPPING=1"


def test_the_module_runs_as_a_program(tmp_path):
    """`python -m queuelog serve` is the same."""
    done = subprocess.run(
        [sys.executable, "-m", "queuelog", "serve", "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--listen HOST:PORT" in done.stdout
