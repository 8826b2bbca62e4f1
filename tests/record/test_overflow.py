"""The overflow: all rows are returned in order, or counted as lost, whatever fails on the disk."""

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

import tokenvis.temporary
from tokenvis import load_spans
from tokenvis.ingestion.ingest import ingest
from tokenvis.record import overflow
from tokenvis.record.overflow import LossCounter, Overflow, OverflowFile, abandoned_files, overflow_paths

posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")


def row(number: int, trace: str = "t", data: str | None = None) -> tuple:
    return f"{trace}/{number}", trace, "ann", "desk", number, number + 1, data


def drained(own: Overflow) -> list[tuple]:
    rows: list[tuple] = []
    while own:
        rows += (chunk := own.oldest())
        own.discard(chunk)
    return rows


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(overflow.tempfile, "tempdir", str(folder))
    return folder


def failing(patch: pytest.MonkeyPatch, decide) -> None:
    """Make writes fail or stop early: ``decide`` maps the size of a write to the number of bytes written, None for an error."""
    write = os.write

    def writes(descriptor, text):
        if not isinstance(text, memoryview):  # from elsewhere
            return write(descriptor, text)
        size = decide(len(text))
        if size is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, text[:size])

    patch.setattr(overflow.os, "write", writes)


STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 6), st.sampled_from([0, 30, 200])),
    st.tuples(st.just("discard"), st.integers(1, 3), st.just(0)),
)


@given(st.lists(STEPS, max_size=20), st.lists(st.sampled_from([None, None, 1, 7, 10**6, 10**6]), max_size=60), st.booleans())
def test_all_rows_are_returned_in_order_or_counted_as_lost(tmp_path_factory, steps, fates, small):
    """With writes that fail or stop early, small limits, and rows that are discarded in between."""
    folder, fates, number = tmp_path_factory.mktemp("law"), iter(fates), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overflow.tempfile, "tempdir", str(folder))
        patch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 3)
        patch.setattr(overflow, "MAX_OVERFLOW_CHUNK_BYTES", 300)
        if small:
            patch.setattr(overflow, "MAX_UNSTORED_BYTES", 2_000)
            patch.setattr(overflow, "MAX_OVERFLOW_FILE_BYTES", 1_500)
        failing(patch, lambda size: next(fates, size))
        own = Overflow(folder / "t.db", "own")
        returned: list[tuple] = []
        for what, count, size in steps:
            if what == "add":
                own.add([row(number + step, data="x" * size or None) for step in range(count)])
                number += count
                assert own.n_bytes == sum(map(overflow.size_of, own.memory)) <= overflow.MAX_UNSTORED_BYTES
                assert own.file is None or own.file.size <= overflow.MAX_OVERFLOW_FILE_BYTES
                continue
            for _ in range(count):
                if own:
                    chunk = own.oldest()
                    assert own.oldest() == chunk
                    own.discard(chunk)
                    returned += chunk
        returned += drained(own)
    ids = [entry[4] for entry in returned]
    assert ids == sorted(set(ids))
    count, first, last = own.losses.drain().get("t", (0, None, None))
    missing = sorted(set(range(number)) - set(ids))
    assert (count, first, last) == (len(missing), *((missing[0], missing[-1] + 1) if missing else (None, None)))
    assert small or not missing
    assert list(folder.iterdir()) == []


def test_rows_go_to_a_file_that_ingest_reads(tmp_path, temporary, caplog):
    own = Overflow(tmp_path / "t.db", "own")
    assert (bool(own), own.oldest()) == (False, [])
    rows = [row(1, data='{"label":"a"}'), row(2, data='{"text":"\\n\\u2028é"}'), row(3)]
    own.add(rows)
    path = tmp_path / "t.db.own.waiting.jsonl"
    assert [record.getMessage() for record in caplog.records] == [
        f"Spans are buffered in {path} until {tmp_path / 't.db'} can be written."
    ]
    assert path.stat().st_mode & 0o777 == 0o600 or os.name == "nt"
    ingest(path, store="read.db")
    assert load_spans(store="read.db")["id"].tolist() == ["t/1", "t/2", "t/3"]
    assert drained(own) == rows
    assert not path.exists()


