from files import problems, reading_of

from tokenvis.conventions.span import SpanRead, given, needed
from tokenvis.formats.files.reading import MOST_PROBLEMS, convert


def test_a_problem_names_its_file_and_its_line_where_there_is_one():
    reading = reading_of("in/x.jsonl", "")
    reading.problem(None, "cannot be read")
    reading.problem(3, "no 'id'")
    reading.unit = "item"
    reading.problem(4, "no 'id'")
    assert problems(reading) == ["x.jsonl: cannot be read.", "x.jsonl, line 3: no 'id'.", "x.jsonl, item 4: no 'id'."]


def test_problems_without_end_are_counted():
    reading = reading_of("x.jsonl", "")
    for line in range(MOST_PROBLEMS + 5):
        reading.problem(line, "bad")
    assert len(reading.problems) == MOST_PROBLEMS
    assert reading.skipped == {"problems beyond the first 10,000": 5}


def test_the_earliest_span_names_its_trace_unless_it_has_a_name_of_its_own():
    reading = reading_of("x.jsonl", "")
    for name, start in (("later", 5), ("first", 1), ("", 0)):
        reading.name_trace("t", name, start)
    assert reading.names == {"t": (1, "first")}
    reading.name_trace("t", "its own")
    reading.name_trace("t", "earliest", -(2**62))
    assert reading.names["t"][1] == "its own"


def test_a_record_that_cannot_be_used_is_a_problem_and_the_rest_goes_on():
    def make(record):
        yield SpanRead("t", needed(record, "id", str), given(record, "start", int) or 0, 5, None, "desk", "work", {})

    reading = reading_of("x.jsonl", "")
    records = [(1, {"id": "a"}), (2, {}), (3, {"id": "b", "start": "x"}), (4, {"id": "", "start": 1}), (5, {"id": "c"})]
    assert [(span.id, span.line) for span in convert(records, reading, make)] == [("a", 1), ("c", 5)]
    assert problems(reading) == [
        "x.jsonl, line 2: no 'id'.",
        "x.jsonl, line 3: not as it should be ('start' is str).",
        "x.jsonl, line 4: no 'id'.",
    ]
