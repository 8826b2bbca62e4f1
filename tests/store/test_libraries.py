"""A second SQLite library in the process of a store is refused: the two would drop each other's file locks."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from databases import ONE_SPAN, one_trace, rows
from pandas._libs import pandas_datetime

from tokenvis import Recorder, Store, StoreError, load_spans
from tokenvis.store import Appender, libraries
from tokenvis.store.libraries import PACKAGES, check_one_library

EXTENSION = pandas_datetime.__file__  # a small extension module that every installation has as a file
ROW = ("s", "t", "ann", "desk", 0, 5, None)
LOAD_A_COPY = """
import ctypes, sys
from types import ModuleType
from tokenvis import StoreError
from tokenvis.store.libraries import check_one_library
check_one_library()
sys.modules["duckdb"] = ModuleType("duckdb")
check_one_library()
ctypes.CDLL(sys.argv[1])
try:
    check_one_library()
except StoreError as error:
    print(error)
"""
IMPORT_WHILE_A_THREAD_CHECKS = """
import shutil, sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from threading import Thread
from types import ModuleType
from tokenvis.store.libraries import check_one_library

sys.modules["duckdb"] = ModuleType("duckdb")
copies = [shutil.copy(sys.argv[1], f"{number}.so") for number in range(50)]
is_over = []

def check():
    while not is_over:
        check_one_library()

sys.setswitchinterval(1e-5)
thread = Thread(target=check, daemon=True)
thread.start()
for copy in copies:
    module_from_spec(spec_from_loader("pandas_datetime", ExtensionFileLoader("pandas_datetime", copy)))
is_over.append(True)
thread.join()
"""


def refusal(library: str) -> str:
    return (
        f"{library} is loaded in this process, with a SQLite library of its own. Two SQLite libraries in a process drop each "
        "other's file locks, and writes would be lost. Use it in another process, and restart this one without it."
    )


def imported(monkeypatch, name: str) -> None:
    """Make a module look as if the program had imported it."""
    monkeypatch.setitem(sys.modules, name, ModuleType(name))


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_no_store_is_opened_beside_another_sqlite_library(monkeypatch, name):
    store = one_trace()
    before = rows(store)
    imported(monkeypatch, name)
    for call in (lambda: Store("new.db"), lambda: Store(store.path), lambda: load_spans("t", store=store.path)):
        with pytest.raises(StoreError) as error:
            call()
        assert str(error.value) == refusal(name.partition(".")[0])
    assert rows(store) == before


def test_a_library_in_the_place_of_sqlite3_is_the_only_one(monkeypatch):
    for name in ("pysqlite3", "pysqlite3._sqlite3"):
        imported(monkeypatch, name)
        monkeypatch.setattr(sys.modules[name], "Connection", sqlite3.Connection, raising=False)
    check_one_library()


def test_a_store_that_is_open_refuses_to_write_and_read_beside_another_library(monkeypatch):
    store = one_trace()
    imported(monkeypatch, "apsw")
    calls = (
        lambda: store.write_trace("t", []),
        lambda: store.add_spans("t", [{**ONE_SPAN, "id": "new"}]),
        lambda: store.delete_trace("t"),
        lambda: load_spans("t", store=store),
    )
    for call in calls:
        with pytest.raises(StoreError) as error:
            call()
        assert str(error.value) == refusal("apsw")
    monkeypatch.delitem(sys.modules, "apsw")
    assert load_spans("t", store=store)["id"].tolist() == ["s"]


def test_an_appender_refuses_a_batch_beside_another_library_and_writes_it_later(monkeypatch):
    store = Store()
    appender = Appender(store)
    appender.append([ROW], {})
    later = [("later", *ROW[1:])]
    with monkeypatch.context() as patched:
        imported(patched, "pysqlite3")
        with pytest.raises(StoreError) as error:
            appender.append(later, {})
    assert str(error.value) == refusal("pysqlite3")
    assert appender.append(later, {}) == []
    appender.close()
    assert [row[0] for row in rows(store)] == ["later", "s"]


def test_a_recording_keeps_its_spans_while_another_library_is_loaded(monkeypatch):
    with Recorder("t") as recorder:
        with recorder.span("ann", "desk"):
            pass
        recorder.flush()
        with monkeypatch.context() as patched:
            imported(patched, "connectorx")
            with recorder.span("bob", "desk"):
                pass
        recorder.flush()
    assert sorted(load_spans("t")["agent_id"]) == ["ann", "bob"]


def test_a_blocked_import_and_a_host_without_its_plugin_are_allowed(monkeypatch):
    monkeypatch.setitem(sys.modules, "apsw", None)
    for name in ("duckdb", "adbc_driver_manager", "adbc_driver_postgresql"):
        imported(monkeypatch, name)
    check_one_library()


def mapped(folder: Path, *lines: str, size: str = "VmLib:\t 10 kB") -> None:
    """What the system tells of a process: the size of its code, and the files that are mapped."""
    (folder / "status").write_text(f"Name:\tpython\n{size}\nVmPTE:\t 1 kB\n")
    (folder / "maps").write_text("".join(f"7f00-7f01 {line}\n" for line in lines))


def test_the_files_are_listed_again_only_if_the_size_of_the_code_changed(monkeypatch, tmp_path):
    libraries.plugin_in_code.cache_clear()
    monkeypatch.setattr(libraries, "PROCESS", tmp_path)
    imported(monkeypatch, "adbc_driver_manager")
    data = "r--p 00000000 fe:00 12 /data/sqlite_scanner.parquet"
    plugin = "r-xp 00000000 fe:00 12 /opt/a b/libadbc_driver_sqlite.so (deleted)"
    mapped(tmp_path, data, "r-xp 00000000 00:00 0", "r-xp 00000000 fe:00 12 /usr/lib/sqlite_scanner/libc.so.6")
    check_one_library()
    mapped(tmp_path, data, plugin)
    check_one_library()
    for size in ("VmLib:\t 20 kB", "Threads:\t1"):
        mapped(tmp_path, data, plugin, size=size)
        with pytest.raises(StoreError) as error:
            check_one_library()
        assert str(error.value) == refusal("ADBC's driver for SQLite")
    libraries.plugin_in_code.cache_clear()


def test_no_file_is_listed_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(libraries, "PROCESS", tmp_path)
    imported(monkeypatch, "duckdb")
    check_one_library()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which files are mapped")
def test_a_plugin_that_is_loaded_is_found():
    plugin = Path("sqlite_scanner.duckdb_extension").absolute()
    shutil.copy(EXTENSION, plugin)
    done = subprocess.run([sys.executable, "-c", LOAD_A_COPY, plugin], capture_output=True, text=True, check=True)
    assert done.stdout == refusal("DuckDB's sqlite extension") + "\n"


@pytest.mark.full
def test_a_thread_may_import_modules_while_another_checks():
    subprocess.run([sys.executable, "-c", IMPORT_WHILE_A_THREAD_CHECKS, EXTENSION], check=True, timeout=60)
