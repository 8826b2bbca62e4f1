import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import ROOT

FIVE_LINES = """
import tokenvis as tv
tv.seed_demo()
spans = tv.load_spans("multi-agent-workflow")
tv.plot_timeline(spans).figure.savefig("timeline.png")
print(len(spans), tv.__version__)
"""


@pytest.mark.full
def test_a_wheel_works_in_an_empty_environment(tmp_path):
    run = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT], **run)
    [wheel] = tmp_path.glob("tokenvis-*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    programs = next(path for path in (tmp_path / "empty" / "bin", tmp_path / "empty" / "Scripts") if path.is_dir())
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", wheel], **run)
    shown = subprocess.run([programs / "python", "-W", "error", "-c", FIVE_LINES], **run)
    assert shown.stdout == "40 0.1.0\n"
    assert Path(tmp_path / "timeline.png").stat().st_size > 10_000
    assert "multi-agent-workflow" in subprocess.run([programs / "tokenvis", "traces"], **run).stdout
    shown = subprocess.run([programs / "tokenvis", "show", "multi-agent-workflow", "-o", "a.html"], **run).stdout
    assert shown.startswith("a.html: ")  # which needs no extra
    files = subprocess.run([programs / "python", "-m", "zipfile", "--list", wheel], **run).stdout
    assert "tokenvis/py.typed" in files
    assert "tokenvis/explorer/modules/widget.mjs" in files
    assert "tokenvis/explorer/modules/model/model.mjs" in files
    assert "tokenvis/explorer/explorer.css" in files
    assert "tests/" not in files
