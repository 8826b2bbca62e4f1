"""The bundle: the JavaScript modules of the explorer as one script, without a build step and without network access.

The modules are concatenated, each after its imports, without their ``import`` and ``export``. So every top-level name must be
unique across modules, and an import must be one line with a list of names; a test checks both.
"""

import re
from functools import cache
from importlib.resources import files
from posixpath import dirname, join, normpath

IMPORT_LINE = re.compile(r"^import \{[^}]*\} from '(\.{1,2}/[\w/]+\.mjs)'\n", re.MULTILINE)
EXPORT_KEYWORD = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def bundle(entry: str) -> str:
    """A module and everything that it imports, as one script with the module's default export.

    `ValueError` for a circular import, or if a file is not UTF-8 text.
    """
    sources: dict[str, str] = {}
    collect_modules(f"{entry}.mjs", sources, ())
    return "\n".join(sources.values())


def collect_modules(path: str, sources: dict[str, str], importers: tuple[str, ...]) -> None:
    """Add the source of a module to ``sources``, after its imports; ``importers`` are the modules that led to it."""
    if path in importers:
        raise ValueError(f"Circular import: {' → '.join((*importers, path))}.")
    if path in sources:
        return
    text = (files("tokenvis.explorer") / "modules" / path).read_text(encoding="utf-8")
    for imported in IMPORT_LINE.findall(text):
        collect_modules(normpath(join(dirname(path), imported)), sources, (*importers, path))
    sources[path] = EXPORT_KEYWORD.sub("", IMPORT_LINE.sub("", text))


@cache
def style_sheet() -> str:
    """The style sheet of the explorer."""
    return (files("tokenvis.explorer") / "explorer.css").read_text(encoding="utf-8")
