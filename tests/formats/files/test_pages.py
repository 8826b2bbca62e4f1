import json
from pathlib import Path

import pandas as pd
import pytest
from files import reading_of, write_file
from hypothesis import given
from hypothesis import strategies as st

from tokenvis import ingest
from tokenvis.formats.files.pages import missing_pages, note_pages
from tokenvis.formats.files.reading import ResultPage

TOGETHER = "and ingest all pages together, in one folder."
FOLLOWS = f"Request the next pages until none follows, {TOGETHER}"


def observation(number):
    time = f"2026-03-02T09:00:{number % 60:02d}.000Z"
    return {"id": f"o{number}", "traceId": "t1", "type": "SPAN", "name": "s", "startTime": time, "endTime": time}


def observations(first, count, meta=None):
    """An answer of Langfuse's API with the observations from a number on."""
    return json.dumps({"data": [observation(n) for n in range(first, first + count)]} | ({"meta": meta} if meta else {}))


def phoenix(first, count, following=None):
    """An answer of Phoenix's API."""
    spans = [
        {"id": f"S{n}", "name": "s", "context": {"trace_id": "a" * 32, "span_id": f"{n:016x}"}, "span_kind": "CHAIN",
         "start_time": "2026-03-02T09:00:00+00:00", "end_time": "2026-03-02T09:00:01+00:00"}
        for n in range(first, first + count)
    ]  # fmt: skip
    return json.dumps({"data": spans, "next_cursor": following})


def mlflow(number, **more):
    """An answer to a search of MLflow with one trace."""
    span = {"trace_id": f"{number:032x}", "span_id": "b" * 16, "name": "s", "start_time_unix_nano": 0, "end_time_unix_nano": 9}
    info = {"trace_id": f"tr-{number}", "trace_location": {}}
    return json.dumps({"traces": [{"info": info, "data": {"spans": [span]}}], **more})


def problems_of(*pages):
    """The number of spans, and the problems, of pages that are ingested together."""
    for number, page in enumerate(pages):
        write_file(f"in/{number}.json", page)
    report = ingest("in", store="x.db")
    return report.n_spans, [str(problem) for problem in report.problems]


