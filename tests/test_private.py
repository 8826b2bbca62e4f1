"""Private files: everything that tokenvis creates has the mode 0600 or 0700, and what exists keeps its mode."""

import gzip
import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import full_except, spans_of

import tokenvis as tv
from tokenvis import Store, temporary
from tokenvis.__main__ import main
from tokenvis.formats.registry import WRITERS
from tokenvis.ingestion import Watch
from tokenvis.private import create_private_file, create_private_folder, new_private_folder
from tokenvis.record.overflow import Overflow
from tokenvis.store import backup
from tokenvis.store.connections import connect, read_write_uri

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="Windows has no modes: files inherit the access list of their folder"
)
every_umask = pytest.mark.parametrize("umask", full_except([0o000, 0o022, 0o777], 0o000), ids=oct)
SPANS = spans_of("ann 0 5 desk", "bob 5 9 lab")
ROW = ("t/1", "t", "ann", "desk", 0, 1, None)


@pytest.fixture
def masked():
    """Sets the umask until the test ends."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path: str | Path) -> str:
    return oct(stat.S_IMODE(Path(path).stat().st_mode))


def modes_in_use(database: str) -> dict[str, str]:
    """The modes of the files of a database to which a connection writes."""
    with closing(connect(read_write_uri(Path(database).absolute()))) as connection:
        connection.execute("DELETE FROM spans")
        return {suffix: mode_of(database + suffix) for suffix in ("", "-wal", "-shm")}


def watch_once(folder: str) -> None:
    with Watch(folder, store="watched.db"):
        pass


def overflow(database: str) -> None:
    own = Overflow(Path(database).absolute(), "own")
    own.add([ROW])
    own.file.release()


CREATED: dict[str, Callable[[str], object]] = {  # what writes a file
    "sqlite.db": Store,
    "seeded.db": lambda path: tv.seed_demo(store=path),
    "by command.db": lambda path: main(["--database", path, "seed"]),
    "watched.db-watched.json": lambda path: watch_once("."),
    "copy.db": lambda path: backup(path, "sqlite.db"),
    "page.html": lambda path: tv.explore(SPANS).save(path),
    "shown.html": lambda path: main(["show", "made.jsonl", "-o", path]),
    "full.db.own.waiting.jsonl": lambda path: overflow("full.db"),
    **{f"exported.{kind}": lambda path, kind=kind: tv.export(SPANS, path, format=kind) for kind in WRITERS},
}


@every_umask
def test_a_new_file_is_readable_by_its_owner_only(umask, masked, capsys):
    tv.export(SPANS, "made.jsonl")
    Store("sqlite.db").write_trace("t", SPANS)
    Path("sqlite.db").rename("seeded before.db")
    masked(umask)
    for path, create in CREATED.items():
        create(path)
    assert {path: mode_of(path) for path in CREATED} == dict.fromkeys(CREATED, "0o600")
    assert modes_in_use("seeded.db") == {"": "0o600", "-wal": "0o600", "-shm": "0o600"}


def packed_traces() -> None:
    """Write all.zip, with a packed trace in a folder, and a trace."""
    trace = tv.export(SPANS, "made.jsonl").read_bytes()
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.writestr("a/b/made.jsonl.gz", gzip.compress(trace))
        archive.writestr("made.jsonl", trace.replace(b'"t"', b'"u"'))


@every_umask
def test_temporary_files_and_folders_are_private(umask, masked, tmp_path, monkeypatch):
    folder, modes = tmp_path / "temporary", {}
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    packed_traces()
    Store("sqlite.db")
    remove = temporary.remove_folder

    def remove_noted(path: Path, lock: int) -> None:
        modes.update({file: (file.is_dir(), mode_of(file)) for file in (path, *path.rglob("*"))})
        remove(path, lock)

    monkeypatch.setattr(temporary, "remove_folder", remove_noted)
    masked(umask)
    tv.ingest("all.zip")
    tv.ingest(io.BytesIO(Path("made.jsonl").read_bytes()))
    main(["show", "all.zip", "-o", "page.html"])
    backup("copy.db", "sqlite.db")
    assert set(modes.values()) == {(True, "0o700"), (False, "0o600")}
    names = {
        "stream",
        "made.jsonl",
        "b",
        *(f"table.{part}.0" for part in ("spool", "data", "answers", "stored")),
        "sqlite.db",
        temporary.LOCK_NAME,
    }
    assert names <= {path.name for path in modes}


@pytest.mark.parametrize("mode", full_except([0o640, 0o644, 0o400], 0o640), ids=oct)
def test_a_replaced_file_keeps_its_mode(mode, masked, capsys):
    masked(0o077)
    tv.export(SPANS, "made.jsonl")
    replaced = {path: create for path, create in CREATED.items() if Path(path).suffix not in (".db", ".jsonl")}
    for path, create in replaced.items():
        create(path)
        Path(path).chmod(mode)
        create(path)
    assert {path: mode_of(path) for path in replaced} == dict.fromkeys(replaced, oct(mode))


@pytest.mark.parametrize("mode", ["0o640", "0o644"])
def test_a_database_keeps_its_mode(mode):
    Path("empty.db").touch()
    Store("full.db").write_trace("t", SPANS)
    for path in ("empty.db", "full.db"):
        Path(path).chmod(int(mode, 8))
        tv.seed_demo(store=path)
        assert modes_in_use(path) == {"": mode, "-wal": mode, "-shm": mode}


@pytest.mark.parametrize(("mode", "copied"), [(0o600, "0o600"), (0o644, "0o600"), (0o440, "0o400"), (0o200, "0o600")])
def test_a_backup_has_no_wider_mode_than_the_database(mode, copied):
    Store("sqlite.db")
    Path("sqlite.db").chmod(mode)
    assert mode_of(backup("copy.db", "sqlite.db")) == copied


def test_a_link_to_a_missing_file_creates_that_file():
    Path("folder").mkdir()
    for name, create in (("linked.db", Store), ("linked.csv", lambda path: tv.export(SPANS, path))):
        Path(name).symlink_to(Path("folder", name))
        create(name)
        assert Path(name).is_symlink()
        assert mode_of(Path("folder", name)) == "0o600"


def test_a_file_is_created_once_and_never_through_a_link():
    Path("link").symlink_to("target")
    for _ in range(2):
        with pytest.raises(FileExistsError):
            os.close(create_private_file(Path("link")))
    assert not Path("target").exists()


def test_folders_are_created_with_their_parents(masked):
    masked(0o777)
    create_private_folder(Path("a/b"))
    create_private_folder(Path("a/b/c"))
    assert [mode_of(path) for path in ("a", "a/b", "a/b/c", new_private_folder(Path("a"), "x-"))] == ["0o700"] * 4
    Path("file").touch()
    with pytest.raises(FileExistsError):
        create_private_folder(Path("file"))


# Whose rights a mode describes: the group of a file, and its access list

GROUP = 12_345
USER, MASK = 0x02, 0x10  # kinds of entries of an access list
READS_ONE_USER = struct.pack(  # user::rw-, user:1234:rw-, group::---, mask::rw-, other::---
    "<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, USER, 6, 1_234, 4, 0, 2**32 - 1, MASK, 6, 2**32 - 1, 0x20, 0, 2**32 - 1
)
needs_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may give files to others")


@needs_root
def test_a_replaced_file_keeps_its_owner_and_its_group():
    Path("a.csv").touch(0o640)
    os.chown("a.csv", 1_234, GROUP)
    tv.export(SPANS, "a.csv")
    status = Path("a.csv").stat()
    assert (status.st_uid, status.st_gid, mode_of("a.csv")) == (1_234, GROUP, "0o640")


@needs_root
def test_another_group_gets_no_rights(monkeypatch):
    Path("a.csv").touch()
    Path("a.csv").chmod(0o664)
    os.chown("a.csv", -1, GROUP)
    monkeypatch.setattr(os, "fchown", forbidden)
    tv.export(SPANS, "a.csv")
    assert mode_of("a.csv") == "0o604"


def forbidden(*_: object) -> None:
    raise PermissionError


def test_a_replaced_file_keeps_its_access_list(monkeypatch):
    Path("a.csv").touch()
    try:
        os.setxattr("a.csv", "system.posix_acl_access", READS_ONE_USER)
    except (AttributeError, OSError):
        pytest.skip("this file system has no access lists")
    assert mode_of("a.csv") == "0o660"
    tv.export(SPANS, "a.csv")
    assert (os.getxattr("a.csv", "system.posix_acl_access"), mode_of("a.csv")) == (READS_ONE_USER, "0o660")
    monkeypatch.setattr(os, "setxattr", forbidden)
    tv.export(SPANS, "a.csv")
    assert (os.listxattr("a.csv"), mode_of("a.csv")) == ([], "0o600")
