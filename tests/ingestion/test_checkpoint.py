from pathlib import Path

import pytest

from tokenvis.ingestion.watch import checkpoint as watched
from tokenvis.ingestion.watch.checkpoint import Checkpoint, FileEntry, SessionEntry, file_stamp, saved_checkpoint


def record_of(*names):
    """A record of files that are there, each a session with a trace of five spans."""
    record = Checkpoint(Path("sqlite.db"))
    for name in names:
        Path(name).write_text("x")
        record.files[name] = FileEntry(file_stamp(name), "codex", name, None)
        record.sessions[name] = SessionEntry({name: file_stamp(name), "gone": None}, {name: 5}, ["full", None, None])
    return record


def loaded(**n_spans):
    record = Checkpoint(Path("sqlite.db"))
    record.load(n_spans)
    return record


def test_what_was_saved_is_there_again():
    record = record_of("a", "b", "\udcff")
    record.save(force=True)
    again = loaded(a=5, b=7, **{"\udcff": 5})
    assert (again.files, again.sessions) == (record.files, record.sessions)


def test_a_session_of_which_the_database_has_less_is_forgotten_and_so_is_a_file_that_is_gone():
    record_of("a", "b", "c").save(force=True)
    Path("c").unlink()
    again = loaded(a=4, c=5, b=5)
    assert list(again.files) == ["a", "b"]
    assert list(again.sessions) == ["b"]


def test_a_file_that_is_gone_stays_known_while_its_session_does():
    record = record_of("a", "b")
    record.sessions["a"].stamps["b"] = file_stamp("b")
    del record.sessions["b"]
    record.save(force=True)
    Path("b").unlink()
    assert list(loaded(a=5).files) == ["a", "b"]
    assert list(loaded(a=4).files) == ["a"]


def test_of_a_session_that_is_forgotten_and_whose_own_file_is_gone_the_others_are_looked_at_anew():
    record = record_of("a", "b", "c")
    main = str(Path("a").absolute())
    record.files = {main: FileEntry(file_stamp("a"), "claude_code", main)}
    record.files["b"] = FileEntry(file_stamp("b"), "claude_code", main)
    record.files["c"] = FileEntry(file_stamp("c"), "claude_code", "c", main)
    record.sessions = {main: SessionEntry({main: file_stamp("a"), "b": file_stamp("b")}, {"t": 5}, ["full", None, None])}
    record.save(force=True)
    assert list(loaded(t=4).files) == [main, "b", "c"]
    Path("a").unlink()
    assert list(loaded(t=5).files) == [main, "b"]
    assert list(loaded(t=4).files) == []


def test_two_watches_of_one_database_keep_what_the_other_remembers():
    record_of("a").save(force=True)
    record_of("b").save(force=True)
    assert list(saved_checkpoint(Path("sqlite.db-watched.json")).files) == ["a", "b"]


def test_it_is_written_now_and_then():
    record = record_of("a")
    record.load({})
    record.save()
    assert not record.path.exists()
    record.saved_at -= watched.SAVE_INTERVAL_S
    record.save()
    assert record.path.exists()


def test_where_it_cannot_be_written_it_is_not():
    record = Checkpoint(Path("nowhere/sqlite.db"))
    record.save(force=True)
    assert not record.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"version": 1, "files": {}, "sessions": {}}',
        b'{"version": 2, "files": {"a": {"stamp": [1, 2]}}, "sessions": {}}',
        b'{"version": 2, "files": {"a": {"stamp": [1, 2, 3], "more": 1}}, "sessions": {}}',
        b'{"version": 2, "files": {"a": {"stamp": [1, 2, 3]}}, "sessions": {"a": {"stamps": {}, "traces": []}}}',
    ],
)
def test_what_is_damaged_is_as_nothing(content):
    Path("sqlite.db-watched.json").write_bytes(content)
    assert (loaded().files, loaded().sessions) == ({}, {})
