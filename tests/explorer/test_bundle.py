import re
import subprocess
from collections import Counter

import pytest
from conftest import ROOT

from tokenvis.explorer.bundle import bundle, style_sheet

FOLDER = ROOT / "tokenvis" / "explorer" / "modules"
MODULES = sorted(FOLDER.rglob("*.mjs"))
NAMED = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (?:\[([^\]]+)\]|(\w+))", re.MULTILINE)


def names_in(text):
    """The top-level names of a module."""
    return [name.strip() for names, one in NAMED.findall(text) for name in (names or one).split(",")]


def test_a_script_has_each_module_once_after_its_imports():
    for entry in ("widget", "page"):
        script = bundle(entry)
        [other] = {"widget", "page"} - {entry}
        openings = {path.stem: path.read_text().split("\n")[0] for path in MODULES}
        assert {name: script.count(opening) for name, opening in openings.items()} == dict.fromkeys(openings, 1) | {other: 0}
        assert script.index("function gallop(") < script.index("function sweepRow(") < script.index("function drawFrame(")


def test_a_script_imports_nothing_and_exports_only_its_default():
    for entry, n_exports in {"widget": 1, "page": 0}.items():
        assert not re.findall(r"^\s*import\b", bundle(entry), re.MULTILINE)
        assert len(re.findall(r"^export ", bundle(entry), re.MULTILINE)) == n_exports
        assert "</script" not in bundle(entry).lower()


def test_top_level_names_are_unique_across_modules():
    for other in ("widget", "page"):
        names = Counter(name for path in MODULES if path.stem != other for name in names_in(path.read_text()))
        assert [name for name, count in names.items() if count > 1] == []


def test_every_import_is_one_line_of_names():
    for path in MODULES:
        for line in re.findall(r"^import .*$", path.read_text(), re.MULTILINE):
            assert re.fullmatch(r"import \{ [\w, ]+ \} from '\.{1,2}/(\w+/)?\w+\.mjs'", line), (path.name, line)


def test_a_folder_of_modules_imports_only_from_folders_below():
    for folder, below in {"model": {"model"}, "canvas": {"canvas", "model"}, "ui": {"ui", "canvas", "model"}}.items():
        for path in (FOLDER / folder).iterdir():
            imported = re.findall(r"^import .* from '(.*)'$", path.read_text(), re.MULTILINE)
            assert {(path.parent / name).resolve().parent.name for name in imported} <= below, path.name


def test_modules_import_downwards_only():
    imports = {
        path.stem: set(re.findall(r"^import .* from '[./\w]*?(\w+)\.mjs'$", path.read_text(), re.MULTILINE)) for path in MODULES
    }
    above: set[str] = set()
    while imports:
        lowest = {name for name, below in imports.items() if not below & set(imports)}
        assert lowest, f"a circle among {sorted(imports)}"
        above |= lowest
        imports = {name: below for name, below in imports.items() if name not in lowest}


def test_a_circle_of_modules_is_an_error(tmp_path, monkeypatch):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "a.mjs").write_text("import { b } from './b.mjs'\n")
    (modules / "b.mjs").write_text("import { a } from './a.mjs'\n")
    monkeypatch.setattr("tokenvis.explorer.bundle.files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"^Circular import: a\.mjs → b\.mjs → a\.mjs\.$"):
        bundle.__wrapped__("a")


def test_the_scripts_are_modules_that_node_can_read():
    for entry in ("widget", "page"):
        subprocess.run(["node", "--input-type=module", "--check"], input=bundle(entry), text=True, check=True)


def test_the_style_sheet_applies_only_to_the_explorer_and_loads_nothing():
    rules = re.sub(r"/\*.*?\*/", "", style_sheet(), flags=re.DOTALL)
    blocks = [block for block in re.findall(r"([^{}]+)\{", rules) if "@" not in block]
    selectors = [one.strip() for block in blocks for one in re.split(r",(?![^(]*\))", block)]
    assert all(selector.startswith((".tokenvis", ".tv-")) for selector in selectors)
    assert "url(" not in rules
    assert "@import" not in rules
