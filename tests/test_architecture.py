"""The map of the house, held: who may import whom, and who may speak SQL or matplotlib. An import inside a function counts."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

import tokenvis

PACKAGE = ROOT / "tokenvis"
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "colors": set(),
    "arrays": {"errors"},
    "sweep": {"arrays"},
    "blocks": set(),
    "weaving": {"blocks", "sweep", "arrays"},
    "columns": {"arrays", "errors"},
    "payload": {"columns", "arrays", "errors"},
    "groups": {"columns", "arrays", "errors"},
    "losses": {"payload", "columns", "sweep", "arrays", "errors"},
    "relations": {"payload", "columns", "arrays", "errors"},
    "nesting": {"relations", "groups", "columns", "sweep", "arrays", "errors"},
    "tokens": {"relations", "payload", "arrays", "errors"},
    "samples": {"columns", "arrays", "errors"},
    "schema": {"errors"},
    "connections": {"errors"},
    "database": {"connections", "schema", "errors"},
    "scan": {"schema", "payload", "columns", "arrays", "errors"},
    "rows": {"scan", "schema", "payload", "columns", "errors"},
    "store": {"rows", "scan", "database", "connections", "schema", "columns", "errors"},
    "appending": {"store", "rows", "connections", "errors"},
    "upkeep": {"scan", "database", "connections", "errors"},
    "frame": {"store", "scan", "database", "columns", "payload", "errors"},
    "following": {"frame", "store", "scan", "database", "connections", "columns"},
    "seed": {"store", "database", "schema"},
    "cells": set(),
    "oneline": set(),
    "times": {"columns", "errors"},
    "sessions": {"errors"},
    "sources": {"errors"},
    "reading": {"sources"},
    "mending": {"reading", "sources", "payload"},
    "tables": {"reading", "sources"},
    "records": {"mending", "tables", "reading", "sources"},
    "rules": {"errors"},
    "conventions": {"reading", "rules", "tokens"},
    "readers": {"conventions", "records", "mending", "reading", "sources", "rules", "times", "cells", "columns", "errors"},
    "contents": {"payload"},
    "gathering": {"contents", "reading", "relations", "arrays", "errors"},
    "report": {"reading", "store", "frame", "oneline", "errors"},
    "intake": {
        *("readers", "gathering", "report", "contents", "rules", "records", "reading", "sources", "times"),
        *("store", "database", "errors"),
    },
    "watched": {"files", "errors"},
    "lookout": {"readers", "watched", "records", "reading", "sources", "errors"},
    "watching": {
        *(
            "intake",
            "readers",
            "gathering",
            "lookout",
            "watched",
            "sessions",
            "contents",
            "rules",
            "records",
            "reading",
            "sources",
        ),
        *("frame", "store", "database", "errors"),
    },
    "ticker": {"watching", "oneline", "errors"},
    "record": {
        *("appending", "store", "rows", "database", "connections", "losses", "payload", "columns", "errors"),
        *("conventions", "reading", "rules", "times"),  # spans of OpenTelemetry's SDK
    },
    "analysis": {"tokens", "losses", "nesting", "relations", "groups", "payload", "columns", "sweep", "arrays", "errors"},
    "layout": {"weaving", "blocks", "columns", "nesting", "groups", "sweep", "arrays", "errors"},
    "outgoing": {"payload", "arrays"},
    "writers": {"outgoing", "cells", "layout", "relations", "payload", "columns", "arrays", "errors"},
    "outlet": {"writers", "files", "relations", "columns", "errors"},
    "style": {"errors"},
    "lettering": {"style"},
    "ink": {"layout", "weaving", "style", "lettering", "colors", "losses", "columns", "payload", "arrays", "errors"},
    "plot": {"ink", "analysis", "layout", "style", "lettering", "colors", "losses", "columns", "payload", "arrays", "errors"},
    "explorer": {
        *(
            "plot",
            "ink",
            "layout",
            "style",
            "lettering",
            "colors",
            "contents",
            "files",
            "oneline",
            "following",
            "frame",
            "store",
            "database",
        ),
        *("tokens", "losses", "nesting", "relations", "payload", "columns", "arrays", "errors"),
    },
}
WITHIN_A_ROOM = {
    "readers/formats.py": "every reader",  # it is their table
    "writers/formats.py": {"chrome", "flat", "otlp_json"},  # it is theirs
    "readers/codex.py": {"codex_lines", "codex_threads"},
    "readers/codex_threads.py": {"codex_lines"},
    "readers/claude_code.py": {"claude_lines"},  # one format in two sittings: lines to calls, calls to spans
    "weaving/search.py": {"ordering"},  # it begins with barycentres
    "layout/bands.py": {"lanes"},  # lines in a band are packed as spans are,
    "layout/storyline.py": {"lanes", "bands"},  # and so are side branches
    "ink/bars.py": {"marks"},  # bars and lines have the same marks
    "ink/strands.py": {"chart"},  # the names of bands
    "ink/matrix.py": {"chart"},  # a matrix has names on both sides, and a scale as its legend
    "plot/overview.py": {"timeline", "concurrency", "occupancy"},  # it puts them together
    "plot/still.py": {"timeline"},  # it is one
    "record/overflow.py": {"snapshot"},  # a time that can be stored is one thing for both
    "record/waiting.py": {"overflow"},  # how much a row takes is one number for both
    "record/delivery.py": {"overflow", "snapshot"},  # what the store does not take, and a word on it
    "record/writer.py": {"delivery", "endings", "overflow", "waiting"},  # the thread that uses all of these
    "record/live.py": {"snapshot", "wrapping"},  # what a span stores, and functions as spans
    "record/recorder.py": {"endings", "live", "writer"},  # the door to them
    "record/exporter.py": {"endings", "lineage", "snapshot", "writer"},  # a recorder of what another library measures
    "record/telemetry.py": {"exporter"},  # the door to it
    "explorer/answers.py": {"keys", "wire"},  # it finds them, and puts them
    "explorer/places.py": {"wire"},  # what a page says
    "explorer/page.py": {"answers", "bundle", "keys", "wire"},  # all that a page needs, in a file
    "explorer/widget.py": {"answers", "bundle", "follower", "page", "places", "wire"},  # and in a notebook
    "explorer/explore.py": {"follower", "widget"},  # the door to it
}
FRONT = {"__init__", "__main__"}  # the tables of contents: they may import every room


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{name.name}" for name in node.names} if node.module == "tokenvis" else {node.module}
            if node.module.startswith("tokenvis.") and node.module.count(".") == 1:
                found |= {f"{node.module}.{name.name}" for name in node.names}
    return frozenset(found)


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if room_of(path) not in FRONT and path.name != "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_flow_down(path):
    room = room_of(path)
    ours = [name.split(".")[1:] for name in imports_of(path) if name.startswith("tokenvis.")]
    assert {parts[0] for parts in ours} - {room} <= MAY_IMPORT[room]
    siblings = {parts[1] for parts in ours if parts[0] == room and len(parts) > 1}
    allowed = WITHIN_A_ROOM.get(str(path.relative_to(PACKAGE)), set())
    assert allowed == "every reader" or siblings & {p.stem for p in path.parent.glob("*.py")} <= allowed


def test_the_map_has_no_circle_and_names_what_is_there():
    above: dict[str, set[str]] = {}
    for room in MAY_IMPORT:
        assert room not in set().union(*(above.get(below, set()) for below in MAY_IMPORT[room]))
        above[room] = set().union(MAY_IMPORT[room], *(above.get(below, set()) for below in MAY_IMPORT[room]))
        assert MAY_IMPORT[room] <= set(above), f"{room} stands above what it imports"
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("sqlalchemy", {"schema", "connections", "database", "scan", "rows", "store", "upkeep"}),
        ("sqlite3", {"connections", "database", "scan", "rows", "appending", "upkeep", "__main__"}),
        ("matplotlib", {"style", "lettering", "ink", "plot"}),
        ("anywidget", {"explorer"}),
        ("tqdm", {"intake"}),
        ("ijson", {"records"}),
        ("opentelemetry", {"readers", "record"}),
        ("pysat", {"weaving"}),
        ("scipy", {"weaving"}),
        ("pyarrow", {"payload", "scan", "sources", "tables", "records", "gathering", "writers"}),
    ],
)
def test_a_library_is_spoken_only_where_it_belongs(library, rooms):
    users = {room_of(path) for path in PACKAGE.rglob("*.py") if any(name.split(".")[0] == library for name in imports_of(path))}
    assert users <= rooms


def test_only_the_store_speaks_sql():
    words = re.compile(r"\b(SELECT .* FROM|INSERT INTO|DELETE FROM|PRAGMA|CREATE TABLE)\b")
    speakers = {room_of(path) for path in FILES if words.search(path.read_text())}
    assert speakers <= {"connections", "database", "scan", "store", "upkeep"}


def test_analysis_layout_and_plot_never_see_the_storage_wing():
    storage = {
        "schema",
        "connections",
        "database",
        "scan",
        "rows",
        "upkeep",
        "appending",
        "record",
        "store",
        "frame",
        "following",
        "seed",
        "sources",
        "records",
        "reading",
        "readers",
        "gathering",
        "intake",
        "outgoing",
        "writers",
        "outlet",
    }
    assert not storage & (MAY_IMPORT["analysis"] | MAY_IMPORT["layout"] | MAY_IMPORT["plot"])


def test_every_module_has_its_test():
    modules = {path.stem for path in FILES} - {
        "claude_lines",
        "codex_lines",
        "codex_threads",
        "formats",
    }  # tested through claude_code and intake
    assert not [name for name in sorted(modules) if not (ROOT / "tests" / f"test_{name}.py").exists()]


def test_importing_tokenvis_loads_nothing_heavy():
    heavy = ["matplotlib", "IPython", "scipy", "anywidget", "opentelemetry"]
    code = f"import sys, tokenvis; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_table_of_contents_is_sorted_and_whole():
    assert tokenvis.__all__ == sorted(tokenvis.__all__)
    assert dir(tokenvis) == tokenvis.__all__
    assert all(getattr(tokenvis, name) is not None for name in tokenvis.__all__)
    with pytest.raises(AttributeError, match=r"^module 'tokenvis' has no attribute 'plot_nothing'$"):
        tokenvis.plot_nothing  # noqa: B018


def test_a_room_and_a_public_name_never_share_a_word():
    rooms = {room for room in MAY_IMPORT if room in tokenvis.__all__}
    assert not rooms
