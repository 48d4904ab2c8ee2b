"""What the documentation says of the tests, of its own pages and of their commands is true."""

import ast
import re
from pathlib import Path

from queuelog.rotation import Policy

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


def rotation_page():
    """Return docs/rotation.md, and its sections by their titles."""
    page = (ROOT / "docs" / "rotation.md").read_text()
    return page, dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", page, re.MULTILINE))


def test_every_option_of_rotation_is_documented():
    """And no other one is."""
    _, sections = rotation_page()
    cells = re.findall(r"^\| (`.*?) \|", sections["Options"], re.MULTILINE)
    documented = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert documented == {*Policy._fields, "encoding", "errors", "delay"}


def test_what_the_page_of_rotation_advises_is_valid():
    """Its one line, its handler, and the right-hand column of what one comes from."""
    page, sections = rotation_page()
    (line,) = re.findall(r"rotation=(\{.*\})\)$", page, re.MULTILINE)
    assert Policy.checked(**ast.literal_eval(line)).compression == "gzip"
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    handler = ast.literal_eval(f"{{{block}}}")["handlers"]["billing"]
    assert handler.pop("class") == "queuelog.handlers.RollingFileHandler"
    assert handler.pop("filename")
    Policy.checked(**handler)
    advised = 0
    for title, text in sections.items():
        if title.startswith("From "):
            for cell in re.findall(r"^\|.*\| (.*) \|$", text, re.MULTILINE):
                found = re.findall(r'"?(\w+)"?(?:=|: )("[^"]*"|True|\d+)', cell)
                options = {name: ast.literal_eval(value) for name, value in found}
                for name in (
                    "class",
                    "owner",
                    "group",
                    "errors",
                ):  # not there everywhere, or no policy
                    options.pop(name, None)
                if options.get("compression") != "zstd":
                    Policy.checked(**{"when": "midnight", **options})
                    advised += len(options)
    assert advised > 40


def test_the_table_of_features_has_what_the_benchmark_tries():
    """Row by row: each cell of docs/rotation.md is what that has printed."""
    tree = ast.parse((ROOT / "benchmarks" / "rotation_features.py").read_text())
    tried = [
        ast.get_docstring(node).rstrip(".")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    ]
    _, sections = rotation_page()
    assert re.findall(r"^\| ([A-Z].*?) \|", sections["Beside others"], re.MULTILINE) == tried
