"""The logging configuration of a server: a file as `logging.config` understands it."""

from __future__ import annotations

import configparser
import json
import logging
import logging.config
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from queuelog.attach import tree
from queuelog.commands.command import CommandError


class Configuration(NamedTuple):
    """What a file says, read once: `apply` can be called again, whatever becomes of the file."""

    path: str
    content: dict[str, Any] | configparser.RawConfigParser

    @classmethod
    def read(cls, path: str) -> Configuration:
        """Read a file; its ending says what it is: .json, .yaml, .yml, .toml, anything else INI.

        Raises:
            CommandError: it cannot be read, or is no such thing; or a package is missing.
        """
        parse = _PARSERS.get(os.path.splitext(path)[1].lower(), _ini)
        try:
            with open(path, encoding="utf-8") as file:
                content = parse(file.read())
        except OSError as error:
            raise CommandError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, configparser.Error) as error:  # also what is not UTF-8
            raise CommandError(f"{path} is wrong: {_said(error)}") from error
        except ImportError as error:
            raise CommandError(f"cannot read {path}: {error}") from error
        if isinstance(content, dict):
            content.setdefault("disable_existing_loggers", False)
        elif not isinstance(content, configparser.RawConfigParser):
            raise CommandError(f"{path} is wrong: it is no mapping, as dictConfig wants it")
        return cls(path, content)

    def apply(self) -> None:
        """Let the loggers be what the file says, and nothing else.

        Raises:
            CommandError: `logging.config` refuses it.
        """
        _reset()
        try:
            if isinstance(self.content, dict):
                logging.config.dictConfig(self.content)
            else:
                logging.config.fileConfig(self.content, disable_existing_loggers=False)
        except Exception as error:  # of a handler's class, which may be anybody's
            cause = error.__cause__ or error
            more = f" ({cause})" if cause is not error else ""
            raise CommandError(f"{self.path} is wrong: {_said(error)}{more}") from error


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error}"
    return " ".join(str(error).split()) or type(error).__name__


def _reset() -> None:
    """Make every logger as it is when it is new."""
    for name, logger in tree.loggers():
        for handler in [*logger.handlers]:
            logger.removeHandler(handler)
        for found in [*logger.filters]:
            logger.removeFilter(found)
        logger.propagate, logger.disabled = True, False
        logger.setLevel(logging.NOTSET if name else logging.WARNING)


def _ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    missing = [s for s in ("loggers", "handlers", "formatters") if not parser.has_section(s)]
    if missing:
        raise ValueError(f"there is no section [{missing[0]}], as fileConfig wants it")
    return parser


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ImportError("it needs PyYAML: pip install 'queuelog[yaml]'") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _toml(text: str) -> Any:
    try:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
    except ImportError:
        raise ImportError("it needs tomli: pip install 'queuelog[toml]'") from None
    return tomllib.loads(text)


_PARSERS: dict[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": _toml,
}
