from pathlib import Path

import pytest

from tokenvis.ingestion.watch import checkpoint as watched
from tokenvis.ingestion.watch.checkpoint import Known, Record, Taken, stamp_at, stored


def record_of(*names):
    """A record of files that are there, each a session with a trace of five spans."""
    record = Record(Path("sqlite.db"))
    for name in names:
        Path(name).write_text("x")
        record.files[name] = Known(stamp_at(name), "codex", name, None)
        record.sessions[name] = Taken({name: stamp_at(name), "gone": None}, {name: 5}, ["full", None, None])
    return record


def loaded(**n_spans):
    record = Record(Path("sqlite.db"))
    record.load(n_spans)
    return record


def test_what_was_saved_is_there_again():
    record = record_of("a", "b", "\udcff")
    record.save(now=True)
    again = loaded(a=5, b=7, **{"\udcff": 5})
    assert (again.files, again.sessions) == (record.files, record.sessions)


def test_a_session_of_which_the_database_has_less_is_forgotten_and_so_is_a_file_that_is_gone():
    record_of("a", "b", "c").save(now=True)
    Path("c").unlink()
    again = loaded(a=4, c=5, b=5)
    assert list(again.files) == ["a", "b"]
    assert list(again.sessions) == ["b"]


def test_a_file_that_is_gone_stays_known_while_its_session_does():
    record = record_of("a", "b")
    record.sessions["a"].stamps["b"] = stamp_at("b")
    del record.sessions["b"]
    record.save(now=True)
    Path("b").unlink()
    assert list(loaded(a=5).files) == ["a", "b"]
    assert list(loaded(a=4).files) == ["a"]


def test_of_a_session_that_is_forgotten_and_whose_own_file_is_gone_the_others_are_looked_at_anew():
    record = record_of("a", "b", "c")
    main = str(Path("a").absolute())
    record.files = {main: Known(stamp_at("a"), "claude_code", main)}
    record.files["b"] = Known(stamp_at("b"), "claude_code", main)
    record.files["c"] = Known(stamp_at("c"), "claude_code", "c", main)
    record.sessions = {main: Taken({main: stamp_at("a"), "b": stamp_at("b")}, {"t": 5}, ["full", None, None])}
    record.save(now=True)
    assert list(loaded(t=4).files) == [main, "b", "c"]
    Path("a").unlink()
    assert list(loaded(t=5).files) == [main, "b"]
    assert list(loaded(t=4).files) == []


def test_two_watches_of_one_database_keep_what_the_other_remembers():
    record_of("a").save(now=True)
    record_of("b").save(now=True)
    assert list(stored(Path("sqlite.db-watched.json")).files) == ["a", "b"]


def test_it_is_written_now_and_then():
    record = record_of("a")
    record.load({})
    record.save()
    assert not record.path.exists()
    record.saved_at -= watched.SAVING
    record.save()
    assert record.path.exists()


def test_where_it_cannot_be_written_it_is_not():
    record = Record(Path("nowhere/sqlite.db"))
    record.save(now=True)
    assert not record.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"version": 2, "files": {}, "sessions": {}}',
        b'{"version": 1, "files": {"a": {"stamp": [1, 2]}}, "sessions": {}}',
        b'{"version": 1, "files": {"a": {"stamp": [1, 2, 3], "more": 1}}, "sessions": {}}',
        b'{"version": 1, "files": {"a": {"stamp": [1, 2, 3]}}, "sessions": {"a": {"stamps": {}, "traces": []}}}',
    ],
)
def test_what_is_damaged_is_as_nothing(content):
    Path("sqlite.db-watched.json").write_bytes(content)
    assert (loaded().files, loaded().sessions) == ({}, {})
