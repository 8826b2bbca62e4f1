"""The architecture: the import contracts in pyproject.toml, and rules that import-linter cannot express."""

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
from conftest import ROOT, full_except

import tokenvis
from tokenvis.formats.registry import FORMATS

PACKAGE = ROOT / "tokenvis"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [*MODULES, *sorted(PACKAGE.rglob("*.mjs"))]
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py" and path.parent != PACKAGE)
MAX_LINES, MAX_FILES = 400, 20


@cache
def syntax_of(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text())


def lint(folder: Path) -> subprocess.CompletedProcess:
    """Run import-linter in a folder, with the contracts of its pyproject.toml."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_import_contracts_are_kept():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


FORBIDDEN_IMPORTS = {  # a file: the code added to it, and the beginning of the contract that it breaks
    "spans/columns.py": ("from tokenvis.analysis import gaps", "Packages import lower"),
    "store/load.py": ("from tokenvis.ingestion.report import Report", "Packages import lower"),
    "helpers.py": ("", "Packages import lower"),
    "analysis/gaps.py": ("from tokenvis.store.load import load_spans", "Analysis, layout and plot do not import"),
    "plot/still.py": ("def late():\n    import tokenvis.formats.chunks", "Analysis, layout and plot do not import"),
    "record/writer.py": ("from tokenvis.layout import lanes", "Storage imports no"),
    "formats/registry.py": ("from tokenvis.store.load import load_traces", "Formats import neither store"),
    "explorer/page.py": ("from tokenvis.formats import export", "The explorer imports neither"),
    "spans/integers.py": ("from tokenvis.spans import columns", "No import cycles"),
    "analysis/moves.py": ("from tokenvis.analysis.gaps import gaps", "Questions are independent"),
    "plot/usage.py": ("from tokenvis.plot import timeline", "Pictures are independent"),
    "formats/telemetry/phoenix.py": ("from tokenvis.formats.telemetry import mlflow", "Formats are independent"),
    "store/schema.py": ("from tokenvis.store import rows", "Layers within the store"),
    "store/demo.py": ("from tokenvis.output import one_line", "Only formats, ingestion"),
    "conventions/rules.py": ("from tokenvis.output import one_line", "Only formats, ingestion"),
    "record/recorder.py": ("from tokenvis.output import one_line", "Only formats, ingestion"),
    "ingestion/ingest.py": ("from tokenvis.record import recorder", "Ingestion does not"),
    "spans/payload.py": ("from tokenvis.spans import text", "Layers within spans"),
    "tree/relations.py": ("from tokenvis.tree import states", "Layers within tree"),
    "record/live.py": ("from tokenvis.record import writer", "Layers within record"),
    "layout/lanes.py": ("from tokenvis.layout.storylines import blocks", "Layers within layout"),
    "commands/store.py": ("from tokenvis.commands import show", "Layers within the commands"),
    "explorer/answers.py": ("from tokenvis.explorer import page", "Layers within the explorer"),
    "formats/chunks.py": ("from tokenvis.formats.table import writer", "Layers within formats:"),
    "formats/files/reading.py": ("from tokenvis.formats.files import lines", "Layers within formats/files"),
    "ingestion/report.py": ("from tokenvis.ingestion import ingest", "Layers within ingestion"),
    "ingestion/watch/checkpoint.py": ("from tokenvis.ingestion.watch import discovery", "Layers within watch"),
}


@pytest.mark.parametrize("file", full_except(FORBIDDEN_IMPORTS, "store/load.py", "analysis/gaps.py", "spans/integers.py"))
def test_a_forbidden_import_is_found(file):
    line, contract = FORBIDDEN_IMPORTS[file]
    shutil.copytree(PACKAGE, "tokenvis", ignore=shutil.ignore_patterns("__pycache__", "modules"))
    shutil.copy(ROOT / "pyproject.toml", "pyproject.toml")
    with Path("tokenvis", file).open("a") as module:
        module.write(f"\n{line}\n")
    done = lint(Path.cwd())
    assert done.returncode == 1
    assert any(found.startswith(contract) and found.endswith("BROKEN") for found in done.stdout.splitlines()), done.stdout


def test_imports_are_absolute():
    nodes = [node for path in MODULES for node in ast.walk(syntax_of(path)) if isinstance(node, ast.ImportFrom)]
    assert not [node.module for node in nodes if node.level]


def test_a_folder_has_few_files():
    n_files = Counter(str(path.parent.relative_to(PACKAGE)) for path in SOURCES)
    assert {folder: count for folder, count in n_files.items() if count > MAX_FILES} == {}


def test_a_file_is_short():
    n_lines = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: count for name, count in n_lines.items() if count > MAX_LINES} == {}


def test_every_package_has_a_docstring():
    assert [str(folder) for folder in PACKAGES if not ast.get_docstring(syntax_of(folder / "__init__.py"))] == []


@cache
def libraries_of(path: Path) -> frozenset[str]:
    """The top-level packages that a file imports, at any level of its code."""
    found = set()
    for node in ast.walk(syntax_of(path)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return frozenset(found)


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("sqlalchemy", {"store/"}),
        ("sqlite3", {"store/", "commands/store.py"}),
        ("matplotlib", {"plot/"}),
        ("anywidget", {"explorer/widget.py"}),
        ("tqdm", {"fleet/", "ingestion/ingest.py"}),
        ("opentelemetry", {"formats/telemetry/otlp/reader.py", "record/"}),
        ("pysat", {"layout/storylines/maxsat.py"}),
        ("rapidfuzz", {"runs/steps/subsequence.py"}),
        ("scipy", {"layout/run_rows.py", "layout/storylines/heights.py", "runs/matching.py"}),
        ("pyarrow", {"spans/", "store/scan.py", "formats/", "ingestion/", "fleet/"}),
        ("adbc_driver_postgresql", {"fleet/sources/postgresql.py"}),
    ],
)
def test_a_library_is_imported_only_by_its_owners(library, places):
    users = [str(path.relative_to(PACKAGE)) for path in MODULES if library in libraries_of(path)]
    assert users
    assert not [user for user in users if not user.startswith(tuple(places))]


def test_only_private_creates_files_and_folders():
    creating = re.compile(r"\b(O_CREAT|mk[ds]temp|\w*Temporary(File|Directory)|makedirs)\b|\.(touch|mkdir)\(|[\"']x[bt+]+[\"']")
    assert {path.name for path in MODULES if creating.search(path.read_text())} == {"private.py"}
    writing = re.compile(r"""["'][wa][bt+]+["']|open\(.*["'][wa]["']|\.write_(text|bytes)\(""")
    writers = {path for path in MODULES if writing.search(path.read_text())}
    assert {path.name for path in writers} == {
        "archives.py",
        "spool.py",
        "development.py",
        "inputs.py",
        "output.py",
        "processes.py",
        "staging.py",
    }
    assert not [
        path for path in writers if not re.search(r"\b(touch_private|create_private_file|create_part_file)\(", path.read_text())
    ]