def test_without_room_next_to_the_database_rows_go_to_the_temporary_folder(tmp_path, temporary):
    own = Overflow(tmp_path / "gone" / "t.db", "own")
    own.add([row(1)])
    assert [path.suffixes[-2:] for path in temporary.iterdir()] == [[".waiting", ".jsonl"]]
    assert drained(own) == [row(1)]
    assert list(temporary.iterdir()) == []


def test_a_machine_without_a_temporary_folder_keeps_rows_in_memory(tmp_path, monkeypatch):
    """Python reports none if every disk is full."""

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(overflow.tempfile, "gettempdir", none)
    own = Overflow(tmp_path / "gone" / "t.db", "own")
    own.add([row(1)])
    assert (list(own.memory), drained(own)) == ([row(1)], [row(1)])


def test_values_that_orjson_cannot_encode_are_kept_too(tmp_path, temporary):
    rows = [("a", "t", "a\ud800", "desk", 0, 2**70, None)]
    own = Overflow(tmp_path / "t.db", "own")
    own.add(rows)
    assert own.file.n_rows == 1
    own.file.remove()


OWNER = """
import sys, time
from pathlib import Path
from tokenvis.record.overflow import Overflow
own = Overflow(Path(sys.argv[1]), sys.argv[2])
own.add([(f"t/{number}", "t", "ann", "desk", number, number + 1, None) for number in range(1_000)])
print("ready", flush=True)
time.sleep(60)
"""


