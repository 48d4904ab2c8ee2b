"""What the documentation says of the tests, of its own pages and of their commands is true."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def docstring(module, name):
    """Return the docstring of a test."""
    (path,) = TESTS.rglob(f"{module}.py")
    tree = ast.parse(path.read_text())
    (found,) = (node for node in tree.body if getattr(node, "name", "") == name)
    return ast.get_docstring(found)


def test_each_failure_has_a_test_that_names_it():
    """The table in docs/testing.md lists tests that exist, and say which failure they hold."""
    page = (ROOT / "docs" / "testing.md").read_text()
    rows = re.findall(r"^\| ([A-E]\d+\w?) \| .* \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) == 27
    for row, tests in rows:
        for module, name in re.findall(r"`(\w+)::(\w+)`", tests):
            assert re.search(rf"Failures [^:]*\b{row}\b", docstring(module, name)), (row, name)


def test_every_test_says_what_it_is_for():
    """One sentence, at least."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_files_of_the_tests_that_the_documents_name_exist():
    """A reader who wants to see how something is proved finds it."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for path in re.findall(r"\btests/[\w/]+\.py\b", page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_links_between_the_documents_lead_somewhere():
    """From the README and the pages in docs/."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_names_the_command_that_continuous_integration_runs():
    """The README's test command is the one that .ci/run calls."""
    command = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox"
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text()


def test_the_code_of_the_recipes_is_that_of_the_examples():
    """docs/processes.md shows what tests/processes run."""
    page = (ROOT / "docs" / "processes.md").read_text()
    examples = [path.read_text() for path in (ROOT / "examples" / "processes").glob("*.py")]
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        assert any(block in text for text in examples), block
