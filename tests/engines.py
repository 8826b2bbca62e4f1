"""Traces for the tests of engines: many small ones, of all kinds that the laws know, as tables of engines and as files."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from conftest import ROOT, names_of
from fleets import alone, plain
from hostile import SHORT
from hypothesis import Phase, given, settings
from pandas.testing import assert_frame_equal
from test_docs import blocks
from test_questions import QUESTIONS
from waiting import waiting_frames

from tokenvis.fleet.adapter import Mapper
from tokenvis.spans.columns import COLUMNS

PAGE = ROOT / "docs" / "fleet.md"
HOSTILE = list(zip(SHORT[::3], SHORT[1::3], SHORT[2::3], strict=False))  # names of a trace, an agent, a location


@cache
def made_spans() -> pd.DataFrame:
    """Spans of many traces with tokens, links, waits and hostile names; parents are in ``data`` and in their column."""
    frames: list[pd.DataFrame] = []

    @settings(max_examples=len(HOSTILE), derandomize=True, database=None, phases=[Phase.generate])
    @given(waiting_frames(n_traces=3))
    def collect(spans: pd.DataFrame) -> None:
        frames.append(spans)

    collect()
    return pd.concat(map(with_hostile_names, frames, HOSTILE), ignore_index=True)


def with_hostile_names(spans: pd.DataFrame, names: tuple[str, str, str]) -> pd.DataFrame:
    """The spans with these names of the traces, an agent and a location, and with the parents in ``data`` too."""
    trace, agent, location = names
    texts = {column: spans[column].astype("str") for column in ("trace_id", "agent_id", "location_id")}
    payloads = [
        {**({} if pd.isna(data) else json.loads(data)), **({} if pd.isna(parent) else {"parent_id": parent})}
        for data, parent in zip(spans["data"], spans["parent_id"], strict=True)
    ]
    return spans.assign(
        trace_id=names_of(list(trace + texts["trace_id"])),
        agent_id=names_of(list(texts["agent_id"].replace("eve", agent))),
        location_id=names_of(list(texts["location_id"].replace("lab", location))),
        data=pd.array([json.dumps(payload) if payload else None for payload in payloads], dtype="str"),
    )


def rows_of_engines(*, parents: bool = False) -> pa.Table:
    """The spans as a table of texts and integers, in random order; also with the number of spans of each trace."""
    spans = made_spans().sample(frac=1, random_state=0)
    columns = {name: pa.array(spans[name].astype("str"), pa.string()) for name in COLUMNS if not name.endswith("_time")}
    columns |= {name: pa.array(spans[name], pa.int64()) for name in ("start_time", "end_time")}
    if parents:
        columns["parent_id"] = pa.array(spans["parent_id"], pa.string())
    return pa.table(columns)


def with_sizes(rows: pa.Table) -> pa.Table:
    """The rows with the number of spans of their trace, as the files of a fleet have it."""
    trace_ids = rows["trace_id"].to_pandas()
    return rows.append_column("n_spans", pa.array(trace_ids.map(trace_ids.value_counts()).to_numpy(np.int64)))


def write_folder(n_files: int = 3) -> list[Path]:
    """Write a folder ``spans`` of Parquet files, with whole traces in each row group."""
    rows = with_sizes(rows_of_engines()).sort_by("trace_id")
    trace_ids = sorted(set(rows["trace_id"].to_pylist()))
    Path("spans").mkdir()
    files = [Path("spans", f"spans-{number}.parquet") for number in range(n_files)]
    for number, file in enumerate(files):
        mine = [trace_ids[first : first + 5] for first in range(number * 5, len(trace_ids), n_files * 5)]
        with pq.ParquetWriter(file, rows.schema) as writer:
            for group in mine:
                writer.write_table(rows.filter(pc.is_in(rows["trace_id"], pa.array(group))))
    return files


def check_answers(name: str, mapper: Mapper, answers: pa.Table) -> None:
    """Assert that the answers of an engine to a question are those to each trace alone."""
    found = mapper.answer_schema.frame(answers.cast(mapper.arrow_schema).to_batches())
    assert_frame_equal(plain(found), expected_answers(name), check_dtype="rollup" not in name)


@cache
def expected_answers(name: str) -> pd.DataFrame:
    """The answers to each trace alone."""
    return alone(QUESTIONS[name], made_spans())


def recipe(engine: str) -> str:
    """The code of a recipe in docs/fleet.md."""
    return "\n".join(blocks(PAGE, f"python {engine}"))
