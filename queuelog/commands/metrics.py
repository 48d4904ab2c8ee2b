"""``queuelog metrics``: what ``status`` shows, for Prometheus."""

from __future__ import annotations

import argparse
import sys

from queuelog.commands.command import (
    FILE,
    CommandError,
    Commands,
    Exit,
    add_command,
    add_spool,
    completed_by,
)


def add_to(commands: Commands) -> None:
    """Add the command to those of ``queuelog``."""
    parser = add_command(
        commands,
        "metrics",
        run,
        summary="print metrics in Prometheus' text format",
        description="Print metrics of the spools of this user, or of all users if this is root, in "
        "Prometheus' text format; for the textfile collector of node_exporter let cron write them "
        "to a file. It needs prometheus-client: pip install queuelog[metrics].\n\n"
        'A service can serve its own metrics by HTTP: queuelog.start(metrics="127.0.0.1:9410").',
        example="queuelog metrics --output /var/lib/prometheus/node-exporter/queuelog.prom",
    )
    output = parser.add_argument(
        "--output", metavar="FILE", help="replace FILE, in one step, instead of printing"
    )
    add_spool(parser)
    completed_by(output, FILE)


def run(arguments: argparse.Namespace) -> int:
    """Print the metrics, or write them to a file."""
    try:
        from prometheus_client import write_to_textfile

        from queuelog.outside.metrics import exposition, registry_of
    except ImportError as error:
        message = "prometheus-client is not installed: pip install 'queuelog[metrics]'"
        raise CommandError(message) from error
    from queuelog.commands.find import find

    found = find(arguments.spool)
    if arguments.output is None:
        sys.stdout.write(exposition(found).decode())
        return Exit.DONE
    try:
        write_to_textfile(arguments.output, registry_of(found))
    except OSError as error:
        raise CommandError(f"cannot write {arguments.output}: {error.strerror}") from error
    return Exit.DONE
