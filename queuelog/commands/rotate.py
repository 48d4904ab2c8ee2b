"""``queuelog rotate FILE...``: let the owners of log files roll them over now."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from queuelog.base import shown
from queuelog.commands.command import (
    FILE,
    CommandError,
    Commands,
    Exit,
    add_command,
    completed_by,
)

if TYPE_CHECKING:
    from queuelog.base import Place
    from queuelog.spool import SpoolDirectory
    from queuelog.spool.requests import Outcome


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "rotate",
        run,
        summary="let running owners roll log files over now",
        description="Ask the processes that own these log files to roll them over now, each as its "
        "handler does when that is due, and wait until it is done. No line is lost or doubled.\n\n"
        "Run it as the user of the service, or as root. Exit code 1 if a file was not rolled over: "
        "its handler has no policy for that, nobody owns it, or its owner does not answer. An "
        "empty file is left as it is.",
        example="queuelog rotate /var/log/app/serving.log /var/log/app/webhook.log",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true", help="all files that have a policy")
    files = which.add_argument("files", nargs="*", default=[], metavar="FILE", help="a log file")
    completed_by(files, FILE)
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS",
        help="how long to wait for each owner (default: 10)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print what came of each file; return 1 if one was not rolled over."""
    outcomes = []
    for outcome in _all(arguments) if arguments.all else _named(arguments):
        print(f"{shown(outcome.path)}: {shown(outcome.text)}", flush=True)
        outcomes.append(outcome)
    if not outcomes:
        raise CommandError("nobody owns a log file here that could be rolled over", Exit.TROUBLE)
    return Exit.DONE if all(outcome.done for outcome in outcomes) else Exit.TROUBLE


def _all(arguments: argparse.Namespace) -> Iterator[Outcome]:
    for directory, _ in _owners():
        yield from _ask(directory, None, arguments.timeout)


def _named(arguments: argparse.Namespace) -> Iterator[Outcome]:
    from queuelog.base import place_of
    from queuelog.spool.requests import Outcome

    owners = {place: directory for directory, places in _owners() for place in places}
    wanted = {place_of(path): path for path in arguments.files}
    asked: dict[str, list[Place]] = {}
    for place, path in wanted.items():
        if place in owners:
            asked.setdefault(owners[place].path, []).append(place)
        else:
            yield Outcome(path, done=False, text=_why_nobody(path))
    for places in asked.values():
        outcomes = _ask(owners[places[0]], places, arguments.timeout)
        for place, outcome in zip(places, outcomes, strict=True):
            yield outcome._replace(path=wanted[place])


def _owners() -> Iterator[tuple[SpoolDirectory, list[Place]]]:
    """Yield the spools of the owners that this process may ask, and the places of their files."""
    from queuelog.spool import registry

    for directory, found in registry.living(registry.inspected_users()):
        yield directory, found.files


def _ask(directory: SpoolDirectory, places: list[Place] | None, timeout: float) -> list[Outcome]:
    """Return what came of each place; of all files of an owner that does not answer, one."""
    from queuelog.spool.requests import Outcome, UnansweredError, ask

    try:
        return ask(directory, places, timeout)
    except UnansweredError as error:
        text = str(error)
    except OSError as error:
        text = f"its owner cannot be asked: {error}"
    names = [place.name for place in places] if places else [directory.path]
    return [Outcome(name, done=False, text=text) for name in names]


def _why_nobody(path: str) -> str:
    """Say why nobody can be asked to roll a file over."""
    from queuelog.spool.registry import who_owns

    if not os.path.exists(path):
        return "there is no such file, and nobody owns it"
    who = who_owns(path)
    if who == "another process":  # of which nobody knows anything
        return "nobody owns it: start the service that writes it"
    return f"{who} writes it: this user may not ask that, or it has no queuelog"
