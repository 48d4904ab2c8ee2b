"""``queuelog serve CONFIG``: a log server of its own, with no Gunicorn."""

from __future__ import annotations

import argparse
import resource
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from queuelog.base.address import DEFAULT
from queuelog.commands.command import CommandError, Commands, Exit, add_command

if TYPE_CHECKING:
    from queuelog.base import Listen
    from queuelog.commands.configuration import Configuration

_SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}
_DESCRIPTORS = 1 << 16  # that it asks for; each connection takes one


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "serve",
        run,
        summary="receive records of other processes and hosts, and write them",
        description="Receive log records as logging.handlers.SocketHandler sends them, and hand "
        "them to the loggers that CONFIG configures; each file has one owner, this process.\n\n"
        "SIGHUP reads CONFIG anew, SIGTERM and SIGINT end the server when all that was sent is "
        "written. It takes sockets that systemd passes (LISTEN_FDS), and tells it how it is "
        "(Type=notify).",
        example="queuelog serve /etc/log-server.ini --listen 127.0.0.1:9020",
    )
    parser.add_argument(
        "config", metavar="CONFIG",
        help="INI as logging.config.fileConfig reads it, or .json, .yaml, .toml for dictConfig",
    )  # fmt: skip
    parser.add_argument(
        "--listen", metavar="HOST:PORT", action="append", default=[],
        help=f"an address, as often as wanted; default: {DEFAULT}, unless --unix or systemd says "
        "another",
    )  # fmt: skip
    parser.add_argument(
        "--unix", metavar="PATH", action="append", default=[], help="a unix socket, likewise"
    )
    parser.add_argument("--secret-file", metavar="FILE", help="a secret that clients share")
    parser.add_argument("--certfile", metavar="FILE", help="TLS: the server's certificate")
    parser.add_argument("--keyfile", metavar="FILE", help="TLS: its key, if not in --certfile")
    parser.add_argument("--cafile", metavar="FILE", help="TLS: who vouches for clients")
    parser.add_argument(
        "--rate", type=int, metavar="N",
        help="records a second from one host, 0 for any number; default: 20000 from other hosts",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", help="serve Prometheus its metrics by HTTP"
    )
    parser.add_argument("--spool", metavar="DIR", help="see the option of queuelog.start()")
    parser.add_argument("--backlog", type=int, metavar="BYTES", help="likewise")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    import queuelog
    from queuelog import lifecycle
    from queuelog.commands import systemd
    from queuelog.commands.configuration import Configuration

    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # before there is another thread
    _ask_for_descriptors()
    configuration = Configuration.read(arguments.config)
    options = {"backlog": arguments.backlog} if arguments.backlog is not None else {}
    listen = _listen(arguments, systemd.passed_descriptors())
    configuration.apply()
    queuelog.start(
        listen=listen, own="*", spool=arguments.spool, metrics=arguments.metrics, **options
    )
    try:
        services = lifecycle.services()
        print(*(f"listening on {one}" for one in services.addresses()), sep="\n", flush=True)
        for one in services.metrics_addresses():
            print(f"metrics at http://{one}/metrics", flush=True)
        systemd.notify("READY=1")
        while signal.sigwait(_SIGNALS) == signal.SIGHUP:
            systemd.notify("RELOADING=1", at_time=True)
            configuration = _reload(arguments.config, configuration)
            systemd.notify("READY=1")
        systemd.notify("STOPPING=1")
    finally:
        queuelog.stop()
    return Exit.DONE


def _listen(arguments: argparse.Namespace, descriptors: list[int]) -> Listen:
    from queuelog.base import Listen

    addresses = [*arguments.listen, *(f"unix:{path}" for path in arguments.unix)]
    if not addresses and not descriptors:
        addresses = [DEFAULT]
    names = ("secret_file", "certfile", "keyfile", "cafile", "rate")
    return Listen(
        addresses, descriptors=descriptors, **{name: getattr(arguments, name) for name in names}
    )


def _reload(path: str, before: Configuration) -> Configuration:
    """Configure anew; return what is in force, which is what was before if the new one is wrong."""
    from queuelog import lifecycle
    from queuelog.base import report
    from queuelog.commands.configuration import Configuration
    from queuelog.errors import QueuelogError

    try:
        new = Configuration.read(path)
        lifecycle.reconfigure(new.apply, before.apply)
    except (CommandError, QueuelogError) as error:
        report("reload", f"{error}. The configuration is as before")
        return before
    return new


def _ask_for_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _DESCRIPTORS)), hard))
