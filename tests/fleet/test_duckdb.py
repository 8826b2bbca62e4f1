"""DuckDB: a mapper over the batches of a query; the answers are those to each trace alone."""

import pyarrow as pa
import pytest
from engines import check_answers, recipe, rows_of_engines, write_folder
from test_questions import QUESTIONS

import tokenvis as tv

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def by_trace():
    """A query of all rows, sorted by trace."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("rows", rows_of_engines())
        yield connection.sql("FROM rows ORDER BY trace_id")


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answers_of_duckdb_are_those_to_each_trace_alone(by_trace, name):
    mapper = tv.fleet.mapper(QUESTIONS[name], batch_spans=50)
    answers = pa.Table.from_batches(mapper(by_trace.to_arrow_reader(20)), mapper.arrow_schema)
    check_answers(name, mapper, answers)


def test_rows_in_any_order_are_an_error_and_never_two_answers():
    import duckdb

    rows = rows_of_engines()  # noqa: F841  (DuckDB finds it by its name)
    mapper = tv.fleet.mapper(tv.summary)
    with pytest.raises(tv.FleetError, match=r"^The rows of trace .* are apart: they come again after those of trace"):
        list(mapper(duckdb.sql("FROM rows").to_arrow_reader()))


def test_the_recipe_answers_a_folder():
    write_folder()
    scope = {}
    exec(recipe("duckdb"), scope)
    mapper = tv.fleet.mapper(tv.summary)
    check_answers("summary", mapper, scope["answers"])
    assert (
        scope["slowest"].fetchall()
        == sorted(
            zip(*scope["answers"].select(["trace_id", "wall_us"]).to_pydict().values(), strict=True),
            key=lambda row: (-row[1], row[0]),
        )[:3]
    )
