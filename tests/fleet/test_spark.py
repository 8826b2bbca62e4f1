"""Spark in local mode: several partitions, small batches, shuffled rows; the answers are those to each trace alone."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from engines import check_answers, made_spans, recipe, rows_of_engines, with_sizes, write_folder
from test_questions import QUESTIONS

import tokenvis as tv

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),  # PySpark's own
]
OPTIONS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "OFF",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "7",
    "spark.sql.files.maxPartitionBytes": "4000",  # so that Spark splits each file
    "spark.sql.files.openCostInBytes": "0",
    "spark.sql.shuffle.partitions": "3",
    "spark.ui.enabled": "false",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where relative paths of Spark lead: the folder in which its virtual machine starts."""
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="module")
def spark(folder: Path) -> Iterator["SparkSession"]:  # noqa: F821
    from pyspark.sql import SparkSession

    assert shutil.which("java"), "Java is not installed: apt-get install default-jre-headless"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        builder = SparkSession.builder.master("local[2]")
        for option, value in OPTIONS.items():
            builder = builder.config(option, value)
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="module")
def rows(spark):
    """The spans of all traces, shuffled over four partitions."""
    return spark.createDataFrame(rows_of_engines()).repartition(4).cache()


@pytest.fixture(scope="module")
def by_trace(rows):
    return rows.repartition("trace_id").sortWithinPartitions("trace_id").cache()


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_answers_of_spark_are_those_to_each_trace_alone(by_trace, name):
    mapper = tv.fleet.mapper(QUESTIONS[name])
    check_answers(name, mapper, by_trace.mapInArrow(mapper, schema=mapper.schema).toArrow())


def test_parents_may_be_a_column(spark):
    by_trace = spark.createDataFrame(rows_of_engines(parents=True)).repartition("trace_id").sortWithinPartitions("trace_id")
    mapper = tv.fleet.mapper(tv.time_spent, batch_spans=5)
    check_answers("time_spent", mapper, by_trace.mapInArrow(mapper, schema=mapper.schema).toArrow())


def test_rows_in_any_order_are_an_error_and_never_two_answers(spark, rows):
    from pyspark.errors import PythonException

    mapper = tv.fleet.mapper(tv.summary)
    with pytest.raises(PythonException, match=r"FleetError: The rows of trace .* are apart: they come again after those of"):
        rows.mapInArrow(mapper, schema=mapper.schema).collect()
    cut = spark.createDataFrame(with_sizes(rows_of_engines())).repartition(4).sortWithinPartitions("trace_id")
    with pytest.raises(PythonException, match=r"FleetError: .* of its .* spans here: it was cut\. Sort the rows by trace_id"):
        cut.mapInArrow(mapper, schema=mapper.schema).collect()


def test_bad_traces_are_rows_with_their_error(spark):
    rows = rows_of_engines()
    bad = rows["trace_id"][0].as_py()
    ends = pc.if_else(pc.equal(rows["trace_id"], bad), pc.subtract(rows["start_time"], 1), rows["end_time"])
    rows = rows.set_column(rows.schema.get_field_index("end_time"), "end_time", ends)
    mapper = tv.fleet.mapper(tv.summary, errors="return")
    by_trace = spark.createDataFrame(rows).repartition("trace_id").sortWithinPartitions("trace_id")
    answers = by_trace.mapInArrow(mapper, schema=mapper.schema).toArrow().to_pylist()
    assert {row["trace_id"]: row["error"] for row in answers if row["error"]} == {bad: "BadSpan"}
    assert len(answers) == made_spans()["trace_id"].nunique()


def test_the_recipe_answers_a_folder_whose_files_spark_splits(spark, folder, monkeypatch):
    monkeypatch.chdir(folder)
    write_folder()
    assert spark.read.parquet("spans").rdd.getNumPartitions() > 3
    scope = {}
    exec(recipe("spark"), scope)
    check_answers("summary", tv.fleet.mapper(tv.summary), pq.read_table("summary"))
    check_answers("usage", tv.fleet.mapper(tv.usage), scope["costs"].toArrow())
