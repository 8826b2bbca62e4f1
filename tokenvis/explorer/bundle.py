"""The bundle: the JavaScript modules of the explorer as one script, which needs no build and no network.

Modules are put one after the other, those that a module imports before it, without their ``import`` and ``export``. So a name
stands for one thing in all modules, and imports are a list of names from another module, on one line; a test holds them to it.
"""

import re
from functools import cache
from importlib.resources import files
from posixpath import dirname, join, normpath

IMPORT = re.compile(r"^import \{[^}]*\} from '(\.{1,2}/[\w/]+\.mjs)'\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def bundle(entry: str) -> str:
    """The module of this name and all that it imports, as one script; what it exports as default is the script's.

    `ValueError` where modules import each other in a circle, or one is no text.
    """
    taken: dict[str, str] = {}
    gather(f"{entry}.mjs", taken, ())
    return "\n".join(taken.values())


def gather(path: str, taken: dict[str, str], above: tuple[str, ...]) -> None:
    """Take a module, by its path in the folder of modules, after those that it imports; ``above`` are those that import it."""
    if path in above:
        raise ValueError(f"Modules import each other in a circle: {' → '.join((*above, path))}.")
    if path in taken:
        return
    text = (files("tokenvis.explorer") / "modules" / path).read_text(encoding="utf-8")
    for imported in IMPORT.findall(text):
        gather(normpath(join(dirname(path), imported)), taken, (*above, path))
    taken[path] = EXPORT.sub("", IMPORT.sub("", text))


@cache
def style_sheet() -> str:
    """The style sheet of the explorer."""
    return (files("tokenvis.explorer") / "explorer.css").read_text(encoding="utf-8")
