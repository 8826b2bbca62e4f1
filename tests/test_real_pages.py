"""The explorer on real files: a page contains every span and no long text, and its numbers equal those of the questions."""

import base64
import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from test_answers import columns
from test_real_formats import EXPECTED_COUNTS

import tokenvis as tv
from tokenvis.explorer.answers import Answers

ROOT = os.environ.get("TOKENVIS_REAL_TRACES")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ROOT, reason="TOKENVIS_REAL_TRACES is not set to a folder of real traces"),
]
SESSIONS = ["claude_code/spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl", "claude_code/zoetrope"]


def texts_in(value):
    """The long texts of a JSON value."""
    if isinstance(value, str):
        return [value] if len(value) > 200 else []
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for member in members for text in texts_in(member)]


@pytest.mark.parametrize("name", [*EXPECTED_COUNTS, *SESSIONS])
def test_a_page_contains_every_span_and_no_long_text(name, tmp_path):
    spans = tv.ingest(Path(ROOT, name)).spans()
    page = tv.explore(spans).save(tmp_path / "a.html")
    blocks = re.findall(r'<script type="text/plain" id="([\w-]+)">([^<]*)<', page.path.read_text())
    contents = {name: gzip.decompress(base64.b64decode(block)) for name, block in blocks}
    details = [
        row
        for trace in json.loads(contents["contents"])["contents"]
        for block, place in trace["blocks"].items()
        if block.startswith("details")
        for row in json.loads(contents[place])
    ]
    assert sorted(row["id"] for row in details) == sorted(spans["id"])
    everything = b"".join(contents.values()).decode(errors="replace")
    long_texts = {text for data in spans["data"].dropna() for text in texts_in(json.loads(data))}
    assert not [text for text in long_texts if json.dumps(text, ensure_ascii=False)[1:-1] in everything]


def work_in(facts, duration):
    """The sum of work of a trace: whole spans, and the pieces that work of those that are cut or wait."""
    whole = sum(np.delete(duration, facts.get("cut", [])).tolist())
    pieces = facts.get("piece_duration", [])
    waits = facts.get("piece_waits", [0] * len(pieces))
    return whole + sum(length for length, waits_then in zip(pieces, waits, strict=True) if not waits_then)


@pytest.mark.parametrize("name", [*EXPECTED_COUNTS, *SESSIONS])
def test_the_facts_of_a_file_add_up_to_the_numbers_of_the_questions(name):
    spans = tv.ingest(Path(ROOT, name)).spans()
    answers = Answers(spans)
    facts = [columns(answers.answer("facts", trace)) for trace in answers.rows]
    used = tv.usage(spans, by=None)
    for column in ("input", "output"):
        assert sum(sum(fact.get(column, [])) for fact in facts) == used[f"{column}_tokens"].sum()
    duration = (spans["end_time"] - spans["start_time"]).to_numpy()
    of_traces = [duration[rows] for rows in answers.rows.values()]
    assert sum(map(work_in, facts, of_traces)) == tv.summary(spans)["busy_us"].sum()
