"""The map of the house, held: pyproject.toml says who may import whom; here stands what import-linter cannot say."""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT, few

import tokenvis

PACKAGE = ROOT / "tokenvis"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted(PACKAGE.rglob("*.mjs"))]
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py" and path.parent != PACKAGE)
LONGEST_FILE, MOST_FILES = 400, 20


def lint(folder: Path) -> subprocess.CompletedProcess:
    """What import-linter says of the package in a folder, by the contracts beside it."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {"PATH": "", "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_imports_flow_down():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


AGAINST_THE_MAP = {  # a file: what is added to it, and the contract that this breaks, by how its name begins
    "spans/columns.py": ("from tokenvis.analysis import gaps", "Imports flow down"),
    "store/load.py": ("from tokenvis.ingestion.report import Report", "Imports flow down"),
    "helpers.py": ("", "Imports flow down"),
    "analysis/gaps.py": ("from tokenvis.store.load import load_spans", "Questions and pictures know frames"),
    "plot/still.py": ("def late():\n    import tokenvis.formats.chunks", "Questions and pictures know frames"),
    "record/writer.py": ("from tokenvis.layout import lanes", "What stores, records and reads knows no questions"),
    "formats/registry.py": ("from tokenvis.store.load import load_traces", "Formats know neither the store nor the questions"),
    "explorer/page.py": ("from tokenvis.formats import export", "The explorer shows what is stored"),
    "spans/integers.py": ("from tokenvis.spans import columns", "No circle between files"),
    "analysis/moves.py": ("from tokenvis.analysis.gaps import gaps", "A question stands alone"),
    "plot/usage.py": ("from tokenvis.plot import timeline", "A picture stands alone"),
    "formats/telemetry/phoenix.py": ("from tokenvis.formats.telemetry import mlflow", "A format stands alone"),
    "store/schema.py": ("from tokenvis.store import rows", "In the store"),
}


@pytest.mark.parametrize("file", few(AGAINST_THE_MAP, "store/load.py", "analysis/gaps.py", "spans/integers.py"))
def test_an_import_against_the_map_is_caught(file):
    line, contract = AGAINST_THE_MAP[file]
    shutil.copytree(PACKAGE, "tokenvis", ignore=shutil.ignore_patterns("__pycache__", "modules"))
    shutil.copy(ROOT / "pyproject.toml", "pyproject.toml")
    with Path("tokenvis", file).open("a") as module:
        module.write(f"\n{line}\n")
    done = lint(Path.cwd())
    assert done.returncode == 1
    assert any(found.startswith(contract) and found.endswith("BROKEN") for found in done.stdout.splitlines()), done.stdout


def test_imports_are_absolute():
    nodes = [node for path in MODULES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert not [node.module for node in nodes if node.level]


def test_a_folder_is_seen_at_a_glance():
    n_files = Counter(str(path.parent.relative_to(PACKAGE)) for path in SOURCES)
    assert {folder: count for folder, count in n_files.items() if count > MOST_FILES} == {}


def test_a_file_is_read_in_one_sitting():
    n_lines = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: count for name, count in n_lines.items() if count > LONGEST_FILE} == {}


def test_every_package_says_what_it_is():
    assert [str(folder) for folder in PACKAGES if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))] == []


@cache
def libraries_of(path: Path) -> frozenset[str]:
    """Every top-level package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return frozenset(found)


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("sqlalchemy", {"store/"}),
        ("sqlite3", {"store/", "__main__.py"}),
        ("matplotlib", {"plot/"}),
        ("anywidget", {"explorer/widget.py"}),
        ("tqdm", {"ingestion/ingest.py"}),
        ("ijson", {"formats/files/"}),
        ("opentelemetry", {"formats/telemetry/otlp/reader.py", "record/"}),
        ("pysat", {"layout/storylines/proof.py"}),
        ("scipy", {"layout/storylines/heights.py"}),
        ("pyarrow", {"spans/", "store/scan.py", "formats/", "ingestion/assembly.py"}),
    ],
)
def test_a_library_is_spoken_only_where_it_belongs(library, places):
    users = [str(path.relative_to(PACKAGE)) for path in MODULES if library in libraries_of(path)]
    assert users
    assert not [user for user in users if not user.startswith(tuple(places))]


def test_only_the_store_speaks_sql():
    words = re.compile(r"\b(SELECT .* FROM|INSERT INTO|DELETE FROM|PRAGMA|CREATE TABLE)\b")
    speakers = {path.parent.name for path in MODULES if words.search(path.read_text())}
    assert speakers == {"store"}


TESTED_THROUGH = {
    "lines": "claude_code and codex",  # of these formats: what they read is what their spans show
    "threads": "codex",
    "reader": "the format that it reads",
    "writer": "the format that it writes",
    "registry": "ingest, which recognises every format",
    "connectors": "pictures",  # artists are seen in every picture
    "labels": "pictures",
    "legend": "pictures",
    "time_axis": "pictures",
}


def test_every_module_has_its_test():
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    modules = {path for path in MODULES if not path.stem.startswith("__")}
    named = {path: {path.stem, f"{path.parent.name}_{path.stem}"} for path in modules}
    assert not [str(path) for path, names in named.items() if not names & tests and path.stem not in TESTED_THROUGH]


def test_nothing_heavy_is_loaded_before_it_is_used():
    heavy = ["matplotlib", "IPython", "scipy", "anywidget", "opentelemetry"]
    code = "import tokenvis, tokenvis.record, tokenvis.ingestion; tokenvis.palette(['a'])"
    script = f"{code}; import sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_table_of_contents_is_sorted_and_whole():
    assert tokenvis.__all__ == sorted(tokenvis.__all__)
    assert dir(tokenvis) == tokenvis.__all__
    assert all(getattr(tokenvis, name) is not None for name in tokenvis.__all__)
    with pytest.raises(AttributeError, match=r"^module 'tokenvis' has no attribute 'plot_nothing'$"):
        tokenvis.plot_nothing  # noqa: B018


def test_a_package_and_a_public_name_never_share_a_word():
    assert not {path.stem for path in PACKAGE.iterdir()} & set(tokenvis.__all__)


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_a_package_offers_hides_none_of_its_files(folder):
    tree = ast.parse((folder / "__init__.py").read_text())
    offered = {name.asname or name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert not offered & {path.stem for path in folder.iterdir()}