def test_only_the_store_and_the_source_of_postgresql_contain_sql():
    words = re.compile(r"\b(SELECT .* FROM|INSERT INTO|DELETE FROM|PRAGMA|CREATE TABLE)\b")
    places = {path for path in MODULES if words.search(path.read_text())}
    assert {path.parent.name for path in places} == {"store", "sources"}
    assert [path.name for path in places if path.parent.name == "sources"] == ["postgresql.py"]


PICTURED = (
    "agent_tree",
    "colocation",
    "concurrency",
    "critical_path",
    "handoffs",
    "occupancy",
    "transitions",
    "usage",
    "waits",
)
TESTED_IN = {  # modules without a test file of the same name
    "commands/comparison.py": "commands/test_commands_compare.py",
    "commands/divergence.py": "commands/test_commands_compare.py",
    "commands/facts.py": "commands/test_commands_summary.py",
    "findings/basis.py": "findings/test_doubts.py",
    "findings/finding.py": "findings/test_doubts.py",
    "fleet/answering.py": "fleet/test_adapter.py",
    "fleet/failures.py": "fleet/test_adapter.py",
    "fleet/sources/opening.py": "fleet/test_writing_export.py",
    "fleet/sources/source.py": "fleet/test_stored.py",
    "formats/registry.py": "formats/test_damage.py",
    "formats/restored.py": "formats/test_round_trips.py",
    "formats/evaluations/inspect_log/calls.py": "formats/test_inspect_log.py",
    "formats/evaluations/inspect_log/events.py": "formats/test_inspect_log.py",
    "formats/evaluations/inspect_log/reader.py": "formats/test_inspect_log.py",
    "formats/evaluations/inspect_log/stamps.py": "formats/test_inspect_log.py",
    "formats/sessions/claude_code/agents.py": "formats/test_claude_code.py",
    "formats/sessions/claude_code/compactions.py": "formats/test_claude_code.py",
    "formats/sessions/claude_code/lines.py": "formats/test_claude_code.py",
    "formats/sessions/claude_code/reader.py": "formats/test_claude_code.py",
    "formats/sessions/claude_code/recognition.py": "formats/test_session_documents.py",
    "formats/sessions/claude_code/transcripts.py": "formats/test_claude_code.py",
    "formats/sessions/claude_code/waits.py": "formats/test_claude_code.py",
    "formats/sessions/codex/lines.py": "formats/test_codex.py",
    "formats/sessions/codex/threads.py": "formats/test_codex.py",
    "formats/sessions/codex/reader.py": "formats/test_codex.py",
    "formats/sessions/codex/waits.py": "formats/test_codex.py",
    "formats/table/reader.py": "formats/test_table.py",
    "formats/telemetry/chrome_trace/events.py": "formats/test_chrome_trace.py",
    "formats/telemetry/chrome_trace/pairs.py": "formats/test_chrome_trace.py",
    "formats/telemetry/chrome_trace/reader.py": "formats/test_chrome_trace.py",
    "formats/telemetry/otlp/envelopes.py": "formats/test_otlp.py",
    "formats/telemetry/otlp/reader.py": "formats/test_otlp.py",
    **{f"ingestion/{module}.py": "ingestion/test_same_store.py" for module in ("resolution", "snapshots", "spool", "stored")},
    "ingestion/agents.py": "ingestion/test_assembly.py",
    "store/additions.py": "store/test_rows.py",
    "store/ingested.py": "store/test_store_sources.py",
    **{f"plot/artists/critical_paths/{module}.py": "analysis/test_critical_path.py" for module in ("labels", "shares")},
    "plot/artists/connectors.py": "plot/test_timeline.py",
    "plot/artists/labels.py": "plot/test_timeline.py",
    "plot/artists/losses.py": "spans/test_losses.py",
    "plot/artists/storylines/lines.py": "layout/test_geometry.py",
    "plot/artists/storylines/pixels.py": "layout/test_geometry.py",
    "plot/artists/storylines/rooms.py": "layout/test_storyline.py",
    "plot/artists/times/time_axis.py": "plot/test_pictures.py",
    **{f"plot/parts/{module}.py": "plot/test_overview.py" for module in ("agents", "fanouts", "key_numbers")},
    **{f"plot/parts/{module}.py": "plot/test_overview.py" for module in ("locations", "page", "rows")},
    "plot/compare.py": "runs/test_compare.py",
    **{f"plot/comparisons/{module}.py": "runs/test_compare.py" for module in ("changes", "pair")},
    **{f"runs/{module}.py": "runs/test_contributions.py" for module in ("causes", "parts")},
    "runs/measures.py": "runs/test_compare_runs.py",
    "runs/pair.py": "runs/test_compare.py",
    "plot/storyline.py": "layout/test_storyline.py",
    "spans/conversion/event_data.py": "spans/test_events.py",
    **{f"plot/{noun}.py": f"analysis/test_{noun}.py" for noun in PICTURED},
}


