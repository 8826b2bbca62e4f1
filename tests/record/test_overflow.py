"""What waits beside the store: all that was taken is given back in its order, or counted as lost, whatever the disk does."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import load_spans
from tokenvis.ingestion.ingest import ingest
from tokenvis.record import overflow
from tokenvis.record.overflow import Losses, Overflow, Spill, left_behind, places_of

posix = pytest.mark.skipif(overflow.fcntl is None, reason="locks of POSIX")


def row(number: int, trace: str = "t", data: str | None = None) -> tuple:
    return f"{trace}/{number}", trace, "ann", "desk", number, number + 1, data


def given_back(kept: Overflow) -> list[tuple]:
    rows: list[tuple] = []
    while kept:
        rows += (some := kept.oldest())
        kept.done(some)
    return rows


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(overflow.tempfile, "tempdir", str(folder))
    return folder


def failing(patch: pytest.MonkeyPatch, decide) -> None:
    """Have writes fail, or be cut short: ``decide`` says how many bytes of so many are written, None for an error."""
    write = os.write

    def writes(descriptor, text):
        if not isinstance(text, memoryview):  # not ours
            return write(descriptor, text)
        size = decide(len(text))
        if size is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, text[:size])

    patch.setattr(overflow.os, "write", writes)


STEPS = st.one_of(
    st.tuples(st.just("take"), st.integers(0, 6), st.sampled_from([0, 30, 200])),
    st.tuples(st.just("give back"), st.integers(1, 3), st.just(0)),
)


@given(st.lists(STEPS, max_size=20), st.lists(st.sampled_from([None, None, 1, 7, 10**6, 10**6]), max_size=60), st.booleans())
def test_all_rows_are_given_back_in_order_or_counted_as_lost(tmp_path_factory, steps, fates, small):
    """Under writes that fail and writes that are cut short, with small bounds, and rows that are given back in between."""
    folder, fates, number = tmp_path_factory.mktemp("law"), iter(fates), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overflow.tempfile, "tempdir", str(folder))
        patch.setattr(overflow, "CHUNK", 3)
        patch.setattr(overflow, "LONG_CHUNK", 300)
        if small:
            patch.setattr(overflow, "MOST_IN_MEMORY", 2_000)
            patch.setattr(overflow, "MOST_ON_DISK", 1_500)
        failing(patch, lambda size: next(fates, size))
        kept = Overflow(folder / "t.db", "own")
        back: list[tuple] = []
        for what, count, size in steps:
            if what == "take":
                kept.take([row(number + step, data="x" * size or None) for step in range(count)])
                number += count
                assert kept.n_bytes == sum(map(overflow.size_of, kept.memory)) <= overflow.MOST_IN_MEMORY
                assert kept.file is None or kept.file.size <= overflow.MOST_ON_DISK
                continue
            for _ in range(count):
                if kept:
                    some = kept.oldest()
                    assert kept.oldest() == some
                    kept.done(some)
                    back += some
        back += given_back(kept)
    ids = [one[4] for one in back]
    assert ids == sorted(set(ids))
    count, first, last = kept.losses.taken().get("t", (0, None, None))
    missing = sorted(set(range(number)) - set(ids))
    assert (count, first, last) == (len(missing), *((missing[0], missing[-1] + 1) if missing else (None, None)))
    assert small or not missing
    assert list(folder.iterdir()) == []


def test_rows_wait_in_a_file_that_the_reader_of_spans_takes(tmp_path, temporary, caplog):
    kept = Overflow(tmp_path / "t.db", "own")
    assert (bool(kept), kept.oldest()) == (False, [])
    rows = [row(1, data='{"label":"a"}'), row(2, data='{"text":"\\n\\u2028é"}'), row(3)]
    kept.take(rows)
    path = tmp_path / "t.db.own.waiting.jsonl"
    assert [record.getMessage() for record in caplog.records] == [f"Spans wait in {path} until {tmp_path / 't.db'} takes them."]
    assert path.stat().st_mode & 0o777 == 0o600 or os.name == "nt"
    ingest(path, store="read.db")
    assert load_spans(store="read.db")["id"].tolist() == ["t/1", "t/2", "t/3"]
    assert given_back(kept) == rows
    assert not path.exists()


def test_where_there_is_no_room_beside_the_database_rows_go_to_the_temporary_folder(tmp_path, temporary):
    kept = Overflow(tmp_path / "gone" / "t.db", "own")
    kept.take([row(1)])
    assert [path.suffixes[-2:] for path in temporary.iterdir()] == [[".waiting", ".jsonl"]]
    assert given_back(kept) == [row(1)]
    assert list(temporary.iterdir()) == []


def test_a_machine_without_a_temporary_folder_keeps_rows_in_memory(tmp_path, monkeypatch):
    """As Python says where every disk is full."""

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(overflow.tempfile, "gettempdir", none)
    kept = Overflow(tmp_path / "gone" / "t.db", "own")
    kept.take([row(1)])
    assert (list(kept.memory), given_back(kept)) == ([row(1)], [row(1)])


def test_values_that_orjson_does_not_write_wait_too(tmp_path, temporary):
    rows = [("a", "t", "a\ud800", "desk", 0, 2**70, None)]
    kept = Overflow(tmp_path / "t.db", "own")
    kept.take(rows)
    assert kept.file.n_rows == 1
    kept.file.remove()


LEFT = """
import sys, time
from pathlib import Path
from tokenvis.record.overflow import Overflow
kept = Overflow(Path(sys.argv[1]), sys.argv[2])
kept.take([(f"t/{number}", "t", "ann", "desk", number, number + 1, None) for number in range(1_000)])
print("there", flush=True)
time.sleep(60)
"""


@posix
@pytest.mark.full
def test_a_file_is_found_once_its_owner_is_gone(tmp_path, temporary):
    path = tmp_path / "t[1]*.db"
    owner = subprocess.Popen([sys.executable, "-c", LEFT, path, "other"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "there\n"
    assert list(left_behind(path)) == []
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    [spill] = left_behind(path)
    assert list(left_behind(path)) == [], "it has an owner again"
    rows = []
    while not spill.is_empty:
        rows += spill.oldest()
        spill.done()
    assert rows == [row(number) for number in range(1_000)]
    spill.remove()
    assert list(left_behind(path)) == []


@posix
def test_a_file_that_is_left_again_has_blanks_for_what_is_done(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(overflow, "CHUNK", 4)
    path = places_of(tmp_path / "t.db", "own")[0]
    spill = Spill.made(path)
    assert spill.write([row(number) for number in range(10)])
    assert spill.oldest() == [row(number) for number in range(4)]
    spill.done()
    spill.leave()
    [again] = left_behind(tmp_path / "t.db")
    rows = []
    while not again.is_empty:
        rows += again.oldest()
        again.done()
    assert rows == [row(number) for number in range(4, 10)]
    again.remove()


@posix
def test_a_file_that_somebody_took_for_one_that_was_left_is_none_of_ours(tmp_path, monkeypatch):
    """Between its making and its lock another process may find it, and take it away."""
    path = tmp_path / "t.db.own.waiting.jsonl"

    def taken(descriptor):
        path.unlink()
        return True

    monkeypatch.setattr(overflow, "is_owned", taken)
    assert Spill.made(path) is None
    monkeypatch.setattr(overflow, "is_owned", lambda descriptor: False)
    assert Spill.made(path) is None
    monkeypatch.setattr(overflow, "is_owned", lambda descriptor: None)  # where files have no locks
    assert Spill.made(path.with_name("other")) is not None


@posix
@pytest.mark.parametrize("what", ["a link", "a folder", "another user's"])
def test_what_is_no_file_of_ours_is_left_alone(what, tmp_path, temporary, monkeypatch):
    path = places_of(tmp_path / "t.db", "own")[1]
    if what == "a link":
        (tmp_path / "precious").write_text("{}")
        path.symlink_to(tmp_path / "precious")
    elif what == "a folder":
        path.mkdir()
    else:
        path.write_text("{}")
        monkeypatch.setattr(overflow.os, "getuid", lambda: -7)
    assert list(left_behind(tmp_path / "t.db")) == []
    assert path.exists()


def test_a_line_that_is_no_span_is_passed_by(tmp_path, caplog):
    path = tmp_path / "t.db.own.waiting.jsonl"
    spill = Spill.made(path)
    assert spill.write([row(1)])
    good = path.read_bytes()
    whole = json.loads(good)
    wrong = [json.dumps(whole | change).encode() for change in ({"id": [1]}, {"start_time": "0"}, {"data": {}})]
    lines = [good, *(line + b"\n" for line in (b"{", b"[]", b"   ", *wrong)), good, good[:20]]
    path.write_bytes(b"".join(lines))
    spill.size = path.stat().st_size
    with caplog.at_level(logging.ERROR, "tokenvis"):
        assert spill.oldest() == [row(1), row(1)]
    assert len(caplog.records) == 6
    assert caplog.records[0].getMessage() == f"{path} holds a line that is no span: b'{{\\n'."
    spill.done()
    assert spill.is_empty
    spill.remove()


def test_a_file_that_cannot_be_read_stays_and_keeps_nobody_waiting(tmp_path, temporary, caplog):
    kept = Overflow(tmp_path / "t.db", "own")
    kept.take([row(1)])
    path = kept.file.path
    kept.memory.append(row(2))
    kept.n_bytes += overflow.size_of(row(2))
    os.close(kept.file.descriptor)
    kept.file.descriptor = os.open(path, os.O_WRONLY)
    assert given_back(kept) == [row(2)]
    assert (
        caplog.records[-1].getMessage() == f"{path} cannot be read: [Errno 9] Bad file descriptor. What is in it stays there."
    )
    assert path.exists()


def test_a_file_that_somebody_has_cut_short_ends(tmp_path, temporary):
    kept = Overflow(tmp_path / "t.db", "own")
    kept.take([row(1), row(2)])
    kept.file.path.write_bytes(b"")
    assert given_back(kept) == []


def test_losses_are_counted_whoever_comes_in_between():
    """In many threads, and in a handler of a signal in the midst of it."""
    losses = Losses()
    n_handled = 0

    def handle(signum, frame):
        nonlocal n_handled
        n_handled += 1
        losses.count(row(10**6))

    def work():
        for number in range(5_000):
            losses.count(row(number))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with suppress(AttributeError):  # where there is no such signal
        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    with suppress(AttributeError):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    [(count, start, end)] = losses.taken().values()
    assert count == 25_000 + n_handled
    assert (start, end) == (0, 10**6 + 1 if n_handled else 5_000)
    assert not losses


def test_without_locks_and_on_windows_files_are_written_but_not_sought(tmp_path, temporary, monkeypatch):
    """No `fcntl`, no `os.pwrite`, no `os.getuid`, and a file that is open cannot be taken away."""
    unlink = Path.unlink

    def unlink_closed(path, *given, **options):
        if kept.file and kept.file.path == path and is_open(kept.file.descriptor):
            raise PermissionError(errno.EACCES, "it is in use")
        unlink(path, *given, **options)

    monkeypatch.setattr(overflow, "fcntl", None)
    for name in ("pwrite", "pread", "getuid"):
        monkeypatch.delattr(overflow.os, name, raising=False)
    monkeypatch.setattr(Path, "unlink", unlink_closed)
    kept = Overflow(tmp_path / "t.db", "own")
    kept.take([row(1)])
    assert list(left_behind(tmp_path / "t.db")) == []
    assert given_back(kept) == [row(1)]
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


def is_open(descriptor: int) -> bool:
    with suppress(OSError):
        os.fstat(descriptor)
        return True
    return False
