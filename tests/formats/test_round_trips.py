"""Every frame is read back as it was, in every format, unless `export` refuses it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from exports import NAMES, keys, texts, values
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenvis import BadSpan, Store, export, ingest, load_spans
from tokenvis.formats.registry import WRITERS
from tokenvis.spans.columns import COLUMNS, YEAR_10000
from tokenvis.spans.encoding import encoded

OWN_KEYS = ["label", "kind", "status", "parent_id", "links", "requested_by", "waits_for", "detached", "estimated", "task"]
SOURCE_KEYS = ["gen_ai.usage.prompt_tokens", "usage", "tokenvis", "tokenvis.id", "tokenvis.data", "id", "start_time", "data"]
SCALARS = [*(10**19, -(10**19), 2**63, 2**64, 10**308, -(10**400), 10**4_299), *(1e-320, 5e-324, 1e308, -0.0, 0.1), "NaN", "OK"]
EDGES = [-(2**63), -(2**63) + 1, -YEAR_10000, -1, 0, 1, 2**53 + 1, YEAR_10000 - 1, YEAR_10000, 2**62, 2**63 - 1]
LOCATIONS = ["tool:AskUserQuestion", "tool:ask_user", "elicitation/create"]
LAYOUTS = [{}, {"indent": 2}, {"separators": (" ,\r", "\t:\n")}, {"ensure_ascii": False}]
RAW = ['{"a": 1, "a": {"b": 2}}', '\n{ }', '{"e": 1E400, "half": "\\ud83d", "zero": -0}', '{"n":%s}' % ("1" * 4_300)]
nested = st.integers(1, 899).map(lambda levels: '{"a":' + "[" * levels + "]" * levels + "}")


@st.composite
def json_texts(draw) -> str:
    """A JSON object in any layout."""
    names = st.sampled_from(OWN_KEYS + SOURCE_KEYS) | keys
    payload = draw(st.dictionaries(names, st.sampled_from(SCALARS) | values, max_size=4))
    return json.dumps(payload, **draw(st.sampled_from(LAYOUTS)))


@st.composite
def frames(draw) -> pd.DataFrame:
    """Frames with names, times and data of every kind; ids are unique, as in a store."""
    names = st.sampled_from(["", " ", *LOCATIONS, *NAMES]) | texts
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    times = st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10)
    bounds = [sorted([draw(times), draw(times)]) for _ in ids]
    data = st.none() | st.just("{}") | json_texts() | st.sampled_from(RAW) | nested
    traces = draw(st.lists(names.filter(bool), min_size=1, max_size=2))
    columns = {
        "id": ids,
        "trace_id": [draw(st.sampled_from(traces)) for _ in ids],
        "agent_id": pd.Categorical([draw(names) for _ in ids]).add_categories(["an agent without spans"]),
        "location_id": [draw(names) for _ in ids],
        "start_time": np.array([start for start, _ in bounds], dtype=np.int64),
        "end_time": np.array([end for _, end in bounds], dtype=np.int64),
        "data": pd.Series([draw(data) for _ in ids], dtype=object),
        "parent_id": pd.Series([draw(st.none() | st.sampled_from([*ids, "unknown"])) for _ in ids], dtype=object),
    }
    return pd.DataFrame(columns).drop(columns=draw(st.sampled_from([[], ["parent_id"], ["data"]])))


def rows_of(spans: pd.DataFrame) -> list[tuple]:
    """The rows of a loaded frame, their data as JSON values; -0.0 differs from 0."""
    shown = spans.reindex(columns=[*COLUMNS, "parent_id"]).astype(object)
    return [
        tuple(repr(json.loads(cell)) if name == "data" and isinstance(cell, str) else str(cell) for name, cell in row.items())
        for row in shown.to_dict("records")
    ]


def stored(spans: pd.DataFrame, database: str) -> pd.DataFrame:
    """The frame as the store returns it."""
    Path(database).unlink(missing_ok=True)
    store = Store(database)
    for trace, part in spans.assign(trace_id=spans["trace_id"].astype("str")).groupby("trace_id"):
        store.write_trace(trace, part)
    return load_spans(store=store)


def read_back(path: Path, database: str) -> pd.DataFrame:
    Path(database).unlink(missing_ok=True)
    ingest(path, store=database)
    return load_spans(store=database)


@pytest.mark.laws
@settings(max_examples=max(settings.default.max_examples // 2, 1))  # each is stored, written and read in every format
@given(spans=frames())
def test_a_frame_is_read_back_as_it_was_or_refused(spans):
    try:
        before = stored(spans, "before.db")
    except BadSpan:
        before = None
    for kind in WRITERS:
        try:
            path = export(spans, f"made.{kind}", format=kind)
        except BadSpan as error:
            assert before is None or is_refused(spans, kind), (kind, error)
            continue
        assert before is not None
        assert rows_of(read_back(path, "after.db")) == rows_of(before), kind
        assert export(spans, f"again.{kind}", format=kind).read_bytes() == path.read_bytes()


def is_refused(spans: pd.DataFrame, kind: str) -> bool:
    """Whether the page says that this format cannot carry the times of these spans."""
    lowest, highest = int(spans["start_time"].min()), int(spans["end_time"].max())
    return {"otlp": lowest < 0 or highest > (2**64 - 1) // 1_000, "csv": not is_dated(lowest, highest)}.get(
        kind.replace("jsonl", "csv"), False
    )


def is_dated(lowest: int, highest: int) -> bool:
    return -YEAR_10000 < lowest and highest < YEAR_10000
