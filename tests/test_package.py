"""The package as a whole: its names, what an import does, its errors, and what is installed."""

import inspect
import os
import pickle
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import queuelog
import queuelog.gunicorn

ROOT = Path(__file__).parents[1]


def test_the_public_names_are_these():
    """Whoever adds one adds it here, too, and documents it."""
    assert queuelog.__all__ == sorted(queuelog.__all__)
    assert set(queuelog.__all__) == {
        "ConfigurationError", "FileInUseError", "Listen", "ListenError", "NotStartedError", "Plan",
        "PlatformError", "QueuelogError", "SpoolError", "WrongProcessError", "__version__",
        "describe", "get_logger", "setup", "start", "stop",
    }  # fmt: skip
    for module in (queuelog, queuelog.gunicorn):
        assert all(getattr(module, name).__doc__ for name in module.__all__)


def test_the_version_is_the_installed_one():
    """The package has it from there."""
    assert queuelog.__version__ == version("queuelog")


def test_an_import_does_nothing(program):
    """No thread, no descriptor, no hook, no handler, no other package."""
    program()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_an_import_on_another_system_says_what_is_needed(program, platform):
    """One sentence, in the place of a module that is missing there."""
    done = program(platform, check=False)
    assert f"PlatformError: queuelog needs Linux, and this is {platform}" in done.stderr
    assert "if sys.platform == 'linux'" in done.stderr
    assert "During handling" not in done.stderr


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (queuelog.ConfigurationError("text"), ValueError),
        (queuelog.FileInUseError("/log", "process 1"), RuntimeError),
        (queuelog.NotStartedError("text"), RuntimeError),
        (queuelog.PlatformError("text"), ImportError),
        (queuelog.SpoolError("text"), OSError),
        (queuelog.WrongProcessError("text"), RuntimeError),
    ],
)
def test_errors_fit_builtins_and_can_be_pickled(error, builtin):
    """A process pool hands them on."""
    assert isinstance(error, builtin)
    assert isinstance(error, queuelog.QueuelogError)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_the_table_of_options_is_complete():
    """The README's table has one line for each keyword argument of start()."""
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert table == list(inspect.signature(queuelog.start).parameters)


def test_the_changelog_has_the_version_or_an_unreleased_section():
    """Nobody releases what the changelog does not know."""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text


def test_the_installed_package_is_under_test():
    """In tox the wheel is tested, not the checkout beside it."""
    if "TOX_ENV_NAME" not in os.environ:
        pytest.skip("not run by tox: an editable installation is the checkout")
    assert not Path(queuelog.__file__).is_relative_to(ROOT / "queuelog")
    assert (Path(queuelog.__file__).parent / "py.typed").exists()
    _, _, wanted = os.environ["TOX_ENV_NAME"].partition("-gunicorn")
    assert version("gunicorn").replace(".", "").startswith(wanted)
