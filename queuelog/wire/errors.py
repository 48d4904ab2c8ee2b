"""Why a connection ends. All are `ConnectionError`s: for whoever sends, it failed for now."""

from __future__ import annotations


class WireError(ConnectionError):
    """Base of all: nothing more that comes over this connection can be used."""


class FrameError(WireError):
    """What came is no message, or not one that is expected now."""


class SealError(WireError):
    """The other side has another secret than this one; or somebody has changed what it sent."""


class RecordError(WireError):
    """What came as a record is none."""


class RefusedError(WireError):
    """The other side ends the connection, and says why."""