@posix
@pytest.mark.full
def test_a_file_is_claimed_once_its_owner_has_ended(tmp_path, temporary):
    path = tmp_path / "t[1]*.db"
    owner = subprocess.Popen([sys.executable, "-c", OWNER, path, "other"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "ready\n"
    assert list(abandoned_files(path)) == []
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    [file] = abandoned_files(path)
    assert list(abandoned_files(path)) == [], "it has an owner again"
    rows = []
    while not file.is_empty:
        rows += file.oldest()
        file.advance()
    assert rows == [row(number) for number in range(1_000)]
    file.remove()
    assert list(abandoned_files(path)) == []


@posix
def test_a_released_file_has_blanks_for_the_rows_that_are_done(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(overflow, "MAX_OVERFLOW_CHUNK_ROWS", 4)
    path = overflow_paths(tmp_path / "t.db", "own")[0]
    file = OverflowFile.create(path)
    assert file.write([row(number) for number in range(10)])
    assert file.oldest() == [row(number) for number in range(4)]
    file.advance()
    file.release()
    [again] = abandoned_files(tmp_path / "t.db")
    rows = []
    while not again.is_empty:
        rows += again.oldest()
        again.advance()
    assert rows == [row(number) for number in range(4, 10)]
    again.remove()


@posix
def test_a_new_file_that_another_process_has_claimed_is_not_used(tmp_path, monkeypatch):
    """Between creation and lock, another process may claim it as abandoned, and delete it."""
    path = tmp_path / "t.db.own.waiting.jsonl"

    def claimed(descriptor):
        path.unlink()
        return True

    monkeypatch.setattr(tokenvis.temporary, "lock_file", claimed)
    assert OverflowFile.create(path) is None
    monkeypatch.setattr(tokenvis.temporary, "lock_file", lambda descriptor: False)
    assert OverflowFile.create(path) is None
    monkeypatch.setattr(tokenvis.temporary, "lock_file", lambda descriptor: None)  # a file system without locks
    assert OverflowFile.create(path.with_name("other")) is not None


@posix
@pytest.mark.parametrize("kind", ["a link", "a folder", "another user's"])
def test_other_files_are_unchanged(kind, tmp_path, temporary, monkeypatch):
    path = overflow_paths(tmp_path / "t.db", "own")[1]
    if kind == "a link":
        (tmp_path / "precious").write_text("{}")
        path.symlink_to(tmp_path / "precious")
    elif kind == "a folder":
        path.mkdir()
    else:
        path.write_text("{}")
        monkeypatch.setattr(overflow.os, "getuid", lambda: -7)
    assert list(abandoned_files(tmp_path / "t.db")) == []
    assert path.exists()


def test_a_line_that_is_not_a_span_is_skipped(tmp_path, caplog):
    path = tmp_path / "t.db.own.waiting.jsonl"
    file = OverflowFile.create(path)
    assert file.write([row(1)])
    good = path.read_bytes()
    whole = json.loads(good)
    wrong = [json.dumps(whole | change).encode() for change in ({"id": [1]}, {"start_time": "0"}, {"data": {}})]
    lines = [good, *(line + b"\n" for line in (b"{", b"[]", b"   ", *wrong)), good, good[:20]]
    path.write_bytes(b"".join(lines))
    file.size = path.stat().st_size
    with caplog.at_level(logging.ERROR, "tokenvis"):
        assert file.oldest() == [row(1), row(1)]
    assert len(caplog.records) == 6
    assert caplog.records[0].getMessage() == f"{path} contains a line that is not a span: b'{{\\n'."
    file.advance()
    assert file.is_empty
    file.remove()


def test_a_file_that_cannot_be_read_is_kept_and_blocks_no_rows(tmp_path, temporary, caplog):
    own = Overflow(tmp_path / "t.db", "own")
    own.add([row(1)])
    path = own.file.path
    own.memory.append(row(2))
    own.n_bytes += overflow.size_of(row(2))
    os.close(own.file.descriptor)
    own.file.descriptor = os.open(path, os.O_WRONLY)
    assert drained(own) == [row(2)]
    assert caplog.records[-1].getMessage() == f"{path} cannot be read: [Errno 9] Bad file descriptor. The file is kept."
    assert path.exists()


def test_a_truncated_file_has_no_more_rows(tmp_path, temporary):
    own = Overflow(tmp_path / "t.db", "own")
    own.add([row(1), row(2)])
    own.file.path.write_bytes(b"")
    assert drained(own) == []


def test_losses_are_counted_by_threads_and_signal_handlers():
    """Many threads, and a signal handler that interrupts one."""
    losses = LossCounter()
    n_handled = 0

    def handle(signum, frame):
        nonlocal n_handled
        n_handled += 1
        losses.count(row(10**6))

    def work():
        for number in range(5_000):
            losses.count(row(number))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with suppress(AttributeError):  # on platforms without this signal
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
    [(count, start, end)] = losses.drain().values()
    assert count == 25_000 + n_handled
    assert (start, end) == (0, 10**6 + 1 if n_handled else 5_000)
    assert not losses


def test_without_locks_and_on_windows_files_are_written_but_not_claimed(tmp_path, temporary, monkeypatch):
    """No `fcntl`, no `os.pwrite`, no `os.getuid`, and an open file cannot be deleted."""
    unlink = Path.unlink

    def unlink_closed(path, *given, **options):
        if own.file and own.file.path == path and is_open(own.file.descriptor):
            raise PermissionError(errno.EACCES, "it is in use")
        unlink(path, *given, **options)

    monkeypatch.setattr(tokenvis.temporary, "fcntl", None)
    for name in ("pwrite", "pread", "getuid"):
        monkeypatch.delattr(overflow.os, name, raising=False)
    monkeypatch.setattr(Path, "unlink", unlink_closed)
    own = Overflow(tmp_path / "t.db", "own")
    own.add([row(1)])
    assert list(abandoned_files(tmp_path / "t.db")) == []
    assert drained(own) == [row(1)]
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


def is_open(descriptor: int) -> bool:
    with suppress(OSError):
        os.fstat(descriptor)
        return True
    return False
