from pathlib import Path

import pytest
from files import problem_texts, reading_of, source_of, write_file

from tokenvis.formats.files.lines import FileReplaced, FilesChanged, ReadPosition, json_lines
from tokenvis.formats.files.reading import Reading


def lines_of(text):
    reading = reading_of("x.jsonl", text)
    return list(json_lines(reading)), problem_texts(reading)


def test_each_line_with_its_number():
    assert lines_of(b'{"a": 1}\n\n  {"b": 2}\r\n{"c": 3}') == ([(1, {"a": 1}), (3, {"b": 2}), (4, {"c": 3})], [])


def test_an_empty_file_has_no_lines():
    assert lines_of(b"") == ([], [])
    assert lines_of(b"\xef\xbb\xbf\n \n") == ([], [])


def test_a_line_that_is_not_an_object_is_a_problem_and_reading_continues():
    assert lines_of(b'5\n{"a": 1}\n"x\n{"b": 2') == (
        [(2, {"a": 1})],
        [
            "x.jsonl, line 1: is of type int, not an object.",
            "x.jsonl, line 3: not JSON from character 1 on.",
            "x.jsonl, line 4: not JSON from character 8 on.",
        ],
    )


def test_beyond_many_problems_lines_that_are_no_objects_are_only_counted(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.files.reading.MAX_PROBLEMS", 2)
    source = source_of(write_file("x.jsonl", b'x\n[1\nNaN\n\n{"a": NaN}\n"x\n{"b": 2}\n'))
    found = Reading(source)
    assert list(json_lines(found)) == [(5, {"a": None}), (7, {"b": 2})]
    assert problem_texts(found) == [
        "x.jsonl, line 1: not JSON from character 1 on.",
        "x.jsonl, line 2: not JSON from character 3 on.",
    ]
    assert found.skipped == {"problems beyond the first 2": 3}


def added(position, *pieces):
    """The numbered lines that are read after each piece is appended to a file."""
    found, source = [], source_of(write_file("x.jsonl", b""))
    for piece in pieces:
        with Path("x.jsonl").open("ab") as file:
            file.write(piece)
        found.append(list(json_lines(Reading(source), position=position, growing=True)))
    return found


def test_a_growing_file_is_read_on_from_its_position():
    position = ReadPosition()
    found = added(position, b'{"a": 1}\n\n{"b"', b": 2", b'}\r\n{"c": 3}\n5', b"\n")
    assert found == [[(1, {"a": 1})], [], [(3, {"b": 2}), (4, {"c": 3})], []]
    assert (position.n_lines, position.offset) == (5, 31)


def test_a_closed_object_needs_no_line_break_until_more_follows():
    position = ReadPosition()
    assert added(position, b'{"a": 1}', b" ", b"\n", b'{"b": NaN}') == [[(1, {"a": 1})], [], [], [(2, {"b": None})]]
    with Path("x.jsonl").open("ab") as file:
        file.write(b"}")
    with pytest.raises(FilesChanged):
        list(json_lines(reading_of("x.jsonl"), position=position, growing=True))


@pytest.mark.parametrize("change", ["cut", "written over", "replaced"])
def test_a_changed_file_is_detected(change):
    position = ReadPosition()
    added(position, b'{"a": 1}\n{"b": 2}\n')
    if change == "replaced":
        write_file("y.jsonl", b'{"a": 1}\n{"b": 2}\n{"c": 3}\n').replace("x.jsonl")
    else:
        with Path("x.jsonl").open("r+b") as file:
            file.truncate(0)
            file.write(b'{"a": 1}\n' if change == "cut" else b'{"a": 1}\n{"b": 3}\n{"c": 3}\n')
    with pytest.raises(FileReplaced):
        list(json_lines(reading_of("x.jsonl"), position=position, growing=True))
