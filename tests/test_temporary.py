"""Temporary files: the next process removes those of a killed one, and never those of a process that runs."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import spans_of

import tokenvis as tv
from tokenvis import Store, temporary
from tokenvis.output import atomic_write
from tokenvis.store import backup
from tokenvis.temporary import LOCK_NAME, clear_leftovers, create_locked_file, lock_file, temporary_folder

posix = pytest.mark.skipif(os.name != "posix", reason="locks, links and users of POSIX")
SPANS = spans_of("ann 0 5 desk")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def leftover(folder: Path, name: str = "tokenvis-left") -> Path:
    """What a killed process leaves: a folder whose lock no process has."""
    (folder / name / "files" / "inner").mkdir(parents=True)
    (folder / name / "files" / "inner" / "secret").write_text("secret")
    (folder / name / LOCK_NAME).touch()
    return folder / name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_temporary_folder_is_removed_at_its_end_and_on_an_error(folder):
    with temporary_folder() as first, temporary_folder() as second:
        assert first.parent.parent == second.parent.parent == folder
        assert first != second
        (first / "file").touch()
    assert names(folder) == []
    with pytest.raises(FileNotFoundError), temporary_folder() as failed:
        (failed / "missing").read_bytes()
    assert names(folder) == []


def test_a_folder_in_use_is_not_cleared_and_a_leftover_is(folder):
    with temporary_folder() as used:
        (used / "file").touch()
        leftover(folder)
        clear_leftovers()
        assert names(folder) == [used.parent.name]
        assert (used / "file").exists()


@posix
def test_only_leftovers_of_this_user_are_cleared(folder, tmp_path, monkeypatch):
    precious = leftover(tmp_path, "precious")
    (folder / "tokenvis-link").symlink_to(precious)
    (folder / "tokenvis-file").touch()
    (folder / "tokenvis-no-lock" / "files").mkdir(parents=True)
    (folder / "tokenvis-linked-lock" / "files").mkdir(parents=True)
    (folder / "tokenvis-linked-lock" / LOCK_NAME).symlink_to(precious / LOCK_NAME)
    linked = leftover(folder, "tokenvis-linked-files")
    (linked / "files").rename(linked / "other")
    (linked / "files").symlink_to(precious / "files")
    leftover(folder, "other-left")
    before = names(folder)
    clear_leftovers()
    assert names(folder) == before
    assert (precious / "files" / "inner" / "secret").exists()
    leftover(folder, "tokenvis-theirs")
    monkeypatch.setattr(os, "getuid", lambda: -7)
    clear_leftovers()
    assert "tokenvis-theirs" in names(folder)


def test_a_folder_that_cannot_be_listed_is_ignored(folder):
    folder.rmdir()
    clear_leftovers()


def test_a_file_that_another_process_takes_before_it_is_locked_gets_a_new_name(folder, monkeypatch):
    """Between creation and lock, another process may clear it."""
    tries = []

    def taken_first(descriptor: int) -> bool | None:
        tries.append(descriptor)
        if len(tries) == 1:
            clear_leftovers()
        return lock_file(descriptor)

    monkeypatch.setattr(temporary, "lock_file", lambda descriptor: lock_file(descriptor) if tries else taken_first(descriptor))
    with temporary_folder() as used:
        assert used.is_dir()
        assert names(folder) == [used.parent.name]
    monkeypatch.setattr(temporary, "lock_file", lambda descriptor: False)
    assert create_locked_file(folder / "taken") is None


def test_without_locks_nothing_is_cleared(folder, monkeypatch):
    monkeypatch.setattr(temporary, "fcntl", None)
    leftover(folder)
    clear_leftovers()
    with temporary_folder() as used:
        assert used.is_dir()
        clear_leftovers()
        assert len(names(folder)) == 2
    assert names(folder) == ["tokenvis-left"]


@pytest.mark.parametrize("reads", [lambda: tv.ingest("made.jsonl"), lambda: tv.ingestion.Watch(".").close()])
def test_ingest_and_watch_clear_the_temporary_folder(reads, folder):
    tv.export(SPANS, "made.jsonl")
    leftover(folder)
    reads()
    assert names(folder) == []


@posix
@pytest.mark.parametrize("writes", [lambda: tv.export(SPANS, "made.csv"), lambda: backup("copy.db", "sqlite.db")])
def test_writing_a_file_clears_its_folder(writes, tmp_path):
    Store("sqlite.db")
    (tmp_path / ".tokenvis-0123456789abcdef.part").write_text("half")
    (tmp_path / ".tokenvis-other").write_text("not ours")
    leftover(tmp_path, ".tokenvis-left")
    with atomic_write(Path("other")) as unfinished:
        writes()
        unfinished.write(b"whole")
    assert {"made.csv", "copy.db"} & {*names(tmp_path)}
    assert [name for name in names(tmp_path) if name.startswith(".")] == [".tokenvis-other"]
    assert Path("other").read_bytes() == b"whole"


def test_a_part_is_not_cleared_before_it_has_replaced_its_target(monkeypatch):
    """The other process clears the folder at the last moment."""
    replace = Path.replace

    def cleared(path: Path, target: Path) -> Path:
        clear_leftovers(path.parent)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", cleared)
    assert tv.export(SPANS, "a.csv").exists()


INGEST = """
import os, sys, time
import tokenvis as tv
from tokenvis.ingestion import assembly

def wait(*_):
    print(flush=True)
    time.sleep(600)

assembly.Assembly.frames = wait
tv.ingest("made.jsonl", store=sys.argv[1])
"""


def folders_in(folder):
    return [path for path in folder.iterdir() if path.is_dir()]


@posix
@pytest.mark.full
def test_the_next_ingest_removes_what_a_killed_one_left_and_nothing_of_one_that_runs(folder):
    tv.export(spans_of(*(f"ann {number} {number + 1} desk" for number in range(90))), "made.jsonl")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", INGEST, f"{name}.db"],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
        )
        for name in ("killed", "running")
    ]
    try:
        for child in children:
            child.stdout.readline()
        assert len(folders_in(folder)) == 2
        children[0].kill()
        children[0].wait(timeout=60)
        assert len(folders_in(folder)) == 2
        tv.ingest("made.jsonl")
        [running] = folders_in(folder)
        assert {"table.spool.0", "table.data.0"} <= {path.name for path in running.rglob("*")}
    finally:
        for child in children:
            child.send_signal(signal.SIGKILL)
            child.wait(timeout=60)
            child.stdout.close()
    tv.ingest("made.jsonl")
    assert names(folder) == []


@pytest.mark.full
def test_folders_in_use_survive_many_threads_that_clear(folder):
    failures = []

    def work() -> None:
        for number in range(100):
            with temporary_folder() as used:
                clear_leftovers()
                try:
                    (used / f"file {number}").touch()
                except OSError as error:
                    failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names(folder) == []
