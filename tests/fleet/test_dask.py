"""Dask: a mapper over partitions of whole traces; the answers are those to each trace alone."""

from pathlib import Path

import pandas as pd
import pytest
from engines import expected_answers, recipe, rows_of_engines, write_folder
from fleets import plain
from pandas.testing import assert_frame_equal
from test_questions import QUESTIONS

import tokenvis as tv

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def by_trace():
    """All rows, in partitions of whole traces: Dask moves them there."""
    import dask.dataframe as dd

    rows = dd.from_pandas(rows_of_engines().to_pandas(), npartitions=5)
    return rows.shuffle("trace_id", npartitions=4).persist(scheduler="sync")


def check_frame(name: str, answers: pd.DataFrame) -> None:
    found = plain(answers.sort_values("trace_id", key=lambda ids: ids.astype("str"), kind="stable"))
    assert_frame_equal(found, expected_answers(name), check_dtype="rollup" not in name)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answers_of_dask_are_those_to_each_trace_alone(by_trace, name):
    mapper = tv.fleet.mapper(QUESTIONS[name])
    check_frame(name, by_trace.map_partitions(mapper.frame, meta=mapper.meta).compute(scheduler="sync"))


def test_the_recipe_answers_a_folder_on_several_processes():
    from distributed import Client

    write_folder()
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(Path.cwd())):
        scope = {}
        exec(recipe("dask"), scope)
        check_frame("summary", scope["answers"])
