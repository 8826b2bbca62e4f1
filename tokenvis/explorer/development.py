"""Development: hot reload, which updates every open notebook when a module or the style sheet is edited.

If ``$ANYWIDGET_HMR`` is 1, anywidget watches the files of a widget and sends changes to the page. The modules are one script
for it, so this module writes that script to a file, and again whenever a module changes.
"""

import atexit
import logging
import os
import threading
from contextlib import ExitStack
from pathlib import Path

from tokenvis.explorer.bundle import bundle, style_sheet
from tokenvis.private import touch_private
from tokenvis.temporary import temporary_folder

log = logging.getLogger("tokenvis")

EXPLORER_FOLDER = Path(__file__).parent


def is_hot_reloading() -> bool:
    """Whether anywidget reloads changed files."""
    return os.environ.get("ANYWIDGET_HMR") == "1"


def style_sheet_source() -> str | Path:
    """The style sheet; during development, its file."""
    return EXPLORER_FOLDER / "explorer.css" if is_hot_reloading() else style_sheet()


def script_source() -> str | Path:
    """The script of the widget; during development, a file that is kept up to date."""
    if not is_hot_reloading():
        return bundle("widget")
    stack = ExitStack()
    atexit.register(stack.close)
    file = stack.enter_context(temporary_folder()) / "widget.mjs"
    touch_private(file)
    write_script(file)
    threading.Thread(target=rebuild_on_change, args=(file,), daemon=True, name="tokenvis-modules").start()
    return file


def write_script(file: Path) -> None:
    """Rewrite the script in place: anywidget watches this file and does not detect a replacement."""
    bundle.cache_clear()
    file.write_text(bundle("widget"), encoding="utf-8")


def rebuild_on_change(file: Path) -> None:
    """Write the script again whenever a module changes; log errors, which the next edit may fix."""
    try:
        from watchfiles import watch
    except ImportError:
        log.warning("Hot reload of the explorer needs watchfiles: pip install 'anywidget[dev]'.")
        return
    for _ in watch(EXPLORER_FOLDER / "modules"):
        try:
            write_script(file)
        except (OSError, ValueError) as error:
            log.warning("Bundling the explorer's modules failed: %s", error)
