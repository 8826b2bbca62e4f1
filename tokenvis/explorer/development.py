"""Development: an edit of the modules or of the style sheet shows at once in every open notebook.

Where ``$ANYWIDGET_HMR`` is 1, anywidget watches the files that a widget is made of, and gives a page what is new in them. The
modules reach it as one script, so that is a file of its own here, written again whenever a module changes.
"""

import atexit
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from tokenvis.explorer.bundle import bundle, style_sheet

FOLDER = Path(__file__).parent


def is_developed() -> bool:
    """Whether the explorer is being developed, as anywidget is told."""
    return os.environ.get("ANYWIDGET_HMR") == "1"


def style_sheet_file() -> str | Path:
    """The style sheet; while the explorer is developed, its file."""
    return FOLDER / "explorer.css" if is_developed() else style_sheet()


def script_file() -> str | Path:
    """The script of the widget; while the explorer is developed, a file that is kept up to date."""
    if not is_developed():
        return bundle("widget")
    folder = Path(mkdtemp(prefix="tokenvis-explorer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "widget.mjs"
    file.write_text(bundle("widget"), encoding="utf-8")
    threading.Thread(target=follow, args=(file,), daemon=True, name="tokenvis: modules of the explorer").start()
    return file


def follow(file: Path) -> None:
    """Write the script again whenever a module changes."""
    from watchfiles import watch  # comes with anywidget[dev]

    for _ in watch(FOLDER / "modules"):
        bundle.cache_clear()
        with suppress(OSError):  # a module that is not there, or not yet: the next change may mend it
            file.write_text(bundle("widget"), encoding="utf-8")