def numbered(page, n_items=5, limit=2):
    return {"page": page, "limit": limit, "totalItems": n_items, "totalPages": -(-n_items // limit)}


def test_missing_pages_with_numbers_are_told():
    first, second, third = (observations(2 * n, min(2, 5 - 2 * n), numbered(n + 1)) for n in range(3))
    assert problems_of(first, second, third) == (5, [])
    Path("in/1.json").unlink()
    assert problems_of(first) == (
        3,
        [f"0.json: is incomplete: page 1, 3 of 3 (3 of 5 records), 1 page missing. Request the rest, {TOGETHER}"],
    )
    Path("in/2.json").unlink()
    assert problems_of(observations(0, 50, numbered(1, 240, 50))) == (
        50,
        [f"0.json: is incomplete: page 1 of 5 (50 of 240 records), 4 pages missing. Request the rest, {TOGETHER}"],
    )


def test_pages_of_two_queries_do_not_complete_each_other():
    spans, problems = problems_of(observations(0, 2, numbered(1, 4)), observations(7, 2, numbered(2, 3)))
    assert (spans, [problem.split(": ")[2] for problem in problems]) == (
        4,
        [
            f"page 1 of 2 (2 of 4 records), 1 page missing. Request the rest, {TOGETHER}",
            f"page 2 of 2 (2 of 3 records), 1 page missing. Request the rest, {TOGETHER}",
        ],
    )


@pytest.mark.laws
@given(st.integers(1, 9), st.sets(st.integers(1, 9)))
def test_exactly_the_missing_numbers_are_counted(n_pages, given_pages):
    present = given_pages & set(range(1, n_pages + 1))
    reading = reading_of("x.json", "{}")
    reading.pages = [ResultPage(number, n_pages, 50, 10) for number in present]
    told = [reason for _, reason in missing_pages([reading])]
    n_missing = n_pages - len(present)
    assert len(told) == bool(present and n_missing)
    assert all(f" {n_missing} page" in reason for reason in told)


@pytest.mark.parametrize(
    ("page", "cursor"),
    [
        (observations(0, 3, {"cursor": "abc"}), " with the cursor 'abc'"),
        (phoenix(0, 3, "S3"), " with the cursor 'S3'"),
        (mlflow(1, next_page_token="tok"), " with the cursor 'tok'"),
        (observations(0, 3)[:-1] + ', "has_more": true}', ""),
        (phoenix(0, 3, {"id": 5}), ""),
        (observations(0, 3)[:-1] + ', "next": [1]}', ""),
        (observations(0, 3)[:-1] + ', "cursors": {"next": "n", "prev": null}}', " with the cursor 'n'"),
        (observations(0, 3)[:-1] + ', "pagination": {"nextPageToken": "p"}}', " with the cursor 'p'"),
        (observations(0, 3)[:-1] + ', "links": {"next": "/page/2"}}', " with the cursor '/page/2'"),
    ],
)
def test_a_next_page_that_is_not_there_is_told(page, cursor):
    [problem] = problems_of(page)[1]
    assert problem == f"0.json: is incomplete: it says that more records follow{cursor}. {FOLLOWS}"


def test_pages_with_cursors_are_complete_with_the_last_one():
    assert problems_of(observations(0, 2, {"cursor": "a"}), observations(2, 1, {"cursor": None})) == (3, [])
    assert problems_of(mlflow(1, next_page_token="t"), mlflow(2, next_page_token=None)) == (2, [])
    assert problems_of(phoenix(0, 2, "S2"), phoenix(2, 2, "S4"), phoenix(4, 1)) == (5, [])
    Path("in/1.json").unlink()
    assert problems_of(phoenix(0, 2, "S2"))[1] == [
        f"0.json: is incomplete: it says that more records follow with the cursor 'S2'. {FOLLOWS}"
    ]


def test_an_empty_last_page_is_an_end():
    assert problems_of(observations(0, 2, {"cursor": "a"}), '{"data": [], "meta": {}}') == (2, [])
    assert problems_of(phoenix(0, 2), '{"data": [], "next_cursor": null}') == (2, [])


def test_the_pages_of_one_file():
    pages = [observations(0, 2, numbered(1, 3)), observations(2, 1, numbered(2, 3))]
    for text in ("\n".join(pages), f"[{', '.join(pages)}]", json.dumps([json.loads(page) for page in pages], indent=1)):
        write_file("x.json", text)
        report = ingest("x.json", store="x.db")
        assert (report.n_spans, report.problems) == (3, [])


@pytest.mark.parametrize("count", [49, 50, 51])
def test_as_many_records_as_a_client_returns_by_default_are_told(count):
    rows = [observation(number) for number in range(count)]
    told = [] if count != 50 else [
        "x: has exactly 50 records, the default limit of Langfuse's API; more may exist. If so, request them with a "
        "higher limit, or page by page."
    ]  # fmt: skip
    write_file("x", json.dumps(rows))
    assert [str(problem) for problem in ingest("x", store="x.db").problems] == told
    problems = ingest(pd.DataFrame(rows), format="langfuse", store="x.db").problems
    assert [str(problem).replace("the DataFrame", "x") for problem in problems] == told
    write_file("in/0.json", json.dumps(rows))
    write_file("in/1.json", json.dumps([observation(99)]))
    assert ingest("in", store="x.db").problems == []


def test_a_document_without_an_envelope_says_nothing():
    reading = reading_of("x.json", '{"data": [{"next": "x", "meta": {"page": 1, "totalPages": 2}}]}')
    note_pages(reading)
    assert reading.pages == []
    reading = reading_of("y.json", '{"meta": 5, "page": "1", "totalPages": [], "next": "", "data": []}')
    note_pages(reading)
    assert list(missing_pages([reading])) == []
