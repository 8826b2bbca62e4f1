"""Real sessions, with figures that were counted from their raw lines by a script of its own, not by the reader."""

import os
from pathlib import Path

import pytest
from claude_sessions import spans_in

from tokenvis import ingest

ROOT = os.environ.get("TOKENVIS_REAL_TRACES")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ROOT, reason="TOKENVIS_REAL_TRACES names no folder of real traces"),
]
FOLDER = Path(ROOT or ".", "claude_code")
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"

#                                       spans, models, agents, locations, input, output, estimated, open, errors, files
FIGURES = {
    "spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl": (335, 152, 3, 11, 12_947_261, 28_899, 152, 0, 13, 3),
    "spotter/subagent.jsonl": (28, 12, 1, 10, 454_704, 1_586, 12, 0, 0, 1),
    "spotter/tool_heavy.jsonl": (10, 4, 1, 6, 105_981, 212, 4, 0, 0, 1),
    "zoetrope/demo.jsonl": (44, 24, 7, 9, 38_930, 3_840, 31, 0, 1, 7),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_of_a_session(name):
    report = ingest(FOLDER / name)
    spans = spans_in(report, "kind", "status", INPUT, OUTPUT)
    assert FIGURES[name] == (
        len(spans),
        (spans["kind"] == "model").sum(),
        spans["agent_id"].nunique(),
        spans["location_id"].nunique(),
        spans[INPUT].sum(),
        spans[OUTPUT].sum(),
        report.n_estimated,
        (spans["status"] == "open").sum(),
        (spans["status"] == "error").sum(),
        len(report.formats),
    )
    gone = "the transcript of subagent 'afb92ff' is not there; its work, of which this file has 19 echo lines, is left out"
    missing = [f"subagent.jsonl: {gone}."]
    assert [str(problem) for problem in report.problems] == (missing if name == "spotter/subagent.jsonl" else [])


@pytest.mark.parametrize("name", FIGURES)
def test_a_session_fits_together(name):
    spans = spans_in(ingest(FOLDER / name), "kind", "estimated", "parent_id").set_index("id")
    children = spans[spans["parent_id"].notna()]
    parents = spans.loc[children["parent_id"]]
    assert (children["start_time"].to_numpy() >= parents["start_time"].to_numpy()).all()
    assert (children["agent_id"].to_numpy() != parents["agent_id"].to_numpy()).all()
    models = spans[spans["kind"] == "model"].sort_values("end_time")
    assert ["start_time" in estimated for estimated in models["estimated"]] == [True] * len(models)
    for _, calls in models.groupby("agent_id", observed=True):  # an agent asks one model at a time
        assert (calls["start_time"].to_numpy()[1:] >= calls["end_time"].to_numpy()[:-1]).all()


@pytest.mark.parametrize(
    ("name", "agents"),
    [
        ("spotter/4d5611e5-241a-462a-8d15-5122611a9569.jsonl", {"main": 289, "Explore": 45, "compaction": 1}),
        (
            "zoetrope/demo.jsonl",
            {
                "main": 16,
                "general-purpose 2": 9,
                "Explore": 5,
                "general-purpose": 5,
                "claude-code-guide": 3,
                "code-review": 3,
                "code-review 2": 3,
            },
        ),
    ],
)
def test_the_agents_of_a_session(name, agents):
    assert ingest(FOLDER / name).spans()["agent_id"].value_counts().to_dict() == agents


def test_every_file_leads_to_its_session_and_a_folder_to_all():
    report = ingest(FOLDER)
    assert sorted(written.added for written in report.written) == [10, 28, 44, 335]
    assert len(report.formats) == 12
    assert report.skipped["files in no known format"] == 1  # a workflow's journal
    for path in sorted(FOLDER.rglob("agent-*.jsonl")):
        again = ingest(path)
        assert [(written.added, written.updated) for written in again.written] == [(0, 0)]
        assert again.written[0].unchanged in (44, 335)


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_kept_where_none_is_wanted(name):
    full = spans_in(ingest(FOLDER / name, store="full.db"), "kind").drop(columns="data")
    report = ingest(FOLDER / name, content="none", store="none.db")
    bare = spans_in(report, "kind").drop(columns="data")
    same = ["id", "location_id", "start_time", "end_time", "kind"]
    assert (
        bare[same].sort_values("id").astype(str).to_numpy().tolist()
        == full[same].sort_values("id").astype(str).to_numpy().tolist()
    )
    assert report.n_cut > 0
    assert max(len(data) for data in report.spans()["data"]) < 1_000
