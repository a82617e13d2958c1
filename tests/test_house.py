"""The shape of the house: sizes, docstrings, exit codes, configs, layers, and nothing of anybody's machine."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchproof import errors
from benchproof.errors import BenchproofError
from benchproof.schema.spec import SuiteAsk
from benchproof.spec import parse, read_spec, resolve_suite

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "runner" / "benchproof"
FOLDERS = ("configs", "docs", "jobs", "results")
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))])
MAX_LINES = 350
# code -> beginning of its meaning in DESIGN's table: what scripts rely on
EXIT_CODES = {
    0: "done",
    1: "verification failed",
    2: "usage or config",
    3: "missing input or no access",
    4: "no sandbox",
    5: "environment or GPU",
    6: "disk",
    7: "inconclusive, or not comparable",
    70: "a bug in benchproof",
    75: "interrupted",
}
# In two halves, so that this file does not hold what it looks for.
PRIVATE_PATH = re.compile("/(?:" + "home|root|work|Users" + r")/(?!somebody\b)\w")  # `somebody` is nobody
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".cfg", ".sh", ".importlinter", ""}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def leaves(kind: type[BenchproofError]) -> Iterator[type[BenchproofError]]:
    """Error classes of errors.py that nothing there derives from: what is raised."""
    below = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    if not below:
        yield kind
    for child in below:
        yield from leaves(child)


LEAVES = sorted(leaves(BenchproofError), key=lambda kind: kind.__name__)


def exit_table() -> dict[int, list[str]]:
    """docs/exit-codes.md: code -> its meaning, error class and advice."""
    lines = (ROOT / "docs" / "exit-codes.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \d", line)]
    return {int(code): rest for code, *rest in rows}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_file_is_too_long_to_read_and_each_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES, f"over {MAX_LINES} lines: is there a second story in it?"
    assert ast.get_docstring(ast.parse(text)), "no docstring"


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_error_has_an_exit_code_of_the_table_and_stands_on_its_page(kind: type[BenchproofError]) -> None:
    assert kind.exit_code in EXIT_CODES.keys() - {0, BenchproofError.exit_code}
    assert kind.__name__ in exit_table()[kind.exit_code][1]
    drawn = re.search(rf"\b{kind.__name__} +(\d+)\b", errors.__doc__ or "")
    assert drawn and int(drawn[1]) == kind.exit_code, "the tree in errors.py's docstring"


def test_the_page_of_exit_codes_is_the_table() -> None:
    table = exit_table()
    assert table.keys() == EXIT_CODES.keys()
    for code, beginning in EXIT_CODES.items():
        meaning, _, advice = table[code]
        assert meaning.startswith(beginning)
        assert advice
    named = {name for _, names, _ in table.values() for name in re.findall(r"`(\w+)`", names)}
    assert named == {kind.__name__ for kind in LEAVES}


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "runs").glob("*.yaml")), ids=name_of)
def test_every_run_of_configs_is_a_spec_whose_suite_resolves(path: Path) -> None:
    spec, data = read_spec(path)
    assert data == path.read_bytes()
    assert resolve_suite(spec.suite)


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "suites").glob("*.yaml")), ids=name_of)
def test_every_suite_of_configs_parses_and_says_what_it_is(path: Path) -> None:
    suite = parse(SuiteAsk, path.read_bytes(), where=name_of(path))
    assert suite.about != SuiteAsk.model_fields["about"].default
    assert resolve_suite(path.stem)


def test_configs_holds_specs_and_suites_only() -> None:
    known = {"runs": ".yaml", "suites": ".yaml"}
    strangers = [
        name_of(path)
        for path in sorted((ROOT / "configs").rglob("*"))
        if path.is_file() and path.name != "README.md" and known.get(path.parent.name) != path.suffix
    ]
    assert strangers == []


def test_no_committed_file_names_a_path_of_somebodys_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout: which files are the project's is not known")
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if not path.is_file() or path.suffix not in TEXT or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if PRIVATE_PATH.search(line):
                found.append(f"{name}:{number}")
    assert found == []


def test_the_tests_that_the_architecture_names_exist_and_the_page_is_short() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert named
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text("utf-8")]
    assert missing == []
    assert len(text.splitlines()) <= 150


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_decision_is_in_the_index_and_fits_on_a_page() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    assert [page.name for page in pages if f"({page.name})" not in index] == []
    assert [page.name for page in pages if len(page.read_text("utf-8").splitlines()) > 60] == []
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))


def test_the_layers_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
