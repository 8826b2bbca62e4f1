"""Libraries: one SQLite library in a process, checked before each connection and each write.

POSIX locks belong to a process: when it closes any descriptor of a file, it loses all its locks on that file
(https://sqlite.org/howtocorrupt.html, 2.2). SQLite works around this within one library. Two libraries, such as that of
Python's ``sqlite3`` and one inside another package, do not know of each other, so acknowledged writes can be lost.

A package with a SQLite library of its own is found among the imported modules. DuckDB and ADBC load one as a plug-in, which is
found among the shared objects of the process, on Linux only. Their list is read again only if the loader has added one.
"""

import ctypes
import sys
from typing import Any

from tokenvis.errors import StoreError

PACKAGES = {  # modules that have a SQLite library of their own
    *("adbc_driver_sqlite", "apsw", "connectorx", "libsql", "libsql_experimental"),
    *("pysqlcipher3", "pysqlite3", "sqlcipher3", "sqlean"),
}
HOSTS = ("duckdb", "_duckdb", "adbc_driver_manager")  # modules that can load one of these:
PLUGINS = {"sqlite_scanner": "DuckDB's sqlite extension", "adbc_driver_sqlite": "ADBC's driver for SQLite"}


class SharedObject(ctypes.Structure):
    """The beginning of the loader's ``dl_phdr_info``, with the number of objects that were loaded so far."""

    _fields_ = [
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("n_headers", ctypes.c_uint16),
        ("n_loaded", ctypes.c_ulonglong),
    ]


Visit = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.POINTER(SharedObject), ctypes.c_size_t, ctypes.py_object)
found_plugins: dict[int, str | None] = {}  # by the number of objects that were loaded when the list was read


# PyDLL keeps the GIL: a thread that imports a module has the GIL, and may hold the loader's lock too
LOADER: Any = getattr(ctypes.PyDLL(None), "dl_iterate_phdr", None) if sys.platform == "linux" else None


def add_object(item: Any, found: list[tuple[int, bytes]], *, result: int) -> int:
    """Note the number of objects loaded so far, and the path of this one; the loader goes on if the result is 0."""
    found.append((item.contents.n_loaded, item.contents.name))
    return result


VISIT_FIRST = Visit(lambda item, size, found: add_object(item, found, result=1))
VISIT_EACH = Visit(lambda item, size, found: add_object(item, found, result=0))


def shared_objects(visit: Any) -> list[tuple[int, bytes]]:
    """The shared objects of the process that a function visits, as noted by `add_object`; none on other systems than Linux."""
    found: list[tuple[int, bytes]] = []
    if LOADER is not None:
        LOADER(visit, ctypes.py_object(found))
    return found


def loaded_plugin() -> str | None:
    """The plug-in with a SQLite library that is loaded in this process, if any."""
    n_loaded = next((count for count, _ in shared_objects(VISIT_FIRST)), 0)
    if n_loaded not in found_plugins:
        names = b" ".join(name.rpartition(b"/")[2] for _, name in shared_objects(VISIT_EACH) if name)
        found_plugins[n_loaded] = next((plugin for part, plugin in PLUGINS.items() if part.encode() in names), None)
    return found_plugins[n_loaded]


def check_one_library() -> None:
    """Raise `StoreError` if another SQLite library is loaded in this process."""
    modules = sys.modules
    found = next((name for name in PACKAGES if modules.get(name) is not None), None)
    if found is None and any(name in modules for name in HOSTS):
        found = loaded_plugin()
    if found is not None:
        raise StoreError(
            f"{found} is loaded in this process, with a SQLite library of its own. Two SQLite libraries in a process drop each "
            "other's file locks, and writes would be lost. Use it in another process, and restart this one without it."
        )
