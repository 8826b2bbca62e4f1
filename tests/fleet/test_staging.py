from pathlib import Path

import pytest
from pyarrow import fs

from tokenvis import FleetError
from tokenvis.fleet.places import place_of
from tokenvis.fleet.staging import flush_folder, staged_files


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
