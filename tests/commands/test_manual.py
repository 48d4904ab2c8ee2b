"""The manual page and the completion of shells, which are made from the parser."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "queuelog.1"


def run(*command, **options):
    """Run a command that must not fail; return what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_the_manual_page_is_what_the_parser_says(tmp_path):
    """Who changes an option runs `python docs/manpage.py`."""
    pytest.importorskip("argparse_manpage")
    script = shutil.copy(ROOT / "docs" / "manpage.py", tmp_path)
    run(sys.executable, script)
    assert MANUAL.read_text() == (tmp_path / "queuelog.1").read_text()


def test_the_manual_page_can_be_read():
    """By a tool that complains of what would not be seen."""
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is needed, of Debian's package of that name")
    run("mandoc", "-Tlint", "-Werror", MANUAL)
    text = re.sub(".\x08", "", run("mandoc", "-Tascii", MANUAL))
    assert "\nEXIT STATUS\n" in text
    assert "queuelog status --json" in text


@pytest.fixture
def completions(queuelog, tmp_path):
    """Return a function that returns what bash offers for the last word of a line."""
    pytest.importorskip("shtab")
    (tmp_path / "completion").write_text(queuelog("--print-completion", "bash").stdout)

    def offered(*words):
        program = 'source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"'
        ask = f"{program}; _shtab_queuelog; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return run("bash", "-c", ask, "bash", "queuelog", *words, cwd=tmp_path).split()

    return offered


def test_bash_completes_commands_options_and_files(completions, tmp_path):
    """As shtab makes it."""
    (tmp_path / "served.log").touch()
    assert completions("rot") == ["rotate"]
    assert completions("status", "--j") == ["--json"]
    assert completions("rotate", "serv") == ["served.log"]


def test_zsh_has_its_own(queuelog):
    """At least a function that shell can parse."""
    pytest.importorskip("shtab")
    script = queuelog("--print-completion", "zsh").stdout
    assert script.startswith("#compdef queuelog")
    if shutil.which("zsh"):
        run("zsh", "-n", input=script)


def test_completion_without_shtab_says_what_to_install(tmp_path):
    """One sentence, as for every other missing package."""
    code = (
        "import sys; sys.modules['shtab'] = None\n"
        "from queuelog.commands.cli import main\n"
        "sys.exit(main(['--print-completion', 'bash']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "queuelog: shtab is not installed: pip install 'queuelog[cli]'\n"


def test_the_wheel_has_the_manual_page():
    """Where `man` looks for it, beside the command."""
    if "TOX_ENV_NAME" not in os.environ:
        pytest.skip("not run by tox: an editable installation has no wheel")
    assert (Path(sys.prefix) / "share" / "man" / "man1" / "queuelog.1").exists()