def own_tests(path: Path) -> list[Path]:
    """The test files of a module, `test_<module>` or `test_<folder>_<module>`, in the folder of its package or its own."""
    module = path.relative_to(PACKAGE)
    folders = {ROOT / "tests" / module.parent, ROOT / "tests" / module.parts[0] if len(module.parts) > 1 else ROOT / "tests"}
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
    modules = {path.stem for family in families for path in family.iterdir() if path.stem not in ("__init__", "__pycache__")}
    modules = (modules - {"reader", "schema", "writer"}) | {"fleet", "table"}
    assert modules == set(FORMATS), "each format has a module in a family, and an entry in FORMATS of formats/registry.py"


def test_every_question_and_picture_is_public():
    nouns = {path.stem for path in (PACKAGE / "analysis").glob("*.py")} - {"__init__"}
    nouns |= {"alignment", "compare", "contributions"} & {path.stem for path in (PACKAGE / "runs").glob("*.py")}
    pictures = {f"plot_{path.stem}" for path in (PACKAGE / "plot").glob("*.py")} - {"plot___init__", "plot_still"}
    assert sorted(nouns | pictures) == sorted((nouns | pictures) & set(tokenvis.__all__)), "add it to tokenvis/__init__.py"


SHARED_NAMES = {  # top-level names that several modules define, and why
    "NAME": "each format",
    "recognises": "each format",
    "read": "each format",
    "WRITERS": "each format that is written, and the registry",
    "session_key_of": "each format of growing files",
    "main_file_candidates": "each format of growing files",
    "is_fork": "each format of growing files",
    "log": "each module that logs",
    "__all__": "each module with an explicit interface",
}


