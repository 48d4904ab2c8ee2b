"""The version of queuelog; the package has it from here."""

__version__ = "0.1.0"
