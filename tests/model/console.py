"""Drives the machine of the model test, `programs/machine.py`, and keeps the script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MACHINE = Path(__file__).parent / "programs" / "machine.py"
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]


class LostError(AssertionError):
    """A script, and what was wrong after its last step."""


class Console:
    """The machine's; keeps the script of what it was told."""

    def __init__(self):
        self.script = []
        environment = {**os.environ, "PYTHONWARNINGS": "error"}
        self._process = subprocess.Popen(
            [*NAMESPACES, sys.executable, MACHINE], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def do(self, step):
        """Take a step; return what is there then.

        Raises:
            LostError: something is wrong.
        """
        self.script.append(step)
        self._process.stdin.write(f"{step}\n")
        self._process.stdin.flush()
        text = self._process.stdout.readline()
        answer = json.loads(text) if text else {"broken": "the machine has ended"}
        if "services" in answer:
            return answer
        (wrong,) = (answer[key] for key in ("wrong", "broken") if key in answer)
        said = "\n".join(f"  {line}" for line in answer.get("reports", ()))
        script = "\n".join(self.script)
        raise LostError(f"{wrong}\n\nqueuelog and others said:\n{said}\n\nthe script:\n{script}\n")

    def close(self):
        """End the machine, and all processes in it."""
        self._process.stdin.close()
        self._process.kill()
        self._process.stdout.close()
        self._process.wait()


def call(method, *arguments, **keywords):
    """Return the step that calls a method."""
    texts = [*map(repr, arguments), *(f"{name}={value!r}" for name, value in keywords.items())]
    return f"{method}({', '.join(texts)})"


def run_script(path):
    """Take the steps that are in a file."""
    console = Console()
    try:
        for step in Path(path).read_text().splitlines():
            if step and not step.startswith("#"):
                console.do(step)
    finally:
        console.close()
