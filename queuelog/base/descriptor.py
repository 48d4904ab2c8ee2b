"""A file that is held open, and that somebody may remove meanwhile."""

from __future__ import annotations

import os


class Descriptor:
    """One descriptor of this process, or none."""

    fd = -1

    @property
    def is_open(self) -> bool:
        """Whether there is a descriptor."""
        return self.fd >= 0

    @property
    def is_there(self) -> bool:
        """Whether there is a descriptor, and its file has a name still."""
        return self.fd >= 0 and os.fstat(self.fd).st_nlink > 0

    def close(self) -> None:
        """Close the descriptor; harmless if there is none."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
