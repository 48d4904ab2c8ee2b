#!/usr/bin/env python
"""Django's command-line utility for administrative tasks, with two lines for queuelog."""

import os
import sys

import queuelog  # (1)


def main():
    """Run administrative tasks."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    # (2) Commands log into the server's files through the server; while none runs, the command
    # itself writes them.
    queuelog.start(spool=os.environ.get("SPOOL"))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
