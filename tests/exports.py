"""The rows of exported files, read by independent parsers; and frames that are hard to write."""

import csv
import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from conftest import spans_of
from hypothesis import strategies as st
from pictures import HOSTILE

from tokenvis.output import unescape_cell
from tokenvis.spans.columns import COLUMNS, as_spans
from tokenvis.spans.encoding import encoded

NAMES = [*HOSTILE, "=1+1", "'=1", "''", "+", "@x", "-5", "\ttab", "\rreturn", "a\rb", 'q"uo,te;', "\ufeff", "\u2028", "é"]
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def hostile_spans() -> pd.DataFrame:
    """A frame with every hostile name as an id, a trace, an agent, a location, and in the payload."""
    rows = [
        {"id": name, "trace_id": NAMES[number // 4], "agent_id": name, "location_id": NAMES[-number], "start_time": number}
        | {
            "end_time": number + 5,
            "data": json.dumps({"label": name, name: [name, None, {"": 1.5}], "links": [NAMES[0]], "requested_by": name}),
        }
        for number, name in enumerate(NAMES)
    ]
    return as_spans(pd.DataFrame(rows))


def expected_rows(spans: pd.DataFrame) -> list[dict]:
    """The rows that a file of these spans should contain, by trace and id."""
    frame = as_spans(spans)
    frame = frame.assign(data=encoded(frame))
    return ordered(row | {"data": parsed(row["data"])} for row in frame[list(COLUMNS)].to_dict("records"))


def ordered(rows) -> list[dict]:
    return sorted(rows, key=lambda row: (row["trace_id"], row["id"]))


def parsed(data):
    return json.loads(data) if isinstance(data, str) else None


def exported_rows(path: Path, kind: str) -> list[dict]:
    """The rows that a file contains, by trace and id."""
    rows = {"chrome": in_chrome, "otlp": in_otlp, "parquet": in_parquet, "csv": in_csv, "jsonl": in_jsonl}[kind](path)
    return ordered({column: row[column] for column in COLUMNS} for row in rows)


def in_jsonl(path):
    return [json.loads(line) for line in path.read_bytes().decode().removesuffix("\n").split("\n") if line]


def in_parquet(path):
    return [row | {"data": parsed(row["data"])} for row in pq.read_table(path).to_pylist()]


def in_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        cells = csv.reader(file)
        assert next(cells) == list(COLUMNS)
        rows = [[unescape_cell(cell) for cell in row[:4]] + [int(cell) for cell in row[4:6]] + row[6:] for row in cells]
    return [dict(zip(COLUMNS, row, strict=True)) | {"data": parsed(unescape_cell(row[6]) or None)} for row in rows]


def in_chrome(path):
    return [event["args"]["tokenvis"] for event in json.loads(path.read_bytes())["traceEvents"] if event["ph"] == "X"]


def in_otlp(path):
    rows = []
    for span in otlp_spans(path):
        ours = {pair["key"]: pair["value"] for pair in span["attributes"] if pair["key"].startswith("tokenvis.")}
        row = {key.removeprefix("tokenvis."): value["stringValue"] for key, value in ours.items()}
        times = {"start_time": int(span["startTimeUnixNano"]) / 1_000, "end_time": int(span["endTimeUnixNano"]) / 1_000}
        rows.append({"data": None, **times, **row} | ({"data": parsed(row["data"])} if "data" in row else {}))
    return rows


def otlp_spans(path):
    document = json.loads(path.read_bytes())
    assert set(document) == {"resourceSpans"}
    return [span for group in document["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]]


texts = st.text(max_size=4) | st.sampled_from(NAMES)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
keys = (
    st.sampled_from(
        ["label", "kind", "status", "links", "requested_by", "parent_id", "attributes", "gen_ai.usage.input_tokens"]
    )
    | texts
)


@st.composite
def any_spans(draw) -> pd.DataFrame:
    """Frames with any names and payloads: JSON text in any layout, mappings, or nothing."""
    ids = draw(st.lists(texts, max_size=5, unique=True))
    rows = []
    for span in ids:
        start, end = sorted([draw(st.integers(0, 2**53)), draw(st.integers(0, 2**53))])
        payload = draw(st.none() | st.dictionaries(keys, values, max_size=3))
        text = payload is not None and draw(st.booleans())
        data = json.dumps(payload, indent=draw(st.sampled_from([None, 1]))) if text else payload
        names = {name: draw(texts) for name in ("trace_id", "agent_id", "location_id")}
        rows.append({"id": span, **names, "start_time": start, "end_time": end, "data": data})
    if not rows:
        return spans_of()
    spans = pd.DataFrame(rows).astype({"start_time": "int64", "end_time": "int64"})
    return spans.assign(data=pd.Series([row["data"] for row in rows], dtype=object))
