import sys
import time
from pathlib import Path

import pytest
from pyarrow import fs

from tokenvis import FleetError
from tokenvis.fleet.sources.places import place_of
from tokenvis.fleet.writing.staging import flush_folder, staged_files


def write(path, *names, fail=None):
    with staged_files(path) as stage:
        for name in names:
            with stage.file(name) as file:
                file.write(b"x")
        if fail:
            raise fail
        stage.publish()


def names_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*"))


def test_a_new_folder_appears_with_all_its_files():
    with staged_files(place_of("spans")) as stage:
        with stage.file("a") as file:
            file.write(b"x")
        assert not Path("spans").exists()
        stage.publish()
    assert names_in(".") == ["a", "spans"]


def test_a_folder_that_another_process_creates_meanwhile_keeps_its_files():
    with staged_files(place_of("spans")) as stage:
        with stage.file("a") as file:
            file.write(b"x")
        Path("spans").mkdir()
        Path("spans/b").touch()
        stage.publish()
    assert names_in(".") == ["a", "b", "spans"]


@pytest.mark.parametrize("exists", [True, False])
def test_exports_to_a_folder_publish_in_turn(exists, monkeypatch):
    if exists:
        Path("spans").mkdir()
    monkeypatch.setattr("tokenvis.fleet.writing.staging.MAX_WAIT_S", 0.1)
    with staged_files(place_of("spans")) as first, staged_files(place_of(Path("spans").absolute())) as second:
        with first.turn():
            begin = time.monotonic()
            with second.turn():
                assert time.monotonic() - begin >= 0.1 or sys.platform == "win32"
        begin = time.monotonic()
        with second.turn():
            assert time.monotonic() - begin < 0.1


def test_where_no_folder_can_be_locked_an_export_goes_on(monkeypatch):
    remote = place_of("spans", fs.SubTreeFileSystem(str(Path.cwd()), fs.LocalFileSystem()))
    with staged_files(remote) as stage, stage.turn():
        pass
    with staged_files(place_of("spans2")) as stage:
        monkeypatch.setattr("os.open", lambda *_: (_ for _ in ()).throw(PermissionError()))
        with stage.turn():
            monkeypatch.undo()


def test_an_interruption_leaves_nothing():
    with pytest.raises(KeyboardInterrupt):
        write(place_of("spans"), "a", "b", fail=KeyboardInterrupt())
    assert names_in(".") == []


def test_files_of_a_file_system_are_deleted_if_the_export_fails():
    Path("bucket").mkdir()
    remote = place_of("spans", fs.SubTreeFileSystem(str(Path("bucket").absolute()), fs.LocalFileSystem()))
    write(remote, "a")
    with pytest.raises(KeyboardInterrupt):
        write(remote, "b", "c", fail=KeyboardInterrupt())
    assert names_in("bucket") == ["a", "spans"]


def n_open():
    folder = Path("/proc/self/fd")  # only Linux has it
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_no_more_files_are_open_than_one():
    with staged_files(place_of("spans")) as stage:
        before = n_open()
        for number in range(50):
            with stage.file(f"{number}") as file:
                file.write(b"x")
        assert n_open() == before
        stage.publish()
    assert len(names_in("spans")) == 50


def test_a_disk_that_is_full_is_told():
    with pytest.raises(FleetError) as caught:
        write(place_of("spans"), "a", fail=OSError(28, "No space left on device"))
    assert str(caught.value) == "spans cannot be written: No space left on device. Nothing was added to it."
    flush_folder(Path("no folder"))
