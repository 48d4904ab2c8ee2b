"""The spools that a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuelog.commands.command import CommandError

if TYPE_CHECKING:
    from queuelog.outside.seen import Spool


def find(path: str | None = None) -> list[Spool]:
    """Return the spool at `path`, or all below it; by default those of this user, root's: of all.

    Raises:
        CommandError: there is none at `path`, or this user may not look.
    """
    from queuelog.outside import seen

    try:
        found = seen.all_visible() if path is None else seen.below(path)
    except OSError as error:
        raise CommandError(f"cannot look into {path}: {error.strerror}") from error
    if path is not None and not found:
        raise CommandError(f"{path} is no spool, nor is one in it: queuelog status lists them")
    return found
