"""Threads, locks and polling as the operating system has them, also where gevent patched them.

`from gevent import monkey; monkey.patch_all()` at the top of a Gunicorn conf file turns the
arbiter's threads into greenlets, which run only while the arbiter yields. The listener must be a
real thread, and the locks that it shares with the rest of its process must be real locks.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def native(module: str, name: str) -> Any:
    """Return attribute `name` of `module` as it was before gevent patched it, if it did."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(importlib.import_module(module), name)
    return monkey.get_original(module, name)
