"""Development: an edit of the modules or of the style sheet shows at once in every open notebook.

Where ``$ANYWIDGET_HMR`` is 1, anywidget watches the files that a widget is made of, and gives a page what is new in them. The
modules reach it as one script, so that is a file of its own here, written again whenever a module changes.
"""

import atexit
import logging
import os
import shutil
import threading
from pathlib import Path
from tempfile import mkdtemp

from tokenvis.explorer.bundle import bundle, style_sheet

log = logging.getLogger("tokenvis")

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
    write_script(file)
    threading.Thread(target=follow, args=(file,), daemon=True, name="tokenvis-modules").start()
    return file


def write_script(file: Path) -> None:
    """Write the script anew, in its place: anywidget watches this file, and would not see another one of its name."""
    bundle.cache_clear()
    file.write_text(bundle("widget"), encoding="utf-8")


def follow(file: Path) -> None:
    """Write the script again whenever a module changes; what is wrong with an edit is logged, and the next may mend it."""
    try:
        from watchfiles import watch
    except ImportError:
        log.warning("Edits of the explorer's modules do not show without watchfiles: pip install 'anywidget[dev]'.")
        return
    for _ in watch(FOLDER / "modules"):
        try:
            write_script(file)
        except (OSError, ValueError) as error:
            log.warning("The explorer's modules make no script: %s", error)
