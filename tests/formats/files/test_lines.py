from pathlib import Path

import pytest
from files import problems, reading_of, source_of, written

from tokenvis.formats.files.lines import Changed, Place, Replaced, json_lines
from tokenvis.formats.files.reading import Reading


def lines_of(text):
    reading = reading_of("x.jsonl", text)
    return list(json_lines(reading)), problems(reading)


def test_each_line_with_its_number():
    assert lines_of(b'{"a": 1}\n\n  {"b": 2}\r\n{"c": 3}') == ([(1, {"a": 1}), (3, {"b": 2}), (4, {"c": 3})], [])


def test_an_empty_file_has_no_lines():
    assert lines_of(b"") == ([], [])
    assert lines_of(b"\xef\xbb\xbf\n \n") == ([], [])


def test_a_line_that_is_no_object_is_a_problem_and_the_rest_goes_on():
    assert lines_of(b'5\n{"a": 1}\n"x\n{"b": 2') == (
        [(2, {"a": 1})],
        [
            "x.jsonl, line 1: not an object, but int.",
            "x.jsonl, line 3: not JSON from character 3 on.",
            "x.jsonl, line 4: not JSON from character 8 on.",
        ],
    )


def added(place, *pieces):
    """The lines, by number, that reading finds after each piece that a file grows by."""
    found, source = [], source_of(written("x.jsonl", b""))
    for piece in pieces:
        with Path("x.jsonl").open("ab") as file:
            file.write(piece)
        found.append(list(json_lines(Reading(source), place=place, growing=True)))
    return found


def test_a_file_that_grows_is_read_on_from_its_place():
    place = Place()
    found = added(place, b'{"a": 1}\n\n{"b"', b": 2", b'}\r\n{"c": 3}\n5', b"\n")
    assert found == [[(1, {"a": 1})], [], [(3, {"b": 2}), (4, {"c": 3})], []]
    assert (place.number, place.offset) == (5, 31)


def test_an_object_that_is_closed_needs_no_line_break_until_more_follows_it():
    place = Place()
    assert added(place, b'{"a": 1}', b" ", b"\n", b'{"b": NaN}') == [[(1, {"a": 1})], [], [], [(2, {"b": None})]]
    with Path("x.jsonl").open("ab") as file:
        file.write(b"}")
    with pytest.raises(Changed):
        list(json_lines(reading_of("x.jsonl"), place=place, growing=True))


@pytest.mark.parametrize("change", ["cut", "written over", "replaced"])
def test_a_file_that_is_another_one_is_noticed(change):
    place = Place()
    added(place, b'{"a": 1}\n{"b": 2}\n')
    if change == "replaced":
        written("y.jsonl", b'{"a": 1}\n{"b": 2}\n{"c": 3}\n').replace("x.jsonl")
    else:
        with Path("x.jsonl").open("r+b") as file:
            file.truncate(0)
            file.write(b'{"a": 1}\n' if change == "cut" else b'{"a": 1}\n{"b": 3}\n{"c": 3}\n')
    with pytest.raises(Replaced):
        list(json_lines(reading_of("x.jsonl"), place=place, growing=True))