def defined_names(path: Path) -> set[str]:
    """The functions, classes and constants that a module defines at its top level."""
    names = set()
    for node in syntax_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def test_a_name_is_defined_in_one_module():
    modules: dict[str, list[str]] = {}
    for path in MODULES:
        for name in defined_names(path):
            modules.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: places for name, places in modules.items() if len(places) > 1 and name not in SHARED_NAMES} == {}
    assert [name for name in SHARED_NAMES if len(modules[name]) < 2] == []


def test_an_exported_name_of_javascript_is_defined_in_one_module():
    exported = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
    counts = Counter(name for path in SOURCES if path.suffix == ".mjs" for name in exported.findall(path.read_text()))
    assert counts
    assert [name for name, count in counts.items() if count > 1] == []


def test_only_the_public_api_imports_by_name():
    users = [path for path in MODULES if re.search(r"\bimport_module\(|\b__import__\(", path.read_text())]
    assert users == [PACKAGE / "__init__.py"]


@pytest.mark.full
@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_can_be_imported(path):
    done = subprocess.run(
        [sys.executable, "-c", f"import {path.stem}"], cwd=path.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_heavy_is_loaded_before_it_is_used():
    heavy = ["matplotlib", "IPython", "scipy", "anywidget", "opentelemetry"]
    code = "import tokenvis, tokenvis.record, tokenvis.ingestion; tokenvis.palette(['a']); tokenvis.record_opentelemetry"
    script = f"{code}; import sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_public_api_is_sorted_and_complete():
    assert tokenvis.__all__ == sorted(tokenvis.__all__)
    assert dir(tokenvis) == tokenvis.__all__
    assert all(getattr(tokenvis, name) is not None for name in tokenvis.__all__)
    with pytest.raises(AttributeError, match=r"^module 'tokenvis' has no attribute 'plot_nothing'$"):
        tokenvis.plot_nothing  # noqa: B018


def test_no_package_has_a_public_name():
    assert not {path.stem for path in PACKAGE.iterdir()} & set(tokenvis.__all__)


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_exports_of_a_package_hide_none_of_its_files(folder):
    body = syntax_of(folder / "__init__.py").body
    exported = {name.asname or name.name for node in body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert not exported & {path.stem for path in folder.iterdir()}
