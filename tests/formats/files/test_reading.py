from files import problem_texts, reading_of

from tokenvis.conventions.span import SpanRead, optional_value, required_value
from tokenvis.formats.files.reading import MAX_PROBLEMS, spans_of_records


def test_a_problem_names_its_file_and_its_line_if_it_has_one():
    reading = reading_of("in/x.jsonl", "")
    reading.add_problem(None, "cannot be read")
    reading.add_problem(3, "'id' is missing")
    reading.record_noun = "item"
    reading.add_problem(4, "'id' is missing")
    assert problem_texts(reading) == [
        "x.jsonl: cannot be read.",
        "x.jsonl, line 3: 'id' is missing.",
        "x.jsonl, item 4: 'id' is missing.",
    ]


def test_problems_beyond_the_limit_are_counted():
    reading = reading_of("x.jsonl", "")
    for line in range(MAX_PROBLEMS + 5):
        reading.add_problem(line, "bad")
    assert len(reading.problems) == MAX_PROBLEMS
    assert reading.skipped == {"problems beyond the first 10,000": 5}


def test_the_earliest_span_names_its_trace_unless_the_trace_has_its_own_name():
    reading = reading_of("x.jsonl", "")
    for name, start in (("later", 5), ("first", 1), ("", 0)):
        reading.name_trace("t", name, start)
    assert reading.names == {"t": (1, "first")}
    reading.name_trace("t", "its own")
    reading.name_trace("t", "earliest", -(2**62))
    assert reading.names["t"][1] == "its own"
    reading.name_trace("u", "half \ud83d")
    assert reading.names["u"][1] == "half \ufffd"


def test_an_unusable_record_is_a_problem_and_reading_continues():
    def make(record):
        yield SpanRead(
            "t", required_value(record, "id", str), optional_value(record, "start", int) or 0, 5, None, "desk", "work", {}
        )

    reading = reading_of("x.jsonl", "")
    records = [(1, {"id": "a"}), (2, {}), (3, {"id": "b", "start": "x"}), (4, {"id": "", "start": 1}), (5, {"id": "c"})]
    assert [(span.id, span.line) for span in spans_of_records(records, reading, make)] == [("a", 1), ("c", 5)]
    assert problem_texts(reading) == [
        "x.jsonl, line 2: 'id' is missing.",
        "x.jsonl, line 3: invalid value ('start' is of type str).",
        "x.jsonl, line 4: 'id' is missing.",
    ]
