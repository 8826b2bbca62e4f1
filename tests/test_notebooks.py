import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from tokenvis import Store

TITLES = {
    "01": "first-look",
    "02": "multi-agent-workflow",
    "03": "your-own-trace",
    "04": "questions",
    "05": "gallery",
    "06": "storyline",
    "07": "record-live",
    "08": "explorer",
    "09": "fleet",
    "10": "many-runs",
}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_saved_outputs_show_every_picture_and_no_error(notebook):
    for cell in cells(notebook):
        kinds = [kind for output in cell["outputs"] for kind in output.get("data", {})]
        source = "".join(cell["source"])
        drawn = any(call in source for call in ("plot_", ".plot(")) or source.split("\n")[-1] in ("explorer", "phases", "both")
        assert ("image/png" in kinds) == drawn, cell["id"]
        assert all(output["output_type"] in ("display_data", "execute_result", "stream") for output in cell["outputs"])
        assert all(output.get("name") != "stderr" for output in cell["outputs"])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_saved_notebooks_contain_no_path_of_a_machine(notebook):
    text = notebook.read_text()
    assert not [word for word in ("/home/", "/Users/", "/tmp/", str(Path.home()), str(ROOT)) if word in text]


def test_the_readme_lists_every_notebook():
    named = {
        name for name in (path.stem for path in NOTEBOOKS) if f"notebooks/{name}.ipynb" in (ROOT / "README.md").read_text()
    }
    assert named == {f"{number}-{name}" for number, name in TITLES.items()} == {path.stem for path in NOTEBOOKS}


@pytest.mark.full
def test_notebook_01_fails_without_the_seed(tmp_path):
    Store(tmp_path / "sqlite.db").close()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not full", f"--rootdir={ROOT}"]
    options = ["--nbval", "--nbval-current-env", "--noconftest", "-c", str(ROOT / "pyproject.toml")]
    run = subprocess.run(
        [*command, *options, str(ROOT / "notebooks" / "01-first-look.ipynb")],
        env={**os.environ, "TOKENVIS_DATABASE": str(tmp_path / "sqlite.db")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout
    assert "KeyError" in run.stdout
    assert "kitchen-sink" in run.stdout
