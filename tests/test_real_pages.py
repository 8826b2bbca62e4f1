"""The explorer on real files: a page of each holds every span, adds up to the questions' answers, and leaves texts out."""

import base64
import gzip
import json
import os
import re
from pathlib import Path

import pytest
from test_answers import columns
from test_real_formats import FIGURES

import tokenvis as tv
from tokenvis.explorer.answers import Answers

ROOT = os.environ.get("TOKENVIS_REAL_TRACES")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ROOT, reason="TOKENVIS_REAL_TRACES names no folder of real traces"),
]
SESSIONS = ["claude_code/spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl", "claude_code/zoetrope"]


def texts_in(value):
    """The long texts of a JSON value."""
    if isinstance(value, str):
        return [value] if len(value) > 200 else []
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for member in members for text in texts_in(member)]


@pytest.mark.parametrize("name", [*FIGURES, *SESSIONS])
def test_a_page_holds_every_span_and_no_long_text(name, tmp_path):
    spans = tv.ingest(Path(ROOT, name)).spans()
    page = tv.explore(spans).save(tmp_path / "a.html")
    blocks = re.findall(r'<script type="text/plain" id="([\w-]+)">([^<]*)<', page.path.read_text())
    held = {name: gzip.decompress(base64.b64decode(block)) for name, block in blocks}
    details = [
        row
        for trace in json.loads(held["contents"])["contents"]
        for block, place in trace["blocks"].items()
        if block.startswith("details")
        for row in json.loads(held[place])
    ]
    assert sorted(row["id"] for row in details) == sorted(spans["id"])
    everything = b"".join(held.values()).decode(errors="replace")
    long = {text for data in spans["data"].dropna() for text in texts_in(json.loads(data))}
    assert not [text for text in long if json.dumps(text, ensure_ascii=False)[1:-1] in everything]


@pytest.mark.parametrize("name", [*FIGURES, *SESSIONS])
def test_facts_of_a_file_add_up_to_the_answers_of_the_questions(name):
    spans = tv.ingest(Path(ROOT, name)).spans()
    answers = Answers(spans)
    facts = [columns(answers.answer("facts", trace)) for trace in answers.rows]
    used = tv.usage(spans, by=None)
    for column in ("input", "output"):
        assert sum(sum(fact.get(column, [])) for fact in facts) == used[f"{column}_tokens"].sum()
    if "parent_id" in spans:
        assert sum(sum(fact["self"]) for fact in facts) == tv.summary(spans)["busy_us"].sum()
