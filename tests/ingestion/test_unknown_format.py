import json
from pathlib import Path

import pandas as pd
import pytest
from files import write_file

from tokenvis import BadOption, IngestError, ingest
from tokenvis.formats.registry import FORMATS

KNOWN = "Known formats: " + ", ".join(f"{reader.NAME} ({name})" for name, reader in FORMATS.items()) + "."
SAMPLES = "If its rows are samples, who is where at a step, use spans_from_samples(table, {}, step_us=...)"
EVENTS = "if they are events, such as an arrival, spans_from_events(table, {}, event=...)"


def error_of(source, **options):
    with pytest.raises(IngestError) as caught:
        ingest(source, **options)
    assert not Path("sqlite.db").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("columns", "step"),
    [
        ("begin,end,worker", "If its rows are spans, name its columns: columns={'start_time': 'begin', 'end_time': 'end', "
         "'agent_id': 'worker'}, and unit= of numbers, such as unit='s'."),
        ("a,b", "If its rows are spans, name its columns: columns={'start_time': ..., 'end_time': ..., 'agent_id': ..., "
         "'location_id': ...}."),
        ("when,b", "If its rows are spans, name its columns: columns={'start_time': 'when', 'end_time': ..., 'agent_id': ..., "
         "'location_id': ...}."),
        ("time,who", f"{SAMPLES}; {EVENTS}; if they are spans without ends, "
         "columns={'start_time': 'time', 'agent_id': 'who'}.".replace("{}", "time='time', agent='who', location=...")),
    ],
)  # fmt: skip
def test_a_table_gets_a_proposal_for_its_columns(columns, step):
    shown = ", ".join(f"'{name}'" for name in columns.split(","))
    write_file("x.csv", columns, ",".join("1" * len(columns.split(","))))
    expected = f"has no known format: it looks like a table with the columns {shown}. {step} {KNOWN}"
    assert error_of("x.csv") == f"x.csv {expected}"
    assert error_of(pd.read_csv("x.csv")) == f"the DataFrame {expected}"


def test_lines_and_documents_with_times_get_a_proposal_too():
    row = {"begin": 1, "end": 2}
    step = "If its rows are spans, name its columns: columns={'start_time': 'begin', 'end_time': 'end'}, and unit= of numbers, "
    step += "such as unit='s'."
    looks = "x has no known format: it looks like"
    write_file("x", row, row)
    assert error_of("x") == f"{looks} JSON lines with the keys 'begin', 'end'. {step} {KNOWN}"
    write_file("x", json.dumps({"rows": [row], "next": None}))
    load = "Its rows may be under 'rows': load them with pd.DataFrame(json.load(open('x'))['rows']), and ingest the DataFrame."
    assert error_of("x") == f"{looks} a JSON document with the keys 'rows', 'next'. {load} {step} {KNOWN}"


def test_a_table_with_other_separators_is_named():
    write_file("x.csv", "when;who", "1;2")
    load = "It may be a table: load it with pd.read_csv('x.csv', sep=';'), and ingest the DataFrame."
    step = f"{SAMPLES}; {EVENTS}; if they are spans without ends, columns={{'start_time': 'when', 'agent_id': 'who'}}."
    step = step.replace("{}", "time='when', agent='who', location=...")
    assert error_of("x.csv") == f"x.csv has no known format: it looks like text. {load} {step} {KNOWN}"


def test_a_tool_that_is_not_read_is_named():
    qwen = {"uuid": "u", "sessionId": "s", "type": "assistant", "message": {"role": "model", "parts": [{"text": "a"}]}}
    write_file("in/x.jsonl", qwen, qwen)
    looks = "JSON lines with the keys 'uuid', 'sessionId', 'type', 'message'"
    named = "It is a session of Qwen Code, which tokenvis does not read."
    assert error_of("in/x.jsonl") == f"x.jsonl has no known format: it looks like {looks}. {named} {KNOWN}"
    write_file("in/y.txt", "hello")
    assert error_of("in") == (
        f"None of the 2 files in in has a known format: x.jsonl looks like {looks}; y.txt looks like text. {named} {KNOWN}"
    )


def test_a_folder_without_files_that_can_be_read_lists_what_is_there():
    Path("in").mkdir()
    assert error_of("in") == "No file in in can be read: the folder is empty."
    Path("in/old.db").touch()
    assert error_of("in") == (
        "No file in in can be read: it contains 'old.db', and databases are not read. A store is read with "
        "load_spans(store=path)."
    )
    for number in range(7):
        Path(f"in/{number}.txt").write_text("hello")
    looks = "; ".join(f"{number}.txt looks like text" for number in range(5))
    assert error_of("in") == f"None of the 7 files in in has a known format: {looks}; and 2 more. {KNOWN}"


@pytest.mark.parametrize(
    ("name", "question"),
    [("otpl", " Did you mean 'otlp'?"), ("Claude-Code", " Did you mean 'claude_code'?"), ("csv", " Did you mean 'table'?"),
     ("OpenTelemetry", " Did you mean 'otlp'?"), ("?", ""), (5, ""), ([], "")],
)  # fmt: skip
def test_a_misspelled_format_gets_the_nearest(name, question):
    with pytest.raises(BadOption) as caught:
        ingest("x", format=name)
    assert str(caught.value) == f"format={name!r} is not one of {', '.join(map(repr, FORMATS))}.{question}"


@pytest.mark.parametrize("name", ["<script>", "$\\frac{", "two\nlines", "🙂", "x" * 10_000])
def test_hostile_names_of_columns_and_files(name):
    frame = pd.DataFrame({f"{name} start": [1], f"{name} end": [2]})
    message = error_of(frame)
    assert message.endswith(KNOWN)
    assert "\n" not in message
    assert len(message) < 2_000


def test_rows_with_the_columns_of_spans_need_only_be_loaded():
    row = {"agent_id": "a", "location_id": "b", "start_time": 0}
    write_file("x", json.dumps({"rows": [row]}))
    load = "Its rows may be under 'rows': load them with pd.DataFrame(json.load(open('x'))['rows']), and ingest the DataFrame."
    assert error_of("x") == f"x has no known format: it looks like a JSON document with the keys 'rows'. {load} {KNOWN}"
