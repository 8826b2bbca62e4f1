"""Libraries: one SQLite library in a process, checked before each connection and each write.

POSIX locks belong to a process: when it closes any descriptor of a file, it loses all its locks on that file
(https://sqlite.org/howtocorrupt.html, 2.2). SQLite works around this within one library. Two libraries, such as that of
Python's ``sqlite3`` and one inside another package, do not know of each other, so acknowledged writes can be lost.

A package with a SQLite library of its own is found among the imported modules; a program may also have put it in the place of
``sqlite3``, and then it is the only one. DuckDB and ADBC load a library as a plug-in, which is found among the code that is
mapped into the process, on Linux only. The list of the mapped files is read again only if the size of the mapped code changed.

The loader's own list, `dl_iterate_phdr`, would be cheaper, but calls back under the loader's lock. A callback in Python may
wait for the GIL there, while a thread that imports a module has the GIL and waits for the lock.
"""

import sqlite3
import sys
from functools import lru_cache
from pathlib import Path

from tokenvis.errors import StoreError

PACKAGES = {  # modules that have a SQLite library of their own
    *("adbc_driver_sqlite", "apsw", "connectorx", "libsql", "libsql_experimental"),
    *("pysqlcipher3", "pysqlite3", "sqlcipher3", "sqlean"),
    *("pysqlcipher3._sqlite3", "pysqlite3._sqlite3", "sqlcipher3._sqlite3", "sqlean._sqlite3"),  # if the package was renamed
}
HOSTS = ("duckdb", "_duckdb", "adbc_driver_manager")  # modules that can load one of these:
PLUGINS = {b"sqlite_scanner": "DuckDB's sqlite extension", b"adbc_driver_sqlite": "ADBC's driver for SQLite"}
PROCESS = Path("/proc/self")  # of Linux


def loaded_plugin() -> str | None:
    """The plug-in with a SQLite library that is loaded in this process, if any."""
    try:
        status = (PROCESS / "status").read_bytes()
        return plugin_in_code(status.partition(b"\nVmLib:")[2].partition(b"\n")[0] or status)
    except OSError:  # another system than Linux
        return None


@lru_cache(maxsize=1)
def plugin_in_code(_size: bytes) -> str | None:
    """The plug-in among the files whose code is mapped into this process; listed again for another size of the code."""
    mapped = (line.split(maxsplit=5) for line in (PROCESS / "maps").read_bytes().splitlines())
    names = b" ".join(fields[5].rpartition(b"/")[2] for fields in mapped if len(fields) == 6 and b"x" in fields[1])
    return next((plugin for part, plugin in PLUGINS.items() if part in names), None)


def is_other_library(name: str) -> bool:
    """Whether a module is imported, and has another SQLite library than ``sqlite3``."""
    module = sys.modules.get(name)
    return module is not None and getattr(module, "Connection", None) is not sqlite3.Connection


def check_one_library() -> None:
    """Raise `StoreError` if another SQLite library is loaded in this process."""
    found = next((name.partition(".")[0] for name in PACKAGES if is_other_library(name)), None)
    if found is None and any(name in sys.modules for name in HOSTS):
        found = loaded_plugin()
    if found is not None:
        raise StoreError(
            f"{found} is loaded in this process, with a SQLite library of its own. Two SQLite libraries in a process drop each "
            "other's file locks, and writes would be lost. Use it in another process, and restart this one without it."
        )
