import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browsers import chromium, jupyter, open_notebook  # noqa: F401
from conftest import ROOT
from explorers import TIMEOUT_S, ExplorerDriver
from playwright.sync_api import expect

from tokenvis.explorer.bundle import bundle, style_sheet
from tokenvis.explorer.development import script_source, style_sheet_source

SOURCES = "tokenvis/explorer/modules/ui/panels.mjs", "tokenvis/explorer/explorer.css"


@pytest.fixture
def copied(tmp_path):
    """A copy of the package that a test may edit."""
    shutil.copytree(ROOT / "tokenvis", tmp_path / "copy" / "tokenvis", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def edit(file, before, after):
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_without_hot_reload_no_file_is_watched(monkeypatch):
    monkeypatch.delenv("ANYWIDGET_HMR", raising=False)
    assert (script_source(), style_sheet_source()) == (bundle("widget"), style_sheet())


LOOP = """
import sys, time
from pathlib import Path
import tokenvis
from tokenvis.explorer.bundle import bundle
from tokenvis.explorer.widget import Explorer
tokenvis.seed_demo(store="t.db")
explorer = tokenvis.explore(tokenvis.load_spans("kitchen-sink", store="t.db"))
folder = Path(tokenvis.__file__).parent / "explorer"
time.sleep(1)  # until all files are watched
text = folder / "modules/model/text.mjs"
whole = text.read_text()
for broken in (b"\\xff", b"import { x } from './ticks.mjs'\\n", b""):  # not text, a missing module, a truncated file
    text.write_bytes(broken)
    time.sleep(0.5)
text.write_text(whole)
for file, key in ((folder / "modules/ui/panels.mjs", "_esm"), (folder / "explorer.css", "_css")):
    file.write_text(file.read_text() + "/* edited */")
    deadline = time.monotonic() + 20
    while "/* edited */" not in getattr(explorer, key) and time.monotonic() < deadline: time.sleep(0.05)
    assert "/* edited */" in getattr(explorer, key), key
assert "/* edited */" in bundle("page")
"""


@pytest.mark.full
def test_an_edit_reaches_an_open_widget(copied):
    environment = {**os.environ, "ANYWIDGET_HMR": "1", "PYTHONPATH": str(copied)}
    done = subprocess.run([sys.executable, "-c", LOOP], env=environment, capture_output=True, text=True, check=False)
    first, second, *others = done.stderr.splitlines()
    assert (done.returncode, others) == (0, [])
    assert first.startswith("Bundling the explorer's modules failed: 'utf-8' codec can't decode byte 0xff")
    assert second.startswith("Bundling the explorer's modules failed: [Errno 2] No such file or directory: ")


CELLS = [
    "import os, sys\nos.environ['ANYWIDGET_HMR'] = '1'\nsys.path.insert(0, '{copy}')\nimport time, tokenvis",
    "spans = tokenvis.seed_demo(store='t.db') and tokenvis.load_spans('kitchen-sink', store='t.db')",
    "explorer = tokenvis.explore(spans)\ntime.sleep(1)\nexplorer",
]


@pytest.mark.full
def test_an_edit_shows_in_an_open_notebook(copied, chromium, jupyter):  # noqa: F811
    cells = [cell.replace("{copy}", str(copied)) for cell in CELLS]
    with open_notebook(chromium, jupyter, "lab", cells) as nb:
        for cell in range(3):
            nb.run(cell)
        driver = ExplorerDriver(nb.page, nb.output(2).locator(".tokenvis"))
        expect(driver.search).to_have_attribute("placeholder", "search")
        nb.execute("explorer.window = (explorer.window[0], explorer.window[0] + 1_000_000)")
        kernel, window = nb.evaluate("os.getpid()"), nb.evaluate("explorer.window")
        edit(copied / SOURCES[0], "placeholder: 'search'", "placeholder: 'look for'")
        expect(driver.search).to_have_attribute("placeholder", "look for", timeout=TIMEOUT_S * 1000)
        with Path(copied / SOURCES[1]).open("a") as sheet:
            sheet.write(".tokenvis .tv-search input { color: rgb(1, 2, 3) }\n")
        expect(driver.search).to_have_css("color", "rgb(1, 2, 3)", timeout=TIMEOUT_S * 1000)
        assert (nb.evaluate("os.getpid()"), nb.evaluate("explorer.window")) == (kernel, window)
