"""A second SQLite library in the process of a store is refused: the two would drop each other's file locks."""

import _json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from databases import ONE_SPAN, one_trace, rows

from tokenvis import Recorder, Store, StoreError, load_spans
from tokenvis.store import Appender, libraries
from tokenvis.store.libraries import PACKAGES, check_one_library

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
        assert str(error.value) == refusal(name)
    assert rows(store) == before


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


def test_the_objects_are_listed_again_only_if_one_was_loaded(monkeypatch):
    objects = [(1, b""), (1, b"/usr/lib/libc.so.6")]
    listed = []

    def shared_objects(visit):
        listed.append(visit)
        return objects[:1] if visit is libraries.VISIT_FIRST else objects

    monkeypatch.setattr(libraries, "shared_objects", shared_objects)
    monkeypatch.setattr(libraries, "found_plugins", {})
    imported(monkeypatch, "adbc_driver_manager")
    check_one_library()
    check_one_library()
    assert listed.count(libraries.VISIT_EACH) == 1
    objects[:] = [(2, b""), (2, b"/opt/adbc/libadbc_driver_sqlite.so"), (2, b"/a/\xff.so")]
    with pytest.raises(StoreError) as error:
        check_one_library()
    assert str(error.value) == refusal("ADBC's driver for SQLite")


def test_no_object_is_listed_where_the_loader_cannot_tell(monkeypatch):
    monkeypatch.setattr(libraries, "LOADER", None)
    monkeypatch.setattr(libraries, "found_plugins", {})
    imported(monkeypatch, "duckdb")
    check_one_library()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which objects are loaded")
@pytest.mark.skipif(not getattr(_json, "__file__", ""), reason="this Python has no extension module to copy")
def test_a_plugin_that_is_loaded_is_found():
    plugin = Path("sqlite_scanner.duckdb_extension").absolute()
    shutil.copy(_json.__file__, plugin)
    done = subprocess.run([sys.executable, "-c", LOAD_A_COPY, plugin], capture_output=True, text=True, check=True)
    assert done.stdout == refusal("DuckDB's sqlite extension") + "\n"
