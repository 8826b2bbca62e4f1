from files import source_of, write_file

from tokenvis.formats.files.sources import Source


def test_progress_counts_each_byte_once():
    source, seen = source_of(write_file("x", "12345")), []
    source.progress = seen.append
    for position in (2, 1, 5, 5, 3):
        source.report_position(position)
    assert seen == [2, 3]


def test_a_file_beside_another_in_an_archive_keeps_its_folder():
    write_file("in/a.jsonl", "")
    beside = write_file("in/b.jsonl", "")
    assert Source(beside, "x.zip/in/a.jsonl", "o").sibling(beside).name == "x.zip/in/b.jsonl"
    assert source_of("in/a.jsonl").sibling(beside).name == "b.jsonl"
