"""The map of the house, held: pyproject.toml says who may import whom; here stands what import-linter cannot say."""

import ast
import os
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
from tokenvis.formats.registry import FORMATS

PACKAGE = ROOT / "tokenvis"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted(PACKAGE.rglob("*.mjs"))]
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py" and path.parent != PACKAGE)
LONGEST_FILE, MOST_FILES = 400, 20


def lint(folder: Path) -> subprocess.CompletedProcess:
    """What import-linter says of the package in a folder, by the contracts beside it."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
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
    "store/demo.py": ("from tokenvis.output import one_line", "Only doors write files"),
    "conventions/rules.py": ("from tokenvis.output import one_line", "Only doors write files"),
    "record/recorder.py": ("from tokenvis.output import one_line", "Only doors write files"),
    "ingestion/ingest.py": ("from tokenvis.record import recorder", "Files and running programs come in at two doors"),
    "spans/payload.py": ("from tokenvis.spans import text", "In spans"),
    "record/live.py": ("from tokenvis.record import writer", "In record"),
    "layout/lanes.py": ("from tokenvis.layout.storylines import blocks", "In layout"),
    "explorer/answers.py": ("from tokenvis.explorer import page", "In the explorer"),
    "formats/chunks.py": ("from tokenvis.formats.table import writer", "In formats:"),
    "formats/files/reading.py": ("from tokenvis.formats.files import lines", "In formats/files"),
    "ingestion/report.py": ("from tokenvis.ingestion import ingest", "In ingestion"),
    "ingestion/watch/checkpoint.py": ("from tokenvis.ingestion.watch import discovery", "In watch"),
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


PICTURED = ("colocation", "compare", "concurrency", "critical_path", "handoffs", "occupancy", "transitions", "usage")
TESTED_IN = {  # what has no file of tests of its own name, in the folder of its package
    "formats/registry.py": "formats/test_damage.py",
    "formats/sessions/claude_code/lines.py": "formats/test_claude_code.py",
    "formats/sessions/claude_code/reader.py": "formats/test_claude_code.py",
    "formats/sessions/codex/lines.py": "formats/test_codex.py",
    "formats/sessions/codex/threads.py": "formats/test_codex.py",
    "formats/sessions/codex/reader.py": "formats/test_codex.py",
    "formats/table/reader.py": "formats/test_table.py",
    "formats/telemetry/chrome_trace/reader.py": "formats/test_chrome_trace.py",
    "formats/telemetry/otlp/reader.py": "formats/test_otlp.py",
    "plot/artists/connectors.py": "plot/test_timeline.py",
    "plot/artists/labels.py": "plot/test_timeline.py",
    "plot/artists/legend.py": "plot/test_timeline.py",
    "plot/artists/losses.py": "spans/test_losses.py",
    "plot/artists/strands.py": "layout/test_strands.py",
    "plot/artists/time_axis.py": "plot/test_pictures.py",
    "plot/storyline.py": "layout/test_storyline.py",
    **{f"plot/{noun}.py": f"analysis/test_{noun}.py" for noun in PICTURED},
}


def own_tests(path: Path) -> list[Path]:
    """The tests of a module: in the folder of its package, or of its own folder, by its name, or by that of its folder too."""
    place = path.relative_to(PACKAGE)
    folders = {ROOT / "tests" / place.parent, ROOT / "tests" / place.parent.parts[0] if place.parent.parts else ROOT / "tests"}
    names = {f"test_{path.stem.strip('_')}.py", f"test_{path.parent.name}_{path.stem}.py"}
    return [folder / name for folder in folders for name in names if (folder / name).exists()]


def test_every_module_has_its_tests():
    missing = []
    for path in MODULES:
        place = str(path.relative_to(PACKAGE))
        named = TESTED_IN.get(place)
        if path.stem != "__init__" and not (own_tests(path) or (named and (ROOT / "tests" / named).exists())):
            missing.append(f"{place} has no tests/{path.relative_to(PACKAGE).parts[0]}/test_{path.stem}.py")
    assert missing == []
    assert not [place for place in TESTED_IN if own_tests(PACKAGE / place) or not (PACKAGE / place).exists()]


def test_every_format_is_in_the_registry():
    folder = PACKAGE / "formats"
    families = [path for path in folder.iterdir() if path.is_dir() and path.name not in ("files", "__pycache__")]
    there = {path.stem for family in families for path in family.iterdir() if path.stem not in ("__init__", "__pycache__")}
    there = (there - {"reader", "writer"}) | {"table"}
    assert there == set(FORMATS), "each format stands in a family, and in FORMATS of formats/registry.py"


def test_every_question_and_picture_is_public():
    nouns = {path.stem for path in (PACKAGE / "analysis").glob("*.py")} - {"__init__"}
    pictures = {f"plot_{path.stem}" for path in (PACKAGE / "plot").glob("*.py")} - {"plot___init__", "plot_still"}
    assert sorted(nouns | pictures) == sorted((nouns | pictures) & set(tokenvis.__all__)), "name it in tokenvis/__init__.py"


def test_only_the_table_of_contents_imports_by_name():
    users = [path for path in MODULES if re.search(r"\bimport_module\(|\b__import__\(", path.read_text())]
    assert users == [PACKAGE / "__init__.py"]


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
