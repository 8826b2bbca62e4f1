import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from conftest import spans_of, with_data
from exports import expected_rows, hostile_spans, ordered
from pandas.testing import assert_frame_equal

import tokenvis as tv
from tokenvis.formats.table.writer import write_csv, write_jsonl, write_parquet
from tokenvis.output import unescape_cell
from tokenvis.spans.columns import COLUMNS, as_spans

SPANS = with_data(spans_of("ann -3 10 desk", "bob 5 5 lab"), a={"label": "é", "cost": 0.5})
NESTED = spans_of("ann 0 10 desk", "ann 5 6 lab", parents={"b": "a"})


def written(write, spans):
    file = io.BytesIO()
    write(spans, file)
    assert not file.closed
    return file.getvalue()


def test_json_lines():
    assert written(write_jsonl, SPANS).decode() == (
        '{"id":"a","trace_id":"t","agent_id":"ann","location_id":"desk","start_time":-3,"end_time":10,'
        '"data":{"label": "\\u00e9", "cost": 0.5}}\n'
        '{"id":"b","trace_id":"t","agent_id":"bob","location_id":"lab","start_time":5,"end_time":5,"data":null}\n'
    )


def test_json_lines_contain_the_parent_if_the_frame_does():
    lines = [json.loads(line) for line in written(write_jsonl, NESTED).splitlines()]
    assert [line["parent_id"] for line in lines] == [None, "a"]
    assert [line["data"] for line in lines] == [None, {"parent_id": "a"}]


def test_a_payload_of_several_lines_is_one_line():
    spans = spans_of("ann 0 5 desk").assign(data='\r\n{\n "a": "x\\ny",\r "n": 123456789012345678901234567890.50}\n')
    [line] = written(write_jsonl, spans).splitlines()
    assert b'"n": 123456789012345678901234567890.50' in line
    assert json.loads(line)["data"]["a"] == "x\ny"


def test_csv():
    assert written(write_csv, SPANS).decode() == (
        "id,trace_id,agent_id,location_id,start_time,end_time,data\r\n"
        'a,t,ann,desk,-3,10,"{""label"": ""\\u00e9"", ""cost"": 0.5}"\r\n'
        "b,t,bob,lab,5,5,\r\n"
    )


def test_a_parent_is_in_the_data_of_a_csv_file():
    assert written(write_csv, NESTED).decode().splitlines()[1:] == [
        "a,t,ann,desk,0,10,",
        'b,t,ann,lab,5,6,"{""parent_id"":""a""}"',
    ]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("'=1", "''=1"),
        ("-5", "'-5"),
        ("@sum", "'@sum"),
        ("\tx", "'\tx"),
        ("\rx", '"\'\rx"'),
        ("a\rb", '"a\rb"'),
        ("a\nb", '"a\nb"'),
        ('a"b', '"a""b"'),
        ("a,b", '"a,b"'),
        (" a ", " a "),
        ("\0", "'\0"),
        ("😀", "😀"),
    ],
)
def test_a_name_as_a_cell(name, cell):
    spans = as_spans(spans_of("ann 0 5 desk").assign(agent_id=name))
    assert written(write_csv, spans).decode().split("\r\n", 1)[1] == f"a,t,{cell},desk,0,5,\r\n"


def test_no_cell_of_text_is_a_formula_to_a_spreadsheet():
    spans = hostile_spans()
    table = pa.csv.read_csv(
        io.BytesIO(written(write_csv, spans)),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False),
    ).to_pylist()
    texts = ("id", "trace_id", "agent_id", "location_id", "data")
    assert not [row for row in table if any(row[name][:1] in {*"=+-@\t\r"} for name in texts)]
    rows = [{name: unescape_cell(cell) for name, cell in row.items()} for row in table]
    times = [row | {name: int(row[name]) for name in ("start_time", "end_time")} for row in rows]
    assert ordered(row | {"data": json.loads(row["data"])} for row in times) == expected_rows(spans)


def test_parquet_has_the_types_of_a_frame():
    schema = pq.read_schema(io.BytesIO(written(write_parquet, NESTED)))
    name = pa.dictionary(pa.int32(), pa.string())
    types = dict(zip(schema.names, schema.types, strict=True))
    assert types == {
        "id": pa.large_string(),
        **dict.fromkeys(["trace_id", "agent_id", "location_id"], name),
        **dict.fromkeys(["start_time", "end_time"], pa.int64()),
        "data": pa.large_string(),
        "parent_id": pa.large_string(),
    }


def test_pandas_reads_parquet_as_the_original_frame():
    for spans in (SPANS, hostile_spans(), SPANS[:0]):
        frame = pd.read_parquet(io.BytesIO(written(write_parquet, spans)))
        assert_frame_equal(as_spans(frame), as_spans(spans))


def test_parquet_is_compressed_with_zstd_in_a_row_group_for_each_chunk(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.chunks.PAYLOADS_PER_CHUNK", 2)
    spans = as_spans(spans_of(*(f"agent{number} {number} {number} desk" for number in range(5))))
    file = pq.ParquetFile(io.BytesIO(written(write_parquet, spans)))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 2, 1]
    group = file.metadata.row_group(0)
    assert {group.column(number).compression for number in range(group.num_columns)} == {"ZSTD"}
    assert file.read()["agent_id"].to_pylist() == [f"agent{number}" for number in range(5)]
    assert len(file.read_row_group(0)["agent_id"].chunk(0).dictionary) == 2


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_parquet])
def test_times_of_63_bits_are_kept(write):
    spans = spans_of("ann 0 1 desk").assign(start_time=np.int64(-(2**63)), end_time=np.int64(2**63 - 1))
    raw = written(write, spans)
    if write is write_parquet:
        raw = str(pq.read_table(io.BytesIO(raw)).to_pylist()).encode()
    assert b"-9223372036854775808" in raw
    assert b"9223372036854775807" in raw


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(("content", "names"), [("full", {"The =first run", "u"}), ("none", set())])
def test_names_of_traces_are_read_back_as_far_as_texts_are_kept(suffix, content, names, tmp_path):
    spans = spans_of("ann 0 10 desk", "bob 5 5 lab u").assign(id=["t/a", "u/b"])
    spans = spans.assign(trace_name=["The =first run", None])
    file = tv.export(spans, tmp_path / f"x.{suffix}", content=content)
    store = tv.Store(tmp_path / "sqlite.db")
    back = tv.ingest(file, store=store).spans()
    assert set(back.get("trace_name", [])) == names
    assert_frame_equal(back.drop(columns="trace_name", errors="ignore"), as_spans(spans.drop(columns="trace_name")))
    again = tv.ingest(back, store=tv.Store(tmp_path / "again.db")).spans()  # a frame is a table too
    assert_frame_equal(again, back)


def test_a_name_is_cut_with_the_other_texts(tmp_path):
    spans = spans_of("ann 0 10 desk").assign(trace_name="x" * 1_000)
    file = tv.export(spans, tmp_path / "x.jsonl", content="short")
    assert len(json.loads(file.read_text())["trace_name"]) == 201  # an ellipsis more
